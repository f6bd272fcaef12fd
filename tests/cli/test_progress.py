"""What a run prints where no terminal shows its bar, and the table that a terminal shows."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pybert_crf.cli import progress
from pybert_crf.text.tagging.metrics import evaluate
from pybert_crf.training import EpochDone, Stepped, TaggingStarted

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
    plan="batch: 256 positions",
)


@pytest.mark.parametrize(("terminal", "expected"), [(False, [3, 6]), (True, [])])
def test_outside_a_terminal_a_line_every_30_seconds(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, expected: list[int]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    screen = io.StringIO()
    display = progress.TrainingDisplay(Console(file=screen, force_terminal=terminal, width=200))
    monkeypatch.setattr(display.live, "start", lambda: None)
    display(STARTED)
    for step in range(1, 7):
        now[0] += 11.0
        display(Stepped(2, step, 10, 0.25, 1.5, (1e-3, 5e-5), 330, 440))
    lines = [line for line in screen.getvalue().splitlines() if "step" in line]
    left = {3: "0:01:09", 6: "0:01:39"}  # 33 s for 13 of 40 parts, 66 s for 16
    assert lines == [
        f"epoch   2  step {step} of 10  loss 0.2500  gradient 1.5  rate 1.00e-03 / 5.00e-05  pieces/s 30  "
        f"padding 25%  left {left[step]}  {(1 + step / 10) / 4:.0%} of 4 epochs"
        for step in expected
    ]


def _shown(display: progress.TrainingDisplay) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=200).print(display.live.get_renderable())
    return screen.getvalue().splitlines()


def test_the_table_of_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    display = progress.TrainingDisplay(Console(file=io.StringIO(), width=200))
    display(STARTED)
    assert "epoch 1/4" in _shown(display)[0]
    now[0] = 2.0
    display(Stepped(1, 1, 2, 0.25, 1.5, (3e-4, 2e-4, 1e-4), 100, 100))
    now[0] = 4.0
    display(Stepped(1, 2, 2, 0.125, 0.5, (3e-4, 2e-4, 1e-4), 20, 100))
    bar, names, figures = _shown(display)
    assert " 25%" in bar
    assert names.split() == ["loss", "gradient", "rate", "pieces/s", "padding", "left"]
    assert figures.split() == ["0.1250", "0.5", "1.00e-04–3.00e-04", "30", "40%", "0:00:12"]


def test_the_line_of_an_epoch_has_the_f1_of_each_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluation does not count in the pace of the next epoch."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    screen = io.StringIO()
    display = progress.TrainingDisplay(Console(file=screen, width=200))
    display(STARTED)
    gold, found = [["B-A", "O", "B-B"]], [["B-A", "B-B", "O"]]
    now[0] = 1000.0
    display(EpochDone(1, 0.5, 2.0, evaluate(gold, found, "BIO"), True))
    assert "dev F1 0.5000 (A 1.0000, B 0.0000)  2.0 s  best so far" in screen.getvalue()
    now[0] = 1002.0
    display(Stepped(2, 1, 2, 0.125, 0.5, (1e-3,), 20, 25))
    assert _shown(display)[2].split()[3:5] == ["10", "20%"]
