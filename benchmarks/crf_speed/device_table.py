"""The tables of a run on a device, and what is wanted of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from crf_speed.bert_step import WITHOUT, added
from crf_speed.contenders import OPERATIONS
from crf_speed.device import CLOCKS
from crf_speed.long_row import OVER_COUNTED, over_counted
from crf_speed.problem import Shape
from crf_speed.results import Results
from crf_speed.table import heading, left_out, markdown, milliseconds, rounding, target_table, timing_rows
from crf_speed.targets import LABELS, Target, judge, shape_name

# What is wanted on an H200: times faster than pytorch-crf on the same GPU, by the wall's clock.
RATIOS: dict[Shape, dict[str, float]] = {(16, 256, 7): {"loss_backward": 200, "decode": 200}}
ADDED = 0.03  # share of a BERT-base step, at each of its shapes
WANTED_SIZE = "base"

CLOCK_LABELS = {
    "wall": "one call, waited for",
    "stream": "one of many calls, not waited for",
    "graph": "replay of a CUDA graph",
}


def device_targets(results: Results) -> list[Target]:
    """All that is wanted of our CRF on a GPU."""
    wanted = [
        judge(
            f"native over pytorch-crf, {LABELS[operation]}, {shape_name(shape)}",
            "at least",
            times,
            results.faster(shape, 1, operation, "native"),
        )
        for shape, ratios in RATIOS.items()
        for operation, times in ratios.items()
    ]
    for (size, shape), rows in _steps_of(results):
        if size == WANTED_SIZE:
            what = f"share that native adds to a BERT-{size} step, {shape_name(shape)}"
            wanted.append(judge(what, "at most", ADDED, added(rows, "native", "stream")))
    for row in results.steps:
        if row["contender"] == "native":
            what = f"clock cycles of a position over those counted, {LABELS[row['operation']]}"
            wanted.append(judge(what, "at most", OVER_COUNTED, over_counted(row)))
    return wanted


def device_report(results: Results) -> str:
    """Everything, as Markdown; what is wanted, which is the shortest, last."""
    parts = [heading(results), *_timings(results), *_training(results), *_positions(results)]
    parts += [*rounding(results), *left_out(results), target_table(device_targets(results))]
    return "\n\n".join(parts) + "\n"


def _timings(results: Results) -> Iterator[str]:
    for operation in OPERATIONS:
        for clock in CLOCKS:
            head, rows = timing_rows(results, 1, operation, clock)
            if any(cell != "–" for row in rows for cell in row[1:]):
                title = f"### {LABELS[operation]}: {CLOCK_LABELS[clock]}"
                yield (
                    f"{title}\n\nMedian milliseconds; × is times faster than pytorch-crf by the same "
                    f"clock.\n\n{markdown(head, rows)}"
                )


def _training(results: Results) -> Iterator[str]:
    if results.training:
        head = ["encoder", "batch, time", "loss", "waited for", "not waited for", "added"]
        rows = []
        for (size, shape), steps in _steps_of(results):
            for row in steps:
                share = added(steps, row["loss"], "stream")
                times = [milliseconds(row[clock]) for clock in ("wall", "stream")]
                more = "" if row["loss"] == WITHOUT or share is None else f"{share:.1%}"
                rows.append([size, shape_name(shape), row["loss"], *times, more])
        yield (
            "### Training step of BERT, bfloat16\n\nMedian milliseconds; `added` is the share beyond the "
            f"step with {WITHOUT}, not waited for.\n\n{markdown(head, rows)}"
        )


def _positions(results: Results) -> Iterator[str]:
    if results.steps:
        head = ["contender", "operation", "ns a position", "SM MHz", "cycles a position", "counted"]
        fields = ("nanoseconds of a position", "SM MHz", "cycles of a position", "cycles counted")
        rows = [
            [row["contender"], LABELS[row["operation"]], *(_number(row[field]) for field in fields)]
            for row in results.steps
        ]
        lengths = " and ".join(f"{length:,}" for length in results.steps[0]["lengths"])
        title = f"### A position of one row, by the difference of rows of {lengths}"
        yield f"{title}\n\n{markdown(head, rows)}"


def _steps_of(results: Results) -> Iterator[tuple[tuple[str, Any], list[dict[str, Any]]]]:
    by = groupby(results.training, key=lambda row: (row["size"], tuple(row["shape"])))
    return ((key, list(rows)) for key, rows in by)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"
