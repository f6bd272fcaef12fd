"""The chart of a run: one panel an operation, one colour a contender, times on a log scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crf_speed.results import Results
from crf_speed.targets import LABELS, shape_name

# Okabe and Ito's colours, which the colour-blind can tell apart, and two greys.
COLOURS = {
    "native": "#D55E00",
    "numba": "#E69F00",
    "reference": "#CC79A7",
    "native kernel": "#882255",
    "pytorch-crf": "#000000",
    "TorchCRF": "#0072B2",
    "bert4torch": "#56B4E9",
    "torch-struct": "#009E73",
    "flash-semicrf": "#888888",
    "torbi": "#7F3C8D",
}
PANELS = ("loss_backward", "decode", "viterbi")


def draw(results: Results, path: Path, threads: int) -> None:
    """Write the chart; the file's name says the format (svg, png).

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Text stays text, and nothing in the file depends on when, where or in which run it was drawn.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "crf-speed", "font.size": 9})
    shapes = results.shapes()
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(11, 0.75 * len(shapes) + 1.7), sharey=True)
    handles: dict[str, Any] = {}
    for panel, operation in zip(axes, PANELS, strict=True):
        _panel(panel, results, threads, operation, handles)
    axes[0].set_yticks(range(len(shapes)), [shape_name(shape) for shape in shapes])
    axes[0].set_ylabel("batch, time, tags")
    axes[0].set_ylim(len(shapes) - 0.5, -0.5)
    figure.legend(handles.values(), handles, loc="lower center", ncols=len(handles), frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    undated = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, dpi=150, facecolor="white", metadata=undated)
    pyplot.close(figure)


def _panel(panel: Any, results: Results, threads: int, operation: str, handles: dict[str, Any]) -> None:
    shapes = results.shapes()
    order = [name for name in results.contenders() if name != "native kernel"]
    for place, name in enumerate(order):
        found = [(results.median(shape, threads, operation, name), row) for row, shape in enumerate(shapes)]
        points = [(median * 1e3, row) for median, row in found if median is not None]
        if not points:
            continue
        # Each contender keeps its own height within a row, so that none hides another.
        heights = [row + 0.7 * ((place + 0.5) / len(order) - 0.5) for _, row in points]
        ours = name in ("native", "numba", "reference")
        handles[name] = panel.scatter(
            [ms for ms, _ in points],
            heights,
            s=34,
            color=COLOURS[name],
            marker="o" if ours else "D",
            label=name,
            zorder=3,
        )
    for row in range(len(shapes) - 1):
        panel.axhline(row + 0.5, color="#dddddd", linewidth=0.8)
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter("{x:g}")
    panel.grid(axis="x", color="#eeeeee", zorder=0)
    panel.tick_params(axis="y", length=0)
    panel.set_title(LABELS[operation])
    panel.set_xlabel(f"milliseconds, {threads} thread{'s' if threads > 1 else ''}")
