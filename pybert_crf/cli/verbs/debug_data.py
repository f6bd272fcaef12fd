"""``pybert-crf debug-data``: what a corpus is like, before anything is trained on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pybert_crf.cli.verb import Verb
from pybert_crf.options import DebugDataOptions

if TYPE_CHECKING:
    from rich.console import Console

    from pybert_crf.debug_data import Examination

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def work(options: DebugDataOptions) -> None:
    """Examine a corpus: sizes, labels, faults, repetitions, and what its parts share.

    The exit status is 1 if training would go wrong.
    """
    from rich.console import Console

    from pybert_crf.debug_data import examine
    from pybert_crf.debug_data.page import html_page
    from pybert_crf.files import write_json, write_text
    from pybert_crf.text.corpora import Habits

    examination = examine(options.files("corpora"), Habits.of(options), options.model)
    show(examination, Console(soft_wrap=True))
    if options.json is not None:
        write_json(options.json, examination.to_dict())
    if options.html is not None:
        write_text(options.html, html_page(examination))
    if not examination.is_good:
        raise typer.Exit(1)


def show(examination: Examination, console: Console) -> None:
    """Print an examination."""
    from rich.table import Table

    for part in examination.parts:
        for note in part.notes:
            console.print(note, style="dim", markup=False, highlight=False)
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for part in examination.parts:
        table.add_column(part.name, justify="right")
    table.add_row("scheme", *(part.scheme for part in examination.parts))
    table.add_row("unit", *(part.unit for part in examination.parts))
    for name in ("sentences", "tokens", "longest"):
        shown = f"{name} sentence" if name == "longest" else name
        table.add_row(shown, *(f"{getattr(part.sizes, name):,}" for part in examination.parts))
    for kind in sorted({kind for part in examination.parts for kind in part.sizes.entities}):
        counts = (f"{part.sizes.entities.get(kind, 0):,}" for part in examination.parts)
        table.add_row(f"entities {kind}", *counts)
    for name, pieces in examination.pieces.items():
        mean = pieces.pieces / max(1, pieces.units)
        table.add_section()
        told = f"{mean:.2f} pieces a unit, {pieces.longest:,} in the longest sentence"
        console.print(f"{name}: {told}", markup=False, highlight=False)
    console.print(table)
    console.print()
    for level, part_name, text in examination.findings:
        console.print(level, style=_STYLES[level], end=" ")
        console.print(f"{part_name}: {text}", markup=False, highlight=False)
    if not examination.findings:
        console.print("nothing was found")


VERB = Verb(
    "debug-data", DebugDataOptions, work, "pybert-crf debug-data train.txt dev.txt test.txt --html data.html"
)
