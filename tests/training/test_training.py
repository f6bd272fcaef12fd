"""Training: it learns, moves every weight, stops, resumes, and writes what it promises."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_corpus import sentences

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.encoders import Encoder, read_tensors
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training import EpochDone, Stepped, TaggingStarted

Make = Callable[..., TrainOptions]


def test_it_learns_and_writes_what_it_found(options: Make) -> None:
    events: list[Any] = []
    result = train(options(epochs=12, learning_rate=2e-3, patience=0), events.append)
    assert result.test is not None
    assert result.test.f1 > 0.9
    losses = [event.loss for event in events if isinstance(event, EpochDone)]
    assert losses[-1] < 0.3 * losses[0]

    out = Path(result.out)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["dev"]["conlleval"]["micro"]["f1"] == max(row["dev_f1"] for row in metrics["history"])
    assert metrics["test"] == result.test.to_dict()
    assert "pipeline_tag: token-classification" in (out / "README.md").read_text()
    assert {entity.text: entity.label for entity in Tagger.from_pretrained(out)("张甲在京。")} == {
        "张甲": "PER",
        "京": "LOC",
    }
    assert not [path for path in out.iterdir() if path.is_dir() or path.name.startswith(".")]


def test_every_parameter_moves(options: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from pybert_crf.training import tagging

    taggers = []
    build = tagging.build_tagger
    before: dict[str, torch.Tensor] = {}

    def spy(*args: Any) -> Tagger:
        tagger = build(*args)
        taggers.append(tagger)
        before.update({name: value.clone() for name, value in tagger.model.named_parameters()})
        return tagger

    monkeypatch.setattr(tagging, "build_tagger", spy)
    train(options(epochs=1))
    still = [name for name, value in taggers[0].model.named_parameters() if value.equal(before[name])]
    assert still == []
    assert {"crf.transitions", "crf.start_transitions", "crf.end_transitions"} <= before.keys()


def test_events_tell_the_whole_story(options: Make) -> None:
    events: list[Any] = []
    train(options(epochs=2), events.append)
    started = events[0]
    assert isinstance(started, TaggingStarted)
    assert started.sentences == {"train": 60, "dev": 12, "test": 12}
    assert (started.scheme, started.unit) == ("BIO", "char")
    assert started.labels == ("O", "B-LOC", "B-PER", "I-PER")
    steps = [event for event in events if isinstance(event, Stepped) and event.epoch == 1]
    assert [event.step for event in steps] == list(range(1, steps[0].steps + 1))
    assert [event.epoch for event in events if isinstance(event, EpochDone)] == [1, 2]
    pieces = [len(block.split("\n")) for block in sentences(60).strip().split("\n\n")]  # of a character each
    assert sum(step.pieces for step in steps) == sum(pieces) + 2 * 60
    assert all(step.pieces <= step.positions <= 128 for step in steps)
    assert all(step.norm > 0 and len(step.rates) == 2 and step.rates[0] > step.rates[1] for step in steps)


class _Killed(BaseException):
    """A BaseException, like the KeyboardInterrupt of a signal."""


@pytest.mark.parametrize("step", [1, 3])
def test_a_killed_run_resumes_to_the_same_weights(options: Make, tmp_path: Path, step: int) -> None:
    def kill(event: object) -> None:
        if isinstance(event, Stepped) and (event.epoch, event.step) == (3, step):
            raise _Killed

    whole = train(options(epochs=4, out=str(tmp_path / "whole")))
    with pytest.raises(_Killed):
        train(options(epochs=4), kill)
    seen: list[Any] = []
    resumed = train(options(epochs=4, resume=True), seen.append)
    assert seen[0].epoch == 3

    def figures(history: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(row["epoch"], row["loss"], row["dev_f1"]) for row in history]

    assert figures(resumed.history) == figures(whole.history)
    first, second = read_tensors(whole.out), read_tensors(resumed.out)
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)


def test_a_run_is_repeatable(options: Make, tmp_path: Path) -> None:
    runs = [train(options(epochs=1, out=str(tmp_path / name))) for name in "ab"]
    first, second = (read_tensors(run.out) for run in runs)
    assert all(first[name].equal(second[name]) for name in first)
    other = read_tensors(train(options(epochs=1, out=str(tmp_path / "c"), seed=1)).out)
    assert not first["classifier.weight"].equal(other["classifier.weight"])


def test_resuming_with_other_options_is_refused(options: Make) -> None:
    def kill(event: object) -> None:
        if isinstance(event, Stepped) and event.epoch == 2:
            raise _Killed

    with pytest.raises(_Killed):
        train(options(), kill)
    with pytest.raises(ValueError, match="seed was 0, is 7"):
        train(options(resume=True, seed=7))
    with pytest.raises(FileExistsError, match="unfinished run"):
        train(options())


def test_an_earlier_run_is_not_written_over_unasked(options: Make) -> None:
    train(options(epochs=1))
    with pytest.raises(FileExistsError, match="holds a model already"):
        train(options(epochs=1))
    with pytest.raises(FileExistsError, match="nothing to resume"):
        train(options(epochs=1, resume=True))
    train(options(epochs=1, overwrite=True))


PATIENCE = [
    # dev F1 (and, where nothing is found, dev loss) of each epoch; how many are trained, which is kept
    ([0.5, 0.4, 0.5, 0.9], 3, 1),
    ([0.01, (0.0, 9.0), (0.0, 8.0), 0.3, 0.2, 0.3, 0.9], 6, 4),  # a lucky guess is no beginning
    ([(0.0, 9.0), (0.0, 7.0), (0.0, 8.0), (0.0, 7.5)], 4, 2),
    ([0.3, (0.0, 9.0), (0.0, 8.0), 0.9], 3, 1),
]


@pytest.mark.parametrize(("figures", "trained", "kept"), PATIENCE)
def test_patience_counts_once_something_is_found(
    options: Make, monkeypatch: pytest.MonkeyPatch, figures: list[Any], trained: int, kept: int
) -> None:
    from pybert_crf.training.tagging import TaggingTask

    coming = [dict(zip(("dev_f1", "dev_loss"), f if isinstance(f, tuple) else (f,))) for f in figures]  # noqa: B905
    rows = iter(coming)
    monkeypatch.setattr(TaggingTask, "figures", lambda self, dev: next(rows))
    result = train(options(epochs=len(figures), patience=2))
    assert (len(result.history), result.epoch) == (trained, kept)
    told = f"stopped after {trained} of {len(figures)} epochs: no better result on dev since epoch {kept}"
    assert result.ended.startswith(told if trained < len(figures) else f"all {trained} epochs are done")
    assert json.loads((Path(result.out) / "metrics.json").read_text())["ended"] == result.ended


def test_the_dev_loss_tells_epochs_apart_before_anything_is_found(options: Make, tmp_path: Path) -> None:
    from pybert_crf.text.corpora import read_corpus
    from pybert_crf.training.mean_loss import mean_loss

    chosen = options(epochs=2, learning_rate=1e-4, head_learning_rate=1e-4, patience=0)
    first, second = train(chosen).history
    assert first["dev_f1"] == 0
    assert 0 < second["dev_loss"] < first["dev_loss"]
    kept = mean_loss(Tagger.from_pretrained(chosen.out), read_corpus(chosen.files("dev")[0]))
    assert kept == pytest.approx(second["dev_loss"], rel=1e-5)
    broken = tmp_path / "broken.txt"  # the CRF holds its tags impossible
    broken.write_text("京 B-LOC\n\n甲 I-PER\n乙 I-PER\n", encoding="utf-8")
    assert 0 < mean_loss(Tagger.from_pretrained(chosen.out), read_corpus(broken, "BIO")) < float("inf")


def test_a_pretrained_encoder_is_trained_on(options: Make, tmp_path: Path) -> None:
    tokenizer = UnitTokenizer.build([list("张王李赵陈甲乙丙丁在京沪津渝冀。的")], "char", min_count=1)
    encoder = Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size)
    encoder.save_pretrained(tmp_path / "encoder")
    tokenizer.save(tmp_path / "encoder")
    result = train(options(model=str(tmp_path / "encoder"), epochs=1, learning_rate=1e-9))
    trained = read_tensors(result.out)["bert.embeddings.word_embeddings.weight"]
    torch.testing.assert_close(trained, encoder.embeddings.word.weight.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["bf16"])
def test_mixed_precision_learns_too(options: Make, precision: str) -> None:
    result = train(options(epochs=12, learning_rate=2e-3, precision=precision, patience=0))
    assert result.dev.f1 > 0.8
    assert read_tensors(result.out)["classifier.weight"].dtype == torch.float32


def test_accumulated_batches_give_the_gradient_of_one(options: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from pybert_crf.training import tagging

    gradients = []
    for group in ([[0, 1, 2, 3]], [[0, 1, 2], [3]]):
        chosen = options(dropout=0.0, clip=0.0)
        data = tagging.read_corpora(chosen)
        accelerator = tagging.build_accelerator(chosen)
        tagger = tagging.build_tagger(data, chosen)
        run = tagging.TaggingTask(chosen, None, data, accelerator, tagger)
        run.model.train()
        run.model.encoder.eval()  # no dropout there
        monkeypatch.setattr(run.optimizer, "step", lambda: None)
        monkeypatch.setattr(run.optimizer, "zero_grad", lambda: None)
        monkeypatch.setattr(run.scheduler, "step", lambda: None)
        run._step(group, 1)
        gradients.append({name: p.grad.clone() for name, p in run.model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-6)


def test_tags_that_training_never_shows_are_told(options: Make, corpus: Path, tmp_path: Path) -> None:
    dev = tmp_path / "dev.txt"
    dev.write_text("京 B-LOC\n\n甲 B-ORG\n乙 I-ORG\n", encoding="utf-8")
    events: list[Any] = []
    train(options(dev=str(dev), epochs=1), events.append)
    assert "dev: tags that train never shows, so they cannot be found: B-ORG, I-ORG" in events[0].notes
    layout = "columns separated by spaces or tabs, tokens in column 1, tags in column 2"
    assert events[0].taken == tuple(
        f"{path}: {layout}" for path in (corpus / "train.txt", dev, corpus / "test.txt")
    )


def test_word_segmentation(options: Make, tmp_path: Path) -> None:
    """One type, so the tags are bare prefixes; every word comes out as an entity of the type "_"."""
    path = tmp_path / "words.txt"
    path.write_text("上 B\n海 E\n的 S\n天 S\n\n天 S\n的 S\n上 B\n海 E\n人 S\n\n" * 20, encoding="utf-8")
    corpora = {"train": str(path), "dev": str(path), "test": str(path)}
    result = train(options(**corpora, epochs=12, learning_rate=2e-3))
    assert result.dev.strict.micro.f1 == 1.0
    words = [entity.text for entity in Tagger.from_pretrained(result.out)("的上海天")]
    assert words == ["的", "上海", "天"]


def test_a_vocabulary_of_another_language_is_told(options: Make, tmp_path: Path) -> None:
    tokenizer = UnitTokenizer.build([list("在。的")], "char", min_count=1)
    Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size).save_pretrained(tmp_path / "encoder")
    tokenizer.save(tmp_path / "encoder")
    events: list[Any] = []
    train(options(model=str(tmp_path / "encoder"), epochs=1), events.append)
    note = events[0].notes[-1]
    assert re.match(r"6\d\.\d% of train's chars are unknown to the vocabulary", note)


def test_training_tags_that_break_the_scheme_are_mended_and_told(
    options: Make, corpus: Path, tmp_path: Path
) -> None:
    train_file = tmp_path / "train.txt"
    text = (corpus / "train.txt").read_text(encoding="utf-8")
    train_file.write_text(f"甲 I-PER\n在 O\n\n{text}", encoding="utf-8")
    events: list[Any] = []
    result = train(options(train=str(train_file), epochs=1), events.append)
    told = "train breaks BIO at lines 1; mended: an illegal tag is read as conlleval reads it"
    assert events[0].notes[0] == told
    assert math.isfinite(result.history[0]["loss"])


@pytest.mark.slow
def test_two_processes_train_one_model(options: Make) -> None:
    """DistributedDataParallel on the CPU, through torchrun, as a user would start it."""
    chosen = options(epochs=2)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    (given,), (dev,) = chosen.files("train"), chosen.files("dev")
    command += ["-m", "pybert_crf", "train", given, "--dev", dev, "--out", chosen.out]
    command += ["--model", "tiny", "--epochs", "2", "--batch-tokens", "128", "--min-count", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch   2") == 1
    assert Tagger.from_pretrained(chosen.out).model.labels[0] == "O"
