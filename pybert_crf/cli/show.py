"""Figures as tables and entities in colour, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pybert_crf.annotation.entities import Entity
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.text.tagging.schemes import PLAIN

_STYLES = (
    "black on cyan",
    "black on green",
    "black on yellow",
    "black on magenta",
    "white on blue",
    "black on white",
)


def show_report(report: Report, console: Console | None = None) -> None:
    """Print precision, recall and F1 for each type and overall: of entities conlleval-style and strict."""
    plain = report.scheme == PLAIN
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tag" if plain else "type")
    for style in ("",) if plain else ("\nconlleval", "\nstrict"):
        for column in ("precision", "recall", "F1"):
            table.add_column(f"{column}{style}", justify="right")
    table.add_column("units" if plain else "entities", justify="right")
    strict = dict(report.strict.rows())
    for name, row in report.conlleval.rows():
        readings = (row,) if plain else (row, strict.get(name, row))
        figures = [getattr(r, c) for r in readings for c in ("precision", "recall", "f1")]
        shown = report.average_name if name == "micro" else name
        table.add_row(shown, *(f"{figure:.4f}" for figure in figures), f"{row.support:,}")
    shown_on = console or Console()
    shown_on.print(table)
    if report.unseen is not None:
        told = f"recall of the {report.unseen[0]:,} words that training had not seen"
        shown_on.print(f"{told}: {report.unseen_recall:.4f}", highlight=False)


def highlight(text: str, entities: Sequence[Entity], labels: Sequence[str], *, colour: bool) -> Text:
    """`text` with its entities marked: in colour, or as ``[text|LABEL]`` without colour."""
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
