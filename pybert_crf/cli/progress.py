"""Progress of a run on the terminal: a bar, and a line for each epoch."""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pybert_crf.cli.show import show_report
from pybert_crf.options import PretrainOptions, TrainOptions
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.text.tagging.schemes import PLAIN
from pybert_crf.training import (
    EpochDone,
    Event,
    MaskedReport,
    PretrainingStarted,
    Started,
    Stepped,
    TaggingStarted,
)

Self = TypeVar("Self", bound="_RunDisplay")

SILENCE = 30.0
"""Seconds after which a run outside a terminal, which shows no bar, prints a line of progress."""


class _RunDisplay(ABC):
    """An observer that shows a bar over all epochs, the loss of the last step, and a figure on dev."""

    figure = ""  # its name

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  loss {task.fields[loss]}"),
            TextColumn(self.figure + " {task.fields[figure]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.task: TaskID | None = None
        self.printed = time.monotonic()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

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
        else:
            self.progress.stop()
            self._print(event.ended)
            part, report = ("test", event.test) if event.test is not None else ("dev", event.dev)
            self.show_result(event.epoch, part, report)

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
        first, self.epochs = event.epoch, event.epochs
        if first > 1:
            self._print(f"resumed after epoch {first - 1}")
        self.task = self.progress.add_task(
            "run",
            total=self.epochs,
            completed=first - 1,
            epoch=f"{first}/{self.epochs}",
            loss="–",
            figure="–",
        )
        if self.console.is_terminal:
            self.progress.start()

    def _stepped(self, event: Stepped) -> None:
        assert self.task is not None
        done = event.epoch - 1 + event.step / event.steps
        self.progress.update(
            self.task, completed=done, epoch=f"{event.epoch}/{self.epochs}", loss=f"{event.loss:.4f}"
        )
        if not self.console.is_terminal and time.monotonic() - self.printed >= SILENCE:
            where = f"epoch {event.epoch:>3}  step {event.step:,} of {event.steps:,}"
            self._print(f"{where}  loss {event.loss:.4f}  {done / self.epochs:.0%} of {self.epochs} epochs")

    def _epoch_done(self, event: EpochDone[Any]) -> None:
        assert self.task is not None
        figures, figure = self.figures(event.dev)
        self.progress.update(self.task, figure=figure)
        line = f"epoch {event.epoch:>3}  loss {event.loss:.4f}  {figures}  {event.seconds:.1f} s"
        self._print(line + ("  best so far" if event.best else ""))

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

    def figures(self, dev: Report) -> tuple[str, str]:
        return f"dev F1 {dev.f1:.4f}", f"{dev.f1:.4f}"

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
