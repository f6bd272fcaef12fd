"""The speed of the CRF: every backend of ours and the CRFs of other packages, side by side.

    pytest benchmarks --benchmark-only                    # each case by itself, with pytest-benchmark
    python benchmarks/bench_crf.py --out benchmarks/results/NAME.json --chart docs/images/crf-speed.svg

The second does it all in one run: it proves at each shape that all contenders agree, times them in turns, and
prints the tables as Markdown. A contender that disagrees stops the run.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from crf_speed.contenders import OPERATIONS, OURS, Contender
from crf_speed.equality import Exam, reason
from crf_speed.peers import PEERS
from crf_speed.problem import SHAPES, Shape, problem
from crf_speed.process import import_times, peak_memory
from crf_speed.results import BASE, Results
from crf_speed.table import report
from crf_speed.targets import MEMORY_SHAPE, THREADS, targets
from crf_speed.timing import Timing, measure, threads

ALL = (*OURS, *PEERS)
NAMES = [kind.name for kind in ALL]
BEGUN = time.perf_counter()
SECONDS = 0.2  # for each operation of each contender
QUICK_SHAPES: tuple[Shape, ...] = ((3, 16, 5), (2, 8, 9))


def _name(operation: str, shape: Shape, number: int, kind: type[Contender]) -> str:
    return f"{operation}-{'x'.join(map(str, shape))}-{number}-{kind.name.replace(' ', '_')}"


CASES = [
    pytest.param(kind, shape, number, operation, id=_name(operation, shape, number, kind))
    for shape in SHAPES
    for number in (THREADS, 1)
    for operation in OPERATIONS
    for kind in ALL
    if operation in kind.operations
]


@pytest.mark.parametrize(("kind", "shape", "number", "operation"), CASES)
def test_speed(
    benchmark: Any,
    request: pytest.FixtureRequest,
    kind: type[Contender],
    shape: Shape,
    number: int,
    operation: str,
) -> None:
    """One operation of one contender at one shape with one number of threads."""
    why = reason(kind) or kind.excuse(shape)
    if why:
        pytest.skip(f"{kind.name}: {why}")
    prove_once(kind, shape)
    benchmark.group = f"{operation} {shape}, {number} threads"
    with threads(number):
        call = kind(exam(shape).case).run(operation)
        taken = measure({kind.name: call}, SECONDS / 10)[kind.name]
        seconds = min(SECONDS, float(request.config.getoption("benchmark_max_time")))
        rounds = max(1, min(1000, int(seconds / min(taken))))
        benchmark.pedantic(call, rounds=rounds, warmup_rounds=0 if rounds == 1 else 1)


@functools.cache
def exam(shape: Shape) -> Exam:
    """The problem of a shape and its answer."""
    return Exam(problem(shape))


@functools.cache
def prove_once(kind: type[Contender], shape: Shape) -> None:
    """DisagreementError unless the contender agrees at this shape."""
    exam(shape).prove(kind)


def run(
    results: Results,
    kinds: Sequence[type[Contender]],
    shapes: Sequence[Shape],
    numbers: Sequence[int],
    seconds: float,
) -> None:
    """Prove all contenders at all shapes, then time them, into the results.

    Args:
        results: where the figures go.
        kinds: who takes part, as far as installed.
        shapes: of the problems.
        numbers: of threads.
        seconds: about what each operation of each contender gets.

    Raises:
        DisagreementError: a contender's answer is not that of the others.
    """
    results.missing = {kind.name: why for kind in kinds if (why := reason(kind))}
    present = [kind for kind in kinds if kind.name not in results.missing]
    proved = {shape: _proved(results, present, shape) for shape in shapes}
    for shape, contenders in proved.items():
        for operation in OPERATIONS:
            _say(f"{shape}: timing {operation}")
            calls = {each.name: each.run(operation) for each in contenders if operation in each.operations}
            for number in numbers:
                with threads(number):
                    for name, taken in measure(calls, seconds).items():
                        results.timings.append(Timing.of(shape, number, operation, name, taken))


def _proved(results: Results, kinds: Sequence[type[Contender]], shape: Shape) -> list[Contender]:
    """Those that run the shape, each proved equal to the others, with float32 problems."""
    _say(f"{shape}: proving")
    question = Exam(problem(shape))
    contenders = []
    for kind in kinds:
        if why := kind.excuse(shape):
            results.skipped.append({"contender": kind.name, "shape": shape, "reason": why})
            continue
        found = question.prove(kind)
        results.errors.append({"contender": kind.name, "shape": shape, **found._asdict()})
        contenders.append(kind(question.case))
    return contenders


def measure_processes(results: Results, shape: Shape, import_repeats: int) -> None:
    """Peak memory and import times into the results; memory is left out where the system cannot tell it."""
    _say("peak memory and imports")
    kinds = [kind for kind in ALL if kind.name in ("native", BASE) and reason(kind) is None]
    try:
        multiples = {kind.name: peak_memory(kind.name, shape, THREADS) for kind in kinds}
        results.memory = {"shape": shape, "threads": THREADS, "multiples": multiples}
    except OSError as error:
        _say(str(error))
    results.imports = import_times(import_repeats)


def _say(words: str) -> None:
    print(f"{time.perf_counter() - BEGUN:5.0f} s  {words}", file=sys.stderr, flush=True)


def _shape(text: str) -> Shape:
    try:
        batch, time, tags = map(int, text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected BATCH,TIME,TAGS, got {text!r}") from error
    if batch < 1 or time < 2 or tags < 1:
        raise argparse.ArgumentTypeError(f"at least 1,2,1, got {text}")
    return batch, time, tags


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--chart", type=Path, help="draw the chart (svg or png; needs matplotlib)")
    parser.add_argument("--threads", type=int, nargs="+", default=[THREADS, 1])
    parser.add_argument("--shapes", type=_shape, nargs="+", metavar="B,T,K", help="instead of all")
    parser.add_argument("--only", nargs="+", choices=NAMES, help="these contenders, and no processes")
    parser.add_argument("--without", nargs="+", choices=NAMES, default=[], help="all but these contenders")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each operation of each contender")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to try the program out")
    parser.add_argument("--read", type=Path, metavar="JSON", help="an earlier run's figures; measure nothing")
    return parser.parse_args(words)


def _measure(arguments: argparse.Namespace) -> Results:
    results, quick = Results.begin(), arguments.quick
    if not arguments.only:
        measure_processes(results, QUICK_SHAPES[0] if quick else MEMORY_SHAPE, 1 if quick else 7)
    names = {*(arguments.only or NAMES)} - {*arguments.without}
    kinds = [kind for kind in ALL if kind.name in names]
    shapes = arguments.shapes or (QUICK_SHAPES if quick else SHAPES)
    run(results, kinds, shapes, arguments.threads, 0.01 if quick else arguments.seconds)
    return results


def main(words: Sequence[str] | None = None) -> None:
    """The command; `words` are its arguments."""
    arguments = _arguments(words)
    results = Results.read(arguments.read) if arguments.read else _measure(arguments)
    print(report(results))
    if arguments.out:
        results.write(arguments.out, targets=[target._asdict() for target in targets(results)])
    if arguments.chart:
        from crf_speed.chart import draw

        draw(results, arguments.chart, max(results.threads()))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"a measuring process failed: {' '.join(error.cmd[1:])}")
