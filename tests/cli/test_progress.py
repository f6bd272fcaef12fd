"""What a run prints where no terminal shows its bar."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pybert_crf.cli import progress
from pybert_crf.training import Stepped, TaggingStarted

STARTED = TaggingStarted(
    taken=("train.txt: columns separated by tabs",),
    unit="char",
    parameters=10,
    device="cpu",
    epoch=1,
    epochs=4,
    notes=(),
    sentences={"train": 1},
    scheme="BIO",
    labels=("O",),
)


@pytest.mark.parametrize(("terminal", "expected"), [(False, [3, 6]), (True, [])])
def test_outside_a_terminal_a_line_every_30_seconds(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, expected: list[int]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    screen = io.StringIO()
    display = progress.TrainingDisplay(Console(file=screen, force_terminal=terminal, width=200))
    monkeypatch.setattr(display.progress, "start", lambda: None)
    display(STARTED)
    for step in range(1, 7):
        now[0] += 11.0
        display(Stepped(2, step, 10, 0.25))
    lines = [line for line in screen.getvalue().splitlines() if "step" in line]
    assert lines == [
        f"epoch   2  step {step} of 10  loss 0.2500  {(1 + step / 10) / 4:.0%} of 4 epochs"
        for step in expected
    ]
