"""What a run says in words when it is over: each warning on the smallest case, and silence on a good one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pybert_crf import TrainOptions, train
from pybert_crf.annotation.entities import Tagging
from pybert_crf.evaluation import TaggedCorpus
from pybert_crf.text.corpora import Corpus, Sentence
from pybert_crf.text.tagging.bootstrap import f1_interval
from pybert_crf.text.tagging.metrics import evaluate
from pybert_crf.training.warnings import falling_dev, never_predicted, small_dev, still_transitions

Make = Callable[..., TrainOptions]


def test_transitions_that_hardly_move_are_told() -> None:
    before = torch.empty(3, 3).uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(0))
    (told,) = still_transitions(before, before + 0.01)
    assert told.startswith("the CRF's transitions moved by only 0.010 on average")
    assert still_transitions(before, before)
    assert not still_transitions(before, before + 0.5)
    some = before.clone()
    some[0, 0] += 0.5  # the others are illegal and have no gradient
    assert not still_transitions(before, some)
    assert not still_transitions(before + 1, before + 1)  # of a trained tagger


def test_a_type_that_is_never_predicted_is_told() -> None:
    report = evaluate([["B-PER", "B-ORG"], ["B-ORG"]], [["B-PER", "O"], ["B-LOC"]], "BIO")
    (told,) = never_predicted(report, {"ORG": 3, "PER": 5})
    assert told.startswith("ORG is never predicted on dev, which has 2 of it (train: 3)")
    assert not never_predicted(evaluate([["B-ORG", "O"]], [["O", "B-ORG"]], "BIO"), {})


@pytest.mark.parametrize(
    ("f1", "losses", "told"),
    [
        ([0.5, 0.8, 0.75, 0.7], [4, 3, 2, 1], True),
        ([0.5, 0.8, 0.79, 0.79], [4, 3, 2, 1], False),  # by chance
        ([0.5, 0.8, 0.75, 0.7], [4, 3, 5, 6], False),  # it diverges, which is another fault
        ([0.5, 0.8, 0.7], [4, 3, 2], False),  # one epoch is no trend
        ([0.5, 0.6, 0.7], [4, 3, 2], False),
    ],
)
def test_a_dev_f1_that_falls_while_the_loss_falls_is_told(
    f1: list[float], losses: list[float], told: bool
) -> None:
    history = [{"dev_f1": each, "loss": loss} for each, loss in zip(f1, losses, strict=True)]
    found = falling_dev(history, 1 + f1.index(max(f1)))
    assert bool(found) == told
    if told:
        assert found[0].startswith(
            f"after epoch 2 the F1 on dev fell from 0.8000 to {(f1[2] + f1[3]) / 2:.4f}"
        )


def tagged(count: int, wrong: int) -> TaggedCorpus:
    """Sentences with an entity each, of which some are missed."""
    sentences = [Sentence(["a"], ["B-X"]) for _ in range(count)]
    found = [Tagging(["O"] if i < wrong else ["B-X"], [], []) for i in range(count)]
    return TaggedCorpus(Corpus(Path("dev.txt"), sentences, "BIO"), found)


def test_a_dev_part_that_is_too_small_is_told() -> None:
    (told,) = small_dev(tagged(20, 5))
    assert told.startswith("dev is small: by other sentences of its kind the F1 would be between 0.7")
    assert not small_dev(tagged(5000, 500))
    assert not small_dev(tagged(5, 0))  # all are right in every draw


def test_the_interval_is_that_of_the_binomial_distribution() -> None:
    """Of n sentences with an entity each that is found or not, recall r gives an F1 of 2r / (1 + r)."""
    n, r = 1000, 0.6
    gold = [["B-X"]] * n
    predicted = [["B-X"] if i < r * n else ["O"] for i in range(n)]
    low, high = f1_interval(gold, predicted, "BIO", draws=4000)
    deviation = (r * (1 - r) / n) ** 0.5
    expected = [2 * x / (1 + x) for x in (r - 1.96 * deviation, r + 1.96 * deviation)]
    assert [low, high] == pytest.approx(expected, abs=0.004)
    assert f1_interval(gold, predicted, "BIO") == f1_interval(gold, predicted, "BIO")
    assert f1_interval([], [], "BIO") == (0.0, 0.0)


def test_a_run_shows_and_keeps_its_warnings(options: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """One epoch of a tagger that has learnt nothing yet."""
    from pybert_crf.cli.progress import TrainingDisplay

    with TrainingDisplay() as display:
        result = train(options(epochs=1, learning_rate=1e-6, head_learning_rate=1e-6), display)
    assert any("transitions moved by only" in each for each in result.warnings)
    shown = capsys.readouterr().out
    out = Path(result.out)
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert metrics["warnings"] == list(result.warnings)
    page = (out / "report.html").read_text("utf-8")
    for each in result.warnings:
        assert f"warning: {each}" in shown
    assert "transitions moved by only" in page


def test_the_history_and_the_report_have_the_f1_of_each_type(options: Make) -> None:
    result = train(options(epochs=2))
    assert [sorted(row["dev_f1_by_type"]) for row in result.history] == [["LOC", "PER"]] * 2
    page = (Path(result.out) / "report.html").read_text("utf-8")
    assert page.count('aria-label="F1, LOC"') == page.count('aria-label="F1, PER"') == 1
