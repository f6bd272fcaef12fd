"""The speed of the CRF on a GPU: ours and pytorch-crf on the same device, and what it adds to training BERT.

    python benchmarks/bench_gpu.py --out benchmarks/results/NAME.json
    python benchmarks/bench_gpu.py --device cpu --quick  # tries the program out

At each shape all contenders are first proved equal; one that disagrees stops the run. Tables go to standard
output as Markdown. `crf_speed/device.py` says what the clocks are.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from crf_speed import bert_step, long_row
from crf_speed.contenders import Contender, Native, Numba, Ours, Reference
from crf_speed.device import SLOW, describe, graph_of, stream_times, waited
from crf_speed.device_table import device_report, device_targets
from crf_speed.equality import Exam, reason
from crf_speed.peer_layers import PytorchCRF
from crf_speed.problem import SHAPES, Shape, problem
from crf_speed.results import Results
from crf_speed.timing import Timing, measure

from pybert_crf.crf.registry import choose

CONTENDERS: tuple[type[Contender], ...] = (Native, Numba, Reference, PytorchCRF)
DEFAULT = ("native", "numba", "pytorch-crf")
OPERATIONS = ("loss_backward", "loss", "decode", "viterbi")
MORE_SHAPES: tuple[Shape, ...] = ((64, 512, 7), (256, 256, 29), (16, 512, 256))
ALL_SHAPES = sorted((*SHAPES, *MORE_SHAPES), key=lambda shape: shape[1] > 1000)  # the longest row last
QUICK_SHAPES: tuple[Shape, ...] = ((3, 16, 5), (2, 8, 9))
QUICK_STEPS = ((2, 16),)
QUICK_LENGTHS = (20, 100)
SECONDS = 0.1  # for each operation of each contender, by each clock
BEGUN = time.perf_counter()


def reason_on(kind: type[Contender], device: torch.device) -> str | None:
    """Why a contender cannot take part on the device, or None."""
    why = reason(kind)
    if why is None and issubclass(kind, Ours):
        try:
            choose(kind.backend, device.type)
        except (RuntimeError, ValueError) as error:
            return str(error)
    return why


def time_shape(
    results: Results, kinds: Sequence[type[Contender]], shape: Shape, device: torch.device, seconds: float
) -> None:
    """Prove all contenders at a shape, then time them by every clock, into the results."""
    _say(f"{shape}: proving")
    question = Exam(problem(shape).on(device))
    contenders = []
    for kind in kinds:
        errors = question.prove(kind)
        results.errors.append({"contender": kind.name, "shape": shape, **errors._asdict()})
        contenders.append(kind(question.case))
    for operation in OPERATIONS:
        _say(f"{shape}: timing {operation}")
        calls = {each.name: each.run(operation) for each in contenders if operation in each.operations}
        walls = measure({name: waited(call, device) for name, call in calls.items()}, seconds)
        for name, times in walls.items():
            results.timings.append(Timing.of(shape, 1, operation, name, times))
        for each in contenders:
            if operation in each.operations and (wall := statistics.median(walls[each.name])) < SLOW:
                _time_without_waiting(results, each, operation, device, wall, seconds)


def _time_without_waiting(
    results: Results, contender: Contender, operation: str, device: torch.device, wall: float, seconds: float
) -> None:
    shape, name, call = contender.case.shape, contender.name, contender.run(operation)
    times = stream_times(call, device, wall, seconds)
    results.timings.append(Timing.of(shape, 1, operation, name, times, "stream"))
    # Lists, and peers that look at their mask, cannot be captured: they wait for the device.
    if device.type == "cuda" and isinstance(contender, (Native, Numba)) and operation != "decode":
        try:
            replay = graph_of(call)
        except RuntimeError as error:
            why = f"{operation} is not captured in a graph: {str(error).splitlines()[0]}"
            results.skipped.append({"contender": name, "shape": shape, "reason": why})
            return
        times = stream_times(replay, device, wall, seconds)
        results.timings.append(Timing.of(shape, 1, operation, name, times, "graph"))


def run(
    results: Results,
    kinds: Sequence[type[Contender]],
    device: torch.device,
    shapes: Sequence[Shape],
    quick: bool,
    limit: float,
) -> None:
    """All, the most wanted first; what has not begun after `limit` seconds is left out by name."""
    results.missing = {kind.name: why for kind in kinds if (why := reason_on(kind, device))}
    present = [kind for kind in kinds if kind.name not in results.missing]
    seconds = 0.01 if quick else SECONDS

    def late(what: str, shape: tuple[int, ...]) -> bool:
        if time.perf_counter() - BEGUN > limit:
            why = f"{what} was not begun after {limit:.0f} seconds"
            results.skipped.append({"contender": "all", "shape": shape, "reason": why})
            return True
        return False

    for shape in shapes[:1]:
        time_shape(results, present, shape, device, seconds)
    crfs = [kind for kind in present if bert_step.takes_part(kind)]
    for step in QUICK_STEPS if quick else bert_step.SHAPES:
        if not late("the training step", step):
            _say(f"{step}: training steps of BERT")
            size = "tiny" if quick else "base"
            results.training += bert_step.time_steps(size, step, crfs, device, 5 * seconds)
    lengths = QUICK_LENGTHS if quick else long_row.LENGTHS
    for kind in present:
        if kind in (Native, Numba) and not late("the long row", (1, lengths[1], long_row.TAGS)):
            _say(f"long rows: {kind.name}")
            results.steps += long_row.time_positions(kind, lengths, device, seconds)
    for shape in shapes[1:]:
        if not late("the shape", shape):
            time_shape(results, present, shape, device, seconds)


def _say(words: str) -> None:
    print(f"{time.perf_counter() - BEGUN:5.0f} s  {words}", file=sys.stderr, flush=True)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    names = [kind.name for kind in CONTENDERS]
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--only", nargs="+", choices=names, default=DEFAULT, help="these contenders")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to try the program out")
    parser.add_argument("--limit", type=float, default=600, help="begin nothing after so many seconds")
    parser.add_argument("--read", type=Path, metavar="JSON", help="an earlier run's figures; measure nothing")
    return parser.parse_args(words)


def _measure(arguments: argparse.Namespace) -> Results:
    device = arguments.device
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; --device cpu --quick tries the program out")
    results = Results.begin()
    results.machine = {**describe(device), **results.machine}
    kinds = [kind for kind in CONTENDERS if kind.name in arguments.only]
    shapes = QUICK_SHAPES if arguments.quick else ALL_SHAPES
    try:
        run(results, kinds, device, shapes, arguments.quick, arguments.limit)
    finally:  # what was measured before an error is not lost
        if arguments.out:
            _write(results, arguments.out)
    return results


def _write(results: Results, path: Path) -> None:
    results.write(path, targets=[target._asdict() for target in device_targets(results)])


def main(words: Sequence[str] | None = None) -> None:
    """The command; `words` are its arguments."""
    arguments = _arguments(words)
    results = Results.read(arguments.read) if arguments.read else _measure(arguments)
    print(device_report(results))


if __name__ == "__main__":
    main()
