"""Levers of training, each by its effect: counted transitions, freezing, rates by layer, averaged weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from killed_runs import resumed_alike

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.encoders.depths import depths
from pybert_crf.text.corpora import read_corpus
from pybert_crf.training import EpochDone, Stepped, tagging
from pybert_crf.training.levers.transitions import log_probabilities

Make = Callable[..., TrainOptions]
Weights = dict[str, torch.Tensor]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tasks that `train` makes; of each, `before` is a copy of the parameters before the first step."""
    tasks: list[Any] = []
    start = tagging.TaggingTask.__init__

    def spy(self: Any, *rest: Any) -> None:
        start(self, *rest)
        self.before = copied(self.tagger.model)
        tasks.append(self)

    monkeypatch.setattr(tagging.TaggingTask, "__init__", spy)
    return tasks


def copied(model: torch.nn.Module) -> Weights:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def moved(model: torch.nn.Module, before: Weights) -> set[str]:
    return {name for name, value in model.named_parameters() if not value.equal(before[name])}


# Transitions.


def test_counted_transitions_are_those_of_the_corpus(options: Make, watched: list[Any]) -> None:
    chosen = options(transitions="frozen", epochs=1)
    events: list[Any] = []
    out = train(chosen, events.append).out
    assert "the CRF's scores are log-probabilities counted in train, then frozen" in events[0].notes
    model = Tagger.from_pretrained(out).model.requires_grad_(False)
    crf, labels = model.crf, model.labels
    sequences = [sentence.tags for sentence in read_corpus(chosen.files("train")[0]).sentences]
    pairs = Counter(pair for tags in sequences for pair in zip(tags, [*tags[1:], "end"], strict=True))
    starts = Counter(tags[0] for tags in sequences)
    legal = {("B-PER", "I-PER"), ("I-PER", "I-PER")}
    for i, tag in enumerate(labels):
        followers = [other for other in labels if other != "I-PER" or (tag, other) in legal]
        total = sum(pairs[tag, other] + 1 for other in [*followers, "end"])
        assert float(crf.end_transitions[i]) == pytest.approx(math.log((pairs[tag, "end"] + 1) / total))
        for j, other in enumerate(labels):
            if other in followers:
                wanted = math.log((pairs[tag, other] + 1) / total)
                assert float(crf.transitions[i, j]) == pytest.approx(wanted)
        if tag != "I-PER":
            assert float(crf.start_transitions[i]) == pytest.approx(
                math.log((starts[tag] + 1) / (len(sequences) + 3))
            )
    assert not any(name.startswith("crf.") for name in moved(watched[0].tagger.model, watched[0].before))


def test_the_counted_chain_is_a_distribution_over_sequences_of_all_lengths(
    options: Make, watched: list[Any]
) -> None:
    """With emissions of 0, Z of a length is its probability: over all lengths they sum to 1."""
    train(options(transitions="counts", epochs=1, dev_share=None))
    task = watched[0]
    crf = task.tagger.model.crf
    assert {name for name in moved(task.tagger.model, task.before) if name.startswith("crf.")} == {
        "crf.transitions",
        "crf.start_transitions",
        "crf.end_transitions",
    }
    counted = log_probabilities(task.tagger.model, [example.tags for example in task.examples])
    with torch.no_grad():
        for name, (value, allowed) in zip(("start_", "", "end_"), counted, strict=True):
            parameter = getattr(crf, f"{name}transitions")
            torch.testing.assert_close(parameter[allowed], value[allowed], rtol=0, atol=0.2)  # one epoch on
            parameter.copy_(torch.where(allowed, value, parameter))
        logs = [crf.log_partition(torch.zeros(1, length, crf.num_tags)) for length in range(1, 200)]
    assert float(torch.stack(logs).exp().sum()) == pytest.approx(1, abs=1e-4)


def test_counts_begin_at_a_lower_loss(options: Make) -> None:
    still = {"epochs": 1, "learning_rate": 1e-9, "head_learning_rate": 1e-9, "overwrite": True}
    losses = [train(options(transitions=kind, **still)).history[0]["loss"] for kind in ("random", "counts")]
    assert losses[1] < 0.6 * losses[0]


def test_transitions_resume(options: Make, tmp_path: Path) -> None:
    resumed_alike(options, tmp_path, (2, 2), epochs=2, transitions="frozen")


# Freezing, and rates by layer.


@pytest.mark.parametrize(("freeze", "deepest"), [("embeddings", 0), ("1", 1), ("encoder", 2)])
def test_frozen_parts_do_not_move(options: Make, watched: list[Any], freeze: str, deepest: int) -> None:
    train(options(freeze=freeze, epochs=1))
    task = watched[0]
    deep = depths(task.tagger.model.encoder)
    kept = {f"encoder.{name}" for name, depth in deep.items() if depth <= deepest}
    assert task.before.keys() - moved(task.tagger.model, task.before) == kept


def test_what_is_frozen_for_a_time_moves_after_it(options: Make, watched: list[Any]) -> None:
    seen: list[set[str]] = []

    def watch(event: object) -> None:
        if isinstance(event, EpochDone):
            seen.append(moved(watched[0].tagger.model, watched[0].before))

    chosen: dict[str, Any] = {"freeze": "1", "frozen_epochs": 1, "epochs": 2, "patience": 0}
    train(options(**chosen), watch)
    deep = depths(watched[0].tagger.model.encoder)
    kept = {f"encoder.{name}" for name, depth in deep.items() if depth <= 1}
    assert watched[0].before.keys() - seen[0] == kept
    assert seen[1] == watched[0].before.keys()


@pytest.mark.parametrize("at", [(1, 2), (2, 2)])
def test_what_is_frozen_for_a_time_resumes(options: Make, tmp_path: Path, at: tuple[int, int]) -> None:
    resumed_alike(options, tmp_path, at, freeze="1", frozen_epochs=1, epochs=2, patience=0)


def test_rates_fall_from_layer_to_layer(options: Make, watched: list[Any]) -> None:
    train(options(layer_decay=1e-4, learning_rate=1e-2, epochs=1, weight_decay=0.0))
    task = watched[0]
    model, deep = task.tagger.model, depths(task.tagger.model.encoder)
    assert sorted({group["initial_lr"] for group in task.optimizer.param_groups}) == pytest.approx(
        [1e-10, 1e-6, 5e-3, 1e-2]
    )
    change = dict.fromkeys((0, 1, 2), 0.0)
    for name, value in model.encoder.named_parameters():
        largest = float((value - task.before[f"encoder.{name}"]).detach().abs().max())
        change[deep[name]] = max(change[deep[name]], largest)
    assert change[0] < 1e-3 * change[1] < 1e-4 * change[2]


def test_levers_that_do_not_fit_are_named(options: Make) -> None:
    for name, value in (("freeze", "all"), ("freeze", "0"), ("freeze", "-1"), ("layer_decay", 0.0)):
        with pytest.raises(ValueError, match=f"{name} must be"):
            options(**{name: value})
    with pytest.raises(ValueError, match="frozen_epochs must come with freeze"):
        options(frozen_epochs=1)
    with pytest.raises(ValueError, match="freeze must be at most 2, the encoder's number of layers, got 3"):
        train(options(freeze=3))
    assert options(freeze=2).freeze == "2"


# Averages.


def test_the_saved_weights_are_the_averages_of_all_steps(options: Make, watched: list[Any]) -> None:
    steps: list[Weights] = []

    def watch(event: object) -> None:
        if isinstance(event, Stepped):
            steps.append({n: v.double() for n, v in copied(watched[0].tagger.model).items()})

    out = train(options(average=0.5, epochs=1, learning_rate=1e-2), watch).out
    average = steps[0]
    for n, weights in enumerate(steps[1:], 1):
        decay = min(0.5, (1 + n) / (10 + n))
        average = {name: decay * average[name] + (1 - decay) * weights[name] for name in average}
    saved = copied(Tagger.from_pretrained(out).model)
    for name in saved:
        torch.testing.assert_close(saved[name].double(), average[name], rtol=1e-5, atol=1e-6)
        assert not torch.allclose(saved[name].double(), steps[-1][name], rtol=1e-5, atol=1e-6)
    live = copied(watched[0].tagger.model)
    assert all(live[name].double().equal(steps[-1][name]) for name in live)


def test_averages_do_not_change_what_is_trained(options: Make, tmp_path: Path) -> None:
    runs = [train(options(average=a, out=str(tmp_path / str(a)), patience=0)) for a in (0.0, 0.9)]
    plain, averaged = (run.history for run in runs)
    assert [row["loss"] for row in plain] == [row["loss"] for row in averaged]
    saved = [(tmp_path / str(a) / "model.safetensors").read_bytes() for a in (0.0, 0.9)]
    assert saved[0] != saved[1]


def test_averages_resume(options: Make, tmp_path: Path) -> None:
    resumed_alike(options, tmp_path, (2, 3), epochs=3, average=0.9, freeze="1", frozen_epochs=1)
