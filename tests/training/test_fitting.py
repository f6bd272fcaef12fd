"""The batch and the rates that fit a corpus: the rule, what is said of it, and resuming with it."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_corpus import sentences

from pybert_crf import TrainOptions, train
from pybert_crf.encoders import Encoder
from pybert_crf.training import Stepped, TaggingStarted, fitting
from pybert_crf.training.fitting import LEAST, MOST, STEPS, fitted, fitting_batch, fitting_factor, plan_note

Make = Callable[..., TrainOptions]
CHOSEN = ("batch_tokens", "learning_rate", "head_learning_rate")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.from_size("tiny", vocab_size=20, pad_id=0)


def test_a_batch_gives_a_run_its_steps_within_bounds() -> None:
    counts = [0, 1, 10, 999, 10_000, 60_000, 123_456, 10**6, 10**9]
    batches = [[fitting_batch(positions, epochs) for epochs in (1, 3, 10, 100)] for positions in counts]
    for row in [*batches, *zip(*batches, strict=True)]:
        assert list(row) == sorted(row)  # the more there is to learn from, the larger
    for positions, row in zip(counts, batches, strict=True):
        for epochs, batch in zip((1, 3, 10, 100), row, strict=True):
            assert LEAST <= batch <= MOST
            assert batch % 64 == 0
            if batch > LEAST:
                assert positions * epochs >= batch * STEPS
            if batch < MOST:
                assert positions * epochs < (batch + 64) * STEPS


def test_rates_are_higher_in_a_short_run_of_a_narrow_pretrained_encoder(encoder: Encoder) -> None:
    steps = [0, 1, 10, 100, 200, 399, 400, 10**6]
    assert [fitting_factor(count, 384) for count in steps[3:]] == pytest.approx([4, 2, 400 / 399, 1, 1])
    for width in (64, 384, 768, 1024, 8192):
        factors = [fitting_factor(count, width) for count in steps]
        assert factors == sorted(factors, reverse=True)
        assert factors[0] == max(1.0, min(4.0, 1536 / width))
    short, long = [32] * 1600, [32] * 10**6  # in one epoch of 256 positions a batch: 200 steps
    options = TrainOptions("a", "b", "c", model="bert", epochs=1)
    chosen = [fitted(options, lengths, encoder).rates() for lengths in (short, long)]
    assert chosen == [(1e-4, 2e-3), (5e-5, 1e-3)]
    assert fitted(options, short, encoder, trained=True).rates() == (5e-5, 1e-3)
    for other in ({"model": "small"}, {"lora_rank": 4}):
        fixed = dataclasses.replace(options, **other)  # type: ignore[arg-type]
        assert fitted(fixed, short, encoder).rates() == fixed.rates()


def test_what_is_given_wins(encoder: Encoder) -> None:
    given = {"batch_tokens": 77, "learning_rate": 0.3, "head_learning_rate": 0.2, "warmup": 0.5}
    for count in range(len(given) + 1):
        for names in itertools.combinations(given, count):
            part = {name: given[name] for name in names}
            options = fitted(TrainOptions("a", "b", "c", **part), [10] * 50, encoder)  # type: ignore[arg-type]
            assert {name: getattr(options, name) for name in names} == part
            assert all(getattr(options, name) is not None for name in (*CHOSEN, "warmup"))
            assert fitted(options, [99] * 10**6, encoder) == options  # nothing is left to choose


def test_a_run_without_examples_has_options_too(encoder: Encoder) -> None:
    options = TrainOptions("a", "b", "c")
    assert fitted(options, [], encoder).batch_tokens == LEAST
    assert "about 256 sentences" in plan_note(options, fitted(options, [], encoder), [], 0)


def test_a_run_says_and_saves_what_was_chosen(options: Make, tmp_path: Path) -> None:
    events: list[Any] = []
    train(options(batch_tokens=None, epochs=2), events.append)
    started = events[0]
    assert isinstance(started, TaggingStarted)
    steps = [event for event in events if isinstance(event, Stepped)]
    assert started.plan.startswith("batch: 256 positions, about 38 sentences (to fit corpus and epochs); ")
    assert f"; {len(steps)} steps in 2 epochs; rates 0.0005 and 0.005 (head), warm-up 10%" in started.plan
    saved = json.loads((tmp_path / "out/metrics.json").read_text("utf-8"))["options"]
    assert [saved[name] for name in CHOSEN] == [256, 5e-4, 5e-3]
    assert all(step.positions <= 256 for step in steps)


class _Killed(BaseException):
    """A BaseException, like the KeyboardInterrupt of a signal."""


def _kill(event: object) -> None:
    if isinstance(event, Stepped) and event.epoch == 2:
        raise _Killed


def test_a_resumed_run_has_the_batch_that_was_chosen(
    options: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "STEPS", 2)
    chosen = {"batch_tokens": None, "epochs": 2}
    with pytest.raises(_Killed):
        train(options(**chosen), _kill)
    with pytest.raises(ValueError, match="batch_tokens was 384, is 128"):
        train(options(**chosen | {"batch_tokens": 128}, resume=True))
    more = tmp_path / "more.txt"
    more.write_text(sentences(120), encoding="utf-8")  # asks for a batch twice as large
    with pytest.raises(ValueError, match="data are not what they were"):
        train(options(**chosen, train=str(more), resume=True))
    assert train(options(**chosen | {"batch_tokens": 384}, resume=True)).history[-1]["epoch"] == 2


def test_finished_runs_of_several_are_known_by_what_was_chosen(options: Make, tmp_path: Path) -> None:
    chosen = {"batch_tokens": None, "epochs": 1, "seeds": 2}
    whole = train(options(**chosen))
    (tmp_path / "out/metrics.json").unlink()
    again = train(options(**chosen, resume=True))
    assert again.dev.f1 == whole.dev.f1
    (tmp_path / "out/metrics.json").unlink()
    with pytest.raises(ValueError, match="batch_tokens was 256, is 128"):
        train(options(**chosen | {"batch_tokens": 128}, resume=True))
