"""Progress of a run on the terminal: a live table with a bar, and a line for each epoch."""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from pybert_crf.cli.show import show_report
from pybert_crf.options import PretrainOptions, TrainOptions
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.text.tagging.schemes import PLAIN
from pybert_crf.training import (
    Compared,
    EpochDone,
    Event,
    Finished,
    MaskedReport,
    PretrainingStarted,
    Started,
    Stepped,
    TaggingStarted,
)

Self = TypeVar("Self", bound="_RunDisplay")

SILENCE = 30.0
"""Seconds after which a run outside a terminal, which shows no bar, prints a line of progress."""


_TYPES = 8  # whose F1 is in the line of an epoch, at the most


class _Pace:
    """How fast a run goes, by the time at which events come."""

    def __init__(self) -> None:
        self.started = self.resumed = time.monotonic()
        self.first = 0.0
        self.pieces = self.positions = 0

    def begin(self, done: float) -> None:
        """Training begins, with a part `done` of the run, 0 to 1, behind it."""
        self.first = done
        self.started = time.monotonic()
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Count pieces and time anew, without those of the epoch before and of its evaluation."""
        self.resumed = time.monotonic()
        self.pieces = self.positions = 0

    def figures(self, event: Stepped, done: float) -> dict[str, str]:
        """The figures of a step by name, with a part `done` of the run behind it."""
        now = time.monotonic()
        self.pieces += event.pieces
        self.positions += event.positions
        seconds, whole = now - self.resumed, now - self.started
        left = whole * (1 - done) / (done - self.first) if done > self.first else 0.0
        return {
            "gradient": f"{event.norm:.3g}",
            "rate": _rates(event.rates),
            "pieces/s": f"{self.pieces / seconds:,.0f}" if seconds > 0 else "–",
            "padding": f"{1 - self.pieces / max(1, self.positions):.0%}",
            "left": str(timedelta(seconds=round(left))),
        }


def _rates(rates: Sequence[float]) -> str:
    """One or two learning rates, or the lowest and the highest of more."""
    if len(rates) > 2:
        return f"{rates[-1]:.2e}–{rates[0]:.2e}"
    return " / ".join(f"{rate:.2e}" for rate in rates)


class _RunDisplay(ABC):
    """An observer that shows a bar over all epochs, the figures of the last step, and one on dev."""

    figure = ""  # its name

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TextColumn(self.figure + " {task.fields[figure]}"),
            TimeElapsedColumn(),
            console=self.console,
        )
        self.last: dict[str, str] = {}  # the figures of the last step
        self.live = Live(get_renderable=self._shown, console=self.console, transient=True)
        self.task: TaskID | None = None
        self.pace = _Pace()
        self.printed = time.monotonic()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def __call__(self, event: Event) -> None:
        """Show `event`."""
        if isinstance(event, Stepped):
            self._stepped(event)
        elif isinstance(event, Started):
            for line in self.describe(event):
                self._print(line)
            self._start(event)
        elif isinstance(event, EpochDone):
            self._epoch_done(event)
        elif isinstance(event, Compared):
            self._compared(event)
        elif isinstance(event, Finished):
            self.live.stop()
            self._print(event.ended)
            part, report = ("test", event.test) if event.test is not None else ("dev", event.dev)
            self.show_result(event.epoch, part, report)
            for warning in event.warnings:
                self._print(f"warning: {warning}")

    @abstractmethod
    def describe(self, event: Any) -> Iterator[str]:
        """Lines about data and model, before the first epoch."""

    @abstractmethod
    def figures(self, dev: Any) -> tuple[str, str]:
        """The figures of an epoch, for its line, and the one figure for the bar."""

    @abstractmethod
    def show_result(self, epoch: int, part: str, report: Any) -> None:
        """Show the figures of what was kept."""

    def _start(self, event: Started) -> None:
        self._print(f"{event.parameters:,} weights on {event.device}")
        for note in event.notes:
            self._print(f"note: {note}")
        if self.task is not None:  # of a run before this one
            self.progress.remove_task(self.task)
        first, self.epochs = event.epoch, event.epochs
        if first > 1:
            self._print(f"resumed after epoch {first - 1}")
        self.task = self.progress.add_task(
            "run",
            total=self.epochs,
            completed=first - 1,
            epoch=f"{first}/{self.epochs}",
            figure="–",
        )
        self.pace.begin((first - 1) / self.epochs)
        if self.console.is_terminal:
            self.live.start()

    def _stepped(self, event: Stepped) -> None:
        assert self.task is not None
        done = event.epoch - 1 + event.step / event.steps
        self.progress.update(self.task, completed=done, epoch=f"{event.epoch}/{self.epochs}")
        self.last = {"loss": f"{event.loss:.4f}", **self.pace.figures(event, done / self.epochs)}
        if not self.console.is_terminal and time.monotonic() - self.printed >= SILENCE:
            where = f"epoch {event.epoch:>3}  step {event.step:,} of {event.steps:,}"
            told = "  ".join(f"{name} {figure}" for name, figure in self.last.items())
            self._print(f"{where}  {told}  {done / self.epochs:.0%} of {self.epochs} epochs")

    def _epoch_done(self, event: EpochDone[Any]) -> None:
        assert self.task is not None
        self.pace.begin_epoch()
        figures, figure = self.figures(event.dev)
        self.progress.update(self.task, figure=figure)
        line = f"epoch {event.epoch:>3}  loss {event.loss:.4f}  {figures}  {event.seconds:.1f} s"
        self._print(line + ("  best so far" if event.best else ""))

    def _shown(self) -> Group:
        """What stands below the lines on a terminal: the bar, and a table of the last step's figures."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        last = self.last  # replaced, never changed, while another thread draws it
        for name in last:
            table.add_column(name, justify="right")
        table.add_row(*last.values())
        return Group(self.progress, table)

    def _compared(self, event: Compared[Any]) -> None:
        for place, (name, run) in enumerate(zip(event.names, event.runs, strict=True)):
            parts = f"dev F1 {run.dev.f1:.4f}" + (f"  test F1 {run.test.f1:.4f}" if run.test else "")
            kept = place == event.best and event.ensemble is None
            self._print(f"{name}: {parts}" + ("  kept" if kept else ""))
        for part, (mean, deviation) in event.spread.items():
            self._print(f"mean {part} F1 {mean:.4f}, standard deviation {deviation:.4f}")
        if event.ensemble is not None:
            dev, test = event.ensemble
            parts = f"dev F1 {dev.f1:.4f}" + (f"  test F1 {test.f1:.4f}" if test is not None else "")
            self._print(f"ensemble of {len(event.runs)}: {parts}  kept")

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        self.printed = time.monotonic()


class TrainingDisplay(_RunDisplay):
    """An observer of `pybert_crf.train`: loss and dev F1."""

    figure = "dev F1"

    def describe(self, event: TaggingStarted) -> Iterator[str]:
        yield from event.taken
        parts = ", ".join(f"{name} {count:,}" for name, count in event.sentences.items())
        yield f"sentences: {parts}"
        kind = "plain tags" if event.scheme == PLAIN else f"tags ({event.scheme})"
        yield f"{len(event.labels)} {kind}, one for each {event.unit}"
        yield event.plan

    def figures(self, dev: Report) -> tuple[str, str]:
        types = dev.conlleval.types
        shown = [f"{name} {score.f1:.4f}" for name, score in types.items()] if len(types) > 1 else []
        more = ", …" if len(shown) > _TYPES else ""
        told = f" ({', '.join(shown[:_TYPES])}{more})" if shown else ""
        return f"dev F1 {dev.f1:.4f}{told}", f"{dev.f1:.4f}"

    def show_result(self, epoch: int, part: str, report: Report) -> None:
        self._print(f"\nepoch {epoch} on {part}:")
        show_report(report, self.console)


class PretrainingDisplay(_RunDisplay):
    """An observer of `pybert_crf.pretrain`: loss, and perplexity and accuracy on dev."""

    figure = "dev perplexity"

    def describe(self, event: PretrainingStarted) -> Iterator[str]:
        for name, size in event.parts.items():
            yield f"{name}: {size.lines:,} lines, {size.pieces:,} pieces in {size.windows:,} windows"
        yield f"vocabulary of {event.vocab_size:,} pieces; masked by {event.mask_unit}, {event.masking}"

    def figures(self, dev: MaskedReport) -> tuple[str, str]:
        told = f"dev loss {dev.loss:.4f}  perplexity {dev.perplexity:.2f}  accuracy {dev.accuracy:.4f}"
        return told, f"{dev.perplexity:.2f}"

    def show_result(self, epoch: int, part: str, report: MaskedReport) -> None:
        told = f"perplexity {report.perplexity:.2f}, accuracy {report.accuracy:.4f}"
        self._print(f"epoch {epoch} is kept; on {part}: {told}")


def show_run(
    run: Callable[..., Any], options: TrainOptions | PretrainOptions, display: _RunDisplay, next_step: str
) -> None:
    """Call ``run(options, display)``, and say how to go on: after an interruption, or when it is done.

    `next_step` may name the directory of the result as ``{out}``.
    """
    try:
        with display:
            run(options, display)
    except KeyboardInterrupt as interrupt:
        typer.echo("\ninterrupted: the same command with --resume goes on from the last checkpoint", err=True)
        raise typer.Exit(128 + getattr(interrupt, "signal", signal.SIGINT)) from None
    if int(os.environ.get("RANK", "0")) == 0:
        typer.echo(f"saved in {options.out}; {next_step.format(out=options.out)}")
