"""The chart of a run: one panel an operation, one colour a contender, times on a log scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from report import unique

# Okabe and Ito's colours, which the colour-blind can tell apart. Ours are circles.
OURS = {"native": "#D55E00", "numba": "#E69F00", "reference": "#CC79A7"}
PEERS = {"pytorch-crf": "#000000", "bert4torch": "#56B4E9", "torbi": "#7F3C8D"}
COLOURS = {**OURS, **PEERS}


def draw(rows: Sequence[dict[str, Any]], path: Path, threads: int = 2) -> None:
    """Write the chart; the file's name says the format (svg, png).

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Text stays text, and nothing in the file depends on when, where or in which run it was drawn.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "crf-speed", "font.size": 9})
    groups = [f"{operation}, {threads} threads" for operation in ("loss_backward", "decode", "viterbi")]
    shapes, names = unique(rows, "shape"), unique(rows, "contender")
    figure, axes = pyplot.subplots(1, len(groups), figsize=(11, 0.75 * len(shapes) + 1.7), sharey=True)
    handles: dict[str, Any] = {}
    for panel, group in zip(axes, groups, strict=True):
        panel.set_title(group)
        panel.set_xlabel("milliseconds")
        for place, name in enumerate(names):  # at its own height in a shape's row, so that none hides another
            found = [row for row in rows if row["group"] == group and row["contender"] == name]
            heights = [shapes.index(row["shape"]) + 0.7 * ((place + 0.5) / len(names) - 0.5) for row in found]
            points = [row["median"] * 1e3 for row in found], heights
            style = {"color": COLOURS[name], "marker": "o" if name in OURS else "D", "s": 34, "zorder": 3}
            if found:
                handles[name] = panel.scatter(*points, **style)
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.grid(color="#eeeeee", zorder=0)
    axes[0].set_yticks(range(len(shapes)), [", ".join(map(str, shape)) for shape in shapes])
    axes[0].set_ylabel("batch, time, tags")
    axes[0].set_ylim(len(shapes) - 0.5, -0.5)
    figure.legend(handles.values(), handles, loc="lower center", ncols=len(handles), frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    undated = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, dpi=150, facecolor="white", metadata=undated)
    pyplot.close(figure)
