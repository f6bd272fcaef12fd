"""What the project wants of its CRF's speed, and whether a run met it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from crf_speed.problem import Shape
from crf_speed.results import Results

THREADS = 2

# Times faster than pytorch-crf; viterbi (tensors) against its decode (lists).
RATIOS: dict[Shape, dict[str, float]] = {
    (16, 256, 7): {"loss_backward": 250, "decode": 100, "viterbi": 300},
    (32, 128, 29): {"loss_backward": 100, "decode": 60, "viterbi": 100},
    (8, 512, 29): {"loss_backward": 250, "decode": 60, "viterbi": 100},
    (32, 128, 128): {"loss_backward": 40, "decode": 15, "viterbi": 15},
}

# A hand-written AVX2 kernel and pytorch-crf, in milliseconds on the machine where both were timed. The bare
# native kernel is to take at most 1.3 times as long as the former: compared as ratios to pytorch-crf here.
HAND_WRITTEN_SHAPE: Shape = (16, 256, 7)
HAND_WRITTEN = {"forward_backward": (0.063, 71.0), "viterbi": (0.016, 14.0)}
OVER_HAND_WRITTEN = 1.3

NUMBA_OVER_NATIVE = 3.0
TWO_THREADS = 1.7  # times one thread, where there are at least so many sequences:
SEQUENCES = 16
MEMORY_SHAPE: Shape = (32, 512, 128)
MEMORY = 3.0  # times the emissions' size
IMPORT = 1.15  # times `import torch`

LABELS = {
    "loss_backward": "loss + backward",
    "loss": "loss alone",
    "decode": "decode to lists",
    "viterbi": "viterbi to tensors",
    "forward_backward": "log Z and its gradient",
}


class Target(NamedTuple):
    """Something wanted. `measured` and `met` are None where the run cannot tell."""

    what: str
    bound: str  # "at least" or "at most"
    wanted: float
    measured: float | None
    met: bool | None


def targets(results: Results) -> list[Target]:
    """All that is wanted, in the order of the issue that asks for it."""
    return [
        *_against_pytorch_crf(results),
        *_against_hand_written(results),
        *_numba(results),
        *_two_threads(results),
        judge(
            "peak memory of loss + backward beyond its inputs, over the emissions' size, "
            f"{shape_name(MEMORY_SHAPE)}",
            "at most",
            MEMORY,
            _memory(results),
        ),
        judge("`import torch, pybert_crf` over `import torch`", "at most", IMPORT, _import_ratio(results)),
    ]


def shape_name(shape: Shape) -> str:
    return ", ".join(map(str, shape))


def judge(what: str, bound: str, wanted: float, measured: float | None) -> Target:
    met = None if measured is None else measured >= wanted if bound == "at least" else measured <= wanted
    return Target(what, bound, wanted, measured, met)


def _against_pytorch_crf(results: Results) -> Iterator[Target]:
    for shape, wanted in RATIOS.items():
        for operation, times in wanted.items():
            what = f"native over pytorch-crf, {LABELS[operation]}, {shape_name(shape)}"
            yield judge(what, "at least", times, results.faster(shape, THREADS, operation, "native"))


def _against_hand_written(results: Results) -> Iterator[Target]:
    for operation, (kernel, base) in HAND_WRITTEN.items():
        what = f"native kernel over pytorch-crf, {LABELS[operation]}, {shape_name(HAND_WRITTEN_SHAPE)}"
        measured = results.faster(HAND_WRITTEN_SHAPE, THREADS, operation, "native kernel")
        yield judge(what, "at least", base / kernel / OVER_HAND_WRITTEN, measured)


def _numba(results: Results) -> Iterator[Target]:
    for operation in ("loss_backward", "loss", "decode", "viterbi"):
        over = {
            shape: numba / native
            for shape in results.shapes()
            if (numba := results.median(shape, THREADS, operation, "numba")) is not None
            and (native := results.median(shape, THREADS, operation, "native")) is not None
        }
        worst = max(over, key=over.__getitem__, default=None)
        yield judge(
            f"time of numba over native, {LABELS[operation]}{_worst(worst)}",
            "at most",
            NUMBA_OVER_NATIVE,
            None if worst is None else over[worst],
        )


def _two_threads(results: Results) -> Iterator[Target]:
    for contender, operations in (
        ("native", ("loss_backward", "viterbi")),
        ("native kernel", ("loss_backward", "viterbi")),
    ):
        for operation in operations:
            ratios = {
                shape: ratio
                for shape in results.shapes()
                if shape[0] >= SEQUENCES
                and (ratio := speed_up(results, shape, operation, contender)) is not None
            }
            worst = min(ratios, key=ratios.__getitem__, default=None)
            yield judge(
                f"{contender}, 2 threads over 1, {LABELS[operation]}{_worst(worst)}",
                "at least",
                TWO_THREADS,
                None if worst is None else ratios[worst],
            )


def speed_up(results: Results, shape: Shape, operation: str, contender: str) -> float | None:
    """How many times faster with two threads than with one."""
    one, two = (results.median(shape, threads, operation, contender) for threads in (1, THREADS))
    return one / two if one is not None and two is not None else None


def _worst(shape: Shape | None) -> str:
    return "" if shape is None else f", worst shape ({shape_name(shape)})"


def _memory(results: Results) -> float | None:
    measured = results.memory.get("shape") == MEMORY_SHAPE
    return results.memory["multiples"].get("native") if measured else None


def _import_ratio(results: Results) -> float | None:
    with_us, alone = (results.imports.get(name) for name in ("torch, pybert_crf", "torch"))
    return with_us / alone if with_us is not None and alone is not None else None
