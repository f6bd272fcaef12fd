"""The tables of a run, as Markdown that can also be read on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crf_speed.contenders import OPERATIONS
from crf_speed.problem import Shape
from crf_speed.results import BASE, BASE_OPERATION, Results
from crf_speed.targets import LABELS, RATIOS, THREADS, Target, shape_name, speed_up, targets


def report(results: Results) -> str:
    """Everything, from the machine to whether each target is met."""
    parts = [heading(results)]
    for threads in sorted(results.threads(), reverse=True):
        parts += [_timing_table(results, threads, operation) for operation in _measured(results, threads)]
    parts += [*_two_threads(results), *_memory(results), *_imports(results), *rounding(results)]
    parts += [target_table(targets(results)), *left_out(results)]
    return "\n\n".join(parts) + "\n"


def timing_rows(
    results: Results, threads: int, operation: str, clock: str = "wall"
) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table: a row for each shape, a column for each contender.

    A cell is the median in milliseconds and how many times faster than pytorch-crf that is.
    """
    contenders = results.contenders(operation)
    wanted = threads == THREADS and any(operation in RATIOS.get(shape, {}) for shape in results.shapes())
    head = ["batch, time, tags", *contenders, *(["wanted of native", "met"] if wanted else [])]
    rows = []
    for shape in results.shapes():
        cells = [_cell(results, shape, threads, operation, contender, clock) for contender in contenders]
        if wanted:
            times = RATIOS.get(shape, {}).get(operation)
            measured = results.faster(shape, threads, operation, "native")
            cells.append("" if times is None else f"{times:g}×")
            cells.append("" if times is None or measured is None else "yes" if measured >= times else "no")
        rows.append([shape_name(shape), *cells])
    return head, rows


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its columns aligned."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def milliseconds(seconds: float) -> str:
    """Three digits that matter."""
    ms = seconds * 1e3
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.3g}" if ms >= 0.1 else f"{ms:.4f}"


def ratio(times: float) -> str:
    """Two digits that matter, and all of those before the point."""
    return f"{times:.0f}×" if times >= 10 else f"{times:.2g}×"


def _cell(results: Results, shape: Shape, threads: int, operation: str, contender: str, clock: str) -> str:
    median = results.median(shape, threads, operation, contender, clock)
    if median is None:
        return "–"
    faster = results.faster(shape, threads, operation, contender, clock)
    is_base = contender == BASE and operation not in BASE_OPERATION
    return milliseconds(median) + ("" if faster is None or is_base else f" ({ratio(faster)})")


def _measured(results: Results, threads: int) -> list[str]:
    found = {row.operation for row in results.timings if row.threads == threads}
    return [operation for operation in OPERATIONS if operation in found]


def _timing_table(results: Results, threads: int, operation: str) -> str:
    base = BASE_OPERATION.get(operation)
    against = f"; × is times faster than {BASE}" + (f"'s {LABELS[base]}" if base else "")
    title = f"### {_title(operation)}, {threads} thread{'s' if threads > 1 else ''}"
    return (
        f"{title}\n\nMedian milliseconds{against}.\n\n{markdown(*timing_rows(results, threads, operation))}"
    )


def _title(operation: str) -> str:
    return LABELS[operation][0].upper() + LABELS[operation][1:]


def heading(results: Results) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return (
        f"Measured on {results.date}; {machine}; {versions}. float32; lengths T/4..T, padded on the right; "
        "all contenders were proved equal first."
    )


def _two_threads(results: Results) -> Iterator[str]:
    if not {1, THREADS} <= set(results.threads()):
        return
    for contender in ("native", "native kernel", "numba"):
        operations = [each for each in OPERATIONS if contender in results.contenders(each)]
        if operations:
            head = ["batch, time, tags", *(LABELS[operation] for operation in operations)]
            rows = [
                [shape_name(shape), *(_speed_up(results, shape, each, contender) for each in operations)]
                for shape in results.shapes()
            ]
            yield f"### Two threads over one, {contender}\n\n{markdown(head, rows)}"


def _speed_up(results: Results, shape: Shape, operation: str, contender: str) -> str:
    times = speed_up(results, shape, operation, contender)
    return "–" if times is None else f"{times:.2f}"


def _memory(results: Results) -> Iterator[str]:
    if results.memory:
        rows = [[name, f"{times:.2f}"] for name, times in results.memory["multiples"].items()]
        table = markdown(["contender", "times the emissions' size"], rows)
        yield f"### Peak memory of loss + backward at ({shape_name(results.memory['shape'])})\n\n{table}"


def _imports(results: Results) -> Iterator[str]:
    if results.imports:
        alone = results.imports["torch"]
        rows = [
            [f"import {name}", f"{seconds:.3f}", f"{seconds / alone:.3f}"]
            for name, seconds in results.imports.items()
        ]
        yield "### Imports\n\n" + markdown(["fresh process", "seconds", "over `import torch`"], rows)


def rounding(results: Results) -> Iterator[str]:
    """The greatest float32 error over all shapes; the answer is float64's."""
    quantities = ("loss", "emissions", "transitions", "path")
    rows = []
    for contender in results.contenders():
        found = [each for each in results.errors if each["contender"] == contender]
        if found:
            rows.append([contender, *(f"{max(each[name] for each in found):.1e}" for name in quantities)])
    if rows:
        head = [
            "contender",
            "loss (relative)",
            "emissions' gradient",
            "parameters' gradients (relative)",
            "path's score (relative)",
        ]
        yield "### Greatest error in float32, over all shapes\n\n" + markdown(head, rows)


def target_table(wanted: Sequence[Target]) -> str:
    rows = [
        [
            each.what,
            f"{each.bound} {each.wanted:.4g}",
            _figure(each.measured),
            "not measured" if each.met is None else "yes" if each.met else "no",
        ]
        for each in wanted
    ]
    return f"### Targets\n\n{markdown(['what', 'wanted', 'measured', 'met'], rows)}"


def _figure(number: float | None) -> str:
    return "–" if number is None else f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def left_out(results: Results) -> Iterator[str]:
    lines = [f"- {name}: {why}" for name, why in results.missing.items()]
    lines += [
        f"- {each['contender']} at ({shape_name(each['shape'])}): {each['reason']}"
        for each in results.skipped
    ]
    if lines:
        yield "Left out:\n\n" + "\n".join(lines)
