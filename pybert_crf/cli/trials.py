"""Trials of a tuning on the terminal: a line for each as it ends, and a table of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from pybert_crf.cli.progress import TrainingDisplay
from pybert_crf.training import Event, Finished, Started, TrialDone, TrialStarted
from pybert_crf.training.tuning import Tuned
from pybert_crf.training.tuning.outcome import DIVERGED, PRUNED, shown


class TuningDisplay(TrainingDisplay):
    """An observer of `pybert_crf.tune`: what data and model are, once; then the epochs of each trial."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        self.described = self.quiet = False

    def __call__(self, event: Event) -> None:
        """Show `event`."""
        if isinstance(event, TrialStarted):
            self._print(f"\ntrial {event.number}, {event.trials} in all: {_told(event.values)}")
        elif isinstance(event, TrialDone):
            self.live.stop()
            self._print(f"trial {event.number}: {_end_of(event)}")
        elif isinstance(event, Started):
            self.quiet, self.described = self.described, True  # all trials have the same data
            super().__call__(event)
            self.quiet = False
        elif not isinstance(event, Finished):
            super().__call__(event)

    def _print(self, line: str) -> None:
        if not self.quiet:
            super()._print(line)


def show_trials(tuned: Tuned, console: Console | None = None) -> None:
    """Print the trials, the best first."""
    names = list(tuned.best.values)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("trial", "dev F1", "epochs", "state", *(name.replace("_", "-\n") for name in names)):
        table.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    for trial in tuned.ranked():
        f1 = "–" if trial.f1 is None else f"{trial.f1:.4f}"
        values = [shown(trial.values.get(name, "–")) for name in names]
        table.add_row(str(trial.number), f1, str(len(trial.course)), trial.state, *values)
    console, needed = console or Console(), 40 + 14 * len(names)
    if console.width < needed:  # no terminal, or a narrow one: lines are wrapped rather than cut
        console = Console(file=console.file, width=needed)
    console.print(table)


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', '-')} {shown(value)}" for name, value in values.items())


def _end_of(event: TrialDone) -> str:
    if event.state == DIVERGED:
        return "diverged, a number was not finite"
    told = f"dev F1 {event.f1:.4f}"
    if event.state == PRUNED:
        return f"{told}, stopped after epoch {event.epochs}"
    return told + ("  best so far" if event.best else "")
