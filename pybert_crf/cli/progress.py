"""What a person sees of a run: a progress bar, and a line for each epoch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pybert_crf import pretraining, training
from pybert_crf.cli.show import show_report
from pybert_crf.options import PretrainOptions, TrainOptions
from pybert_crf.training.events import Stepped

Self = TypeVar("Self", bound="_RunDisplay")


class _RunDisplay:
    """A bar over all epochs, with the loss of the last step and a figure on dev, here called `name`."""

    def __init__(self, name: str, console: Console | None = None) -> None:
        self.console = console or Console()
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn(
                "{task.percentage:3.0f}%  loss {task.fields[loss]}  " + name + " {task.fields[figure]}"
            ),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.task: TaskID | None = None

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def _start(self, first: int, epochs: int, notes: Sequence[str]) -> None:
        for note in notes:
            self._print(f"note: {note}")
        if first > 1:
            self._print(f"resumed after epoch {first - 1}")
        self.epochs = epochs
        self.task = self.progress.add_task(
            "run", total=epochs, completed=first - 1, epoch=f"{first}/{epochs}", loss="–", figure="–"
        )
        if self.console.is_terminal:
            self.progress.start()

    def _stepped(self, event: Stepped) -> None:
        assert self.task is not None
        done = event.epoch - 1 + event.step / event.steps
        self.progress.update(
            self.task, completed=done, epoch=f"{event.epoch}/{self.epochs}", loss=f"{event.loss:.4f}"
        )

    def _epoch_done(self, epoch: int, figures: str, figure: str, best: bool) -> None:
        assert self.task is not None
        self.progress.update(self.task, figure=figure)
        self._print(f"epoch {epoch:>3}  {figures}{'  best so far' if best else ''}")

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def show_run(
    run: Callable[..., Any], options: TrainOptions | PretrainOptions, display: _RunDisplay, next_step: str
) -> None:
    """Call ``run(options, display)``, and say how to go on: after an interruption, or when it is done.

    `next_step` may name the directory of the result as ``{out}``.
    """
    try:
        with display:
            run(options, display)
    except KeyboardInterrupt:
        typer.echo("\ninterrupted: the same command with --resume goes on from the last checkpoint", err=True)
        raise typer.Exit(130) from None
    if int(os.environ.get("RANK", "0")) == 0:
        typer.echo(f"saved in {options.out}; {next_step.format(out=options.out)}")


class TrainingDisplay(_RunDisplay):
    """An observer of `pybert_crf.train`: loss and dev F1."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__("dev F1", console)

    def __call__(self, event: training.Event) -> None:
        """Show `event`."""
        if isinstance(event, Stepped):
            self._stepped(event)
        elif isinstance(event, training.Started):
            parts = ", ".join(f"{name} {count:,}" for name, count in event.sentences.items())
            self._print(f"sentences: {parts}")
            self._print(f"{len(event.labels)} tags ({event.scheme}), one for each {event.unit}")
            self._print(f"{event.parameters:,} weights on {event.device}")
            self._start(event.epoch, event.epochs, event.notes)
        elif isinstance(event, training.EpochDone):
            figures = f"loss {event.loss:.4f}  dev F1 {event.dev.f1:.4f}  {event.seconds:.1f} s"
            self._epoch_done(event.epoch, figures, f"{event.dev.f1:.4f}", event.best)
        else:
            self.progress.stop()
            part, report = ("test", event.test) if event.test is not None else ("dev", event.dev)
            self._print(f"\nepoch {event.best_epoch} on {part}:")
            show_report(report, self.console)


class PretrainingDisplay(_RunDisplay):
    """An observer of `pybert_crf.pretrain`: loss, and perplexity and accuracy on dev."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__("dev perplexity", console)

    def __call__(self, event: pretraining.Event) -> None:
        """Show `event`."""
        if isinstance(event, Stepped):
            self._stepped(event)
        elif isinstance(event, pretraining.Started):
            for name, size in event.parts.items():
                self._print(
                    f"{name}: {size.lines:,} lines, {size.pieces:,} pieces in {size.windows:,} windows"
                )
            self._print(
                f"vocabulary of {event.vocab_size:,} pieces; masked by {event.mask_unit}, {event.masking}"
            )
            self._print(f"{event.parameters:,} weights on {event.device}")
            self._start(event.epoch, event.epochs, event.notes)
        elif isinstance(event, pretraining.EpochDone):
            dev = event.dev
            told = f"dev loss {dev.loss:.4f}  perplexity {dev.perplexity:.2f}  accuracy {dev.accuracy:.4f}"
            figures = f"loss {event.loss:.4f}  {told}  {event.seconds:.1f} s"
            self._epoch_done(event.epoch, figures, f"{dev.perplexity:.2f}", event.best)
        else:
            self.progress.stop()
            told = f"perplexity {event.dev.perplexity:.2f}, accuracy {event.dev.accuracy:.4f}"
            self._print(f"epoch {event.epoch} is kept; on dev: {told}")
