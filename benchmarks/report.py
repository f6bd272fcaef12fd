"""The tables of a benchmark's JSON, as Markdown that can also be read on a terminal.

python benchmarks/report.py crf.json [--chart docs/images/crf-speed.svg]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The others of a group are compared with these.
BASES = ("pytorch-crf", "cross-entropy", "transformers", "padded")


def report(figures: dict[str, Any]) -> str:
    """Where the figures are from, and a table for each group."""
    facts = [f"{key} {value}" for part in ("machine", "versions") for key, value in figures[part].items()]
    rows = figures["benchmarks"]
    parts = [f"Measured on {figures['date']}; {', '.join(facts)}. All contenders were proved equal first."]
    parts += [f"### {group}\n\n{table(rows, group)}" for group in unique(rows, "group")]
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[dict[str, Any]], group: str) -> str:
    """A row for each shape, a column for each contender: median milliseconds, × times faster than the base.

    pytorch-crf decodes to lists only, so `viterbi` is compared with that.
    """
    here = [row for row in rows if row["group"] == group]
    names = unique(here, "contender")
    medians = {(name_of(row), row["contender"]): row["median"] for row in here}
    of_base = {
        name_of(row): row["median"]
        for row in rows
        if row["group"] == group.replace("viterbi", "decode") and row["contender"] in BASES
    }
    lines = []
    for shape in dict.fromkeys(map(name_of, here)):
        cells = [_cell(medians.get((shape, name)), name, of_base.get(shape)) for name in names]
        lines.append([shape, *cells])
    return markdown(["shape", *names], lines)


def name_of(row: dict[str, Any]) -> str:
    """The name of a row's shape."""
    return ", ".join(map(str, row["shape"]))


def _cell(median: float | None, name: str, base: float | None) -> str:
    if median is None:
        return "–"
    ms = median * 1e3
    text = f"{ms:.0f}" if ms >= 100 else f"{ms:.3g}" if ms >= 0.1 else f"{ms:.4f}"
    if base is None or name in BASES:
        return text
    times = base / median
    return f"{text} ({times:.0f}×)" if times >= 10 else f"{text} ({times:.2g}×)"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its columns aligned."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    cells = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def unique(rows: Sequence[dict[str, Any]], key: str) -> list[Any]:
    """The values of a column, each once, in their order."""
    return list({str(row[key]): row[key] for row in rows}.values())


def main(words: Sequence[str] | None = None) -> None:
    """The command; `words` are its arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json", type=Path)
    parser.add_argument("--chart", type=Path, help="draw the CRF's chart (svg or png; needs matplotlib)")
    arguments = parser.parse_args(words)
    figures = json.loads(arguments.json.read_text(encoding="utf-8"))
    print(report(figures))
    if arguments.chart:
        from crf_speed.chart import draw

        draw(figures["benchmarks"], arguments.chart)


if __name__ == "__main__":
    main()
