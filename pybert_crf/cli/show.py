"""What a person sees: progress of a training run, tables of figures, entities in colour."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from pybert_crf.entities import Entity
from pybert_crf.text.metrics import Report
from pybert_crf.training.events import EpochDone, Event, Finished, Started, Stepped

_STYLES = (
    "black on cyan",
    "black on green",
    "black on yellow",
    "black on magenta",
    "white on blue",
    "black on white",
)


class TrainingDisplay:
    """An observer of `pybert_crf.train`: a progress bar with loss and dev F1, a line for each epoch."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  loss {task.fields[loss]}  dev F1 {task.fields[f1]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> TrainingDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Show `event`."""
        if isinstance(event, Started):
            self._started(event)
        elif isinstance(event, Stepped):
            self._stepped(event)
        elif isinstance(event, EpochDone):
            self._epoch_done(event)
        else:
            self._finished(event)

    def _started(self, event: Started) -> None:
        parts = ", ".join(f"{name} {count:,}" for name, count in event.sentences.items())
        self._print(f"sentences: {parts}")
        self._print(f"{len(event.labels)} tags ({event.scheme}), one for each {event.unit}")
        self._print(f"{event.parameters:,} weights on {event.device}")
        for note in event.notes:
            self._print(f"note: {note}")
        if event.epoch > 1:
            self._print(f"resumed after epoch {event.epoch - 1}")
        self.epochs = event.epochs
        self.task = self.progress.add_task(
            "train",
            total=event.epochs,
            completed=event.epoch - 1,
            epoch=f"{event.epoch}/{event.epochs}",
            loss="–",
            f1="–",
        )
        if self.console.is_terminal:
            self.progress.start()

    def _stepped(self, event: Stepped) -> None:
        assert self.task is not None
        done = event.epoch - 1 + event.step / event.steps
        self.progress.update(
            self.task, completed=done, epoch=f"{event.epoch}/{self.epochs}", loss=f"{event.loss:.4f}"
        )

    def _epoch_done(self, event: EpochDone) -> None:
        assert self.task is not None
        self.progress.update(self.task, f1=f"{event.dev.f1:.4f}")
        best = "  best so far" if event.best else ""
        figures = f"loss {event.loss:.4f}  dev F1 {event.dev.f1:.4f}  {event.seconds:.1f} s"
        self._print(f"epoch {event.epoch:>3}  {figures}{best}")

    def _finished(self, event: Finished) -> None:
        self.progress.stop()
        part, report = ("test", event.test) if event.test is not None else ("dev", event.dev)
        self._print(f"\nepoch {event.best_epoch} on {part}:")
        show_report(report, self.console)

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def show_report(report: Report, console: Console | None = None) -> None:
    """Print precision, recall and F1 for each type and overall, conlleval-style beside strict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("type")
    for style in ("conlleval", "strict"):
        for column in ("precision", "recall", "F1"):
            table.add_column(f"{column}\n{style}", justify="right")
    table.add_column("entities", justify="right")
    strict = dict(report.strict.rows())
    for name, row in report.conlleval.rows():
        figures = [getattr(r, c) for r in (row, strict.get(name, row)) for c in ("precision", "recall", "f1")]
        table.add_row(name, *(f"{figure:.4f}" for figure in figures), f"{row.support:,}")
    (console or Console()).print(table)


def highlight(text: str, entities: Sequence[Entity], labels: Sequence[str], *, colour: bool) -> Text:
    """`text` with its entities marked: in colour, or as ``[text|LABEL]`` where there is no colour."""
    shown = Text()
    end = 0
    for entity in entities:
        shown.append(text[end : entity.start])
        if colour:
            style = _STYLES[labels.index(entity.label) % len(_STYLES)]
            shown.append(f" {entity.text} ", style)
            shown.append(f"{entity.label} {entity.score:.2f}", "dim")
        else:
            shown.append(f"[{entity.text}|{entity.label} {entity.score:.2f}]")
        end = entity.end
    shown.append(text[end:])
    return shown
