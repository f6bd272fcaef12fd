"""The speed of the CRF: every backend of ours and the CRFs of other packages, side by side.

    pytest benchmarks/bench_crf.py --benchmark-json crf.json && python benchmarks/report.py crf.json

Each contender is first proved equal to the others at each shape; one that disagrees fails and is not timed.
They take turns, so that a change in the machine's speed meets all of them. With `--device cuda` it times our
kernels and pytorch-crf on the GPU, from an idle device to an idle device again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from crf_speed.contenders import OPERATIONS, OURS, Contender, Native
from crf_speed.equality import Errors, Exam
from crf_speed.peers import PEERS, PytorchCRF
from crf_speed.problem import GPU_SHAPES, QUICK_SHAPES, SHAPES, Shape, problem
from machine import threads

TURNS = 3
ALL = (*OURS, *PEERS)

Call = Callable[[], Any]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize by shape, threads, operation, turn and contender; contenders change fastest."""
    option = metafunc.config.getoption
    on_gpu = option("--device") != "cpu"
    shapes = QUICK_SHAPES if option("--quick") else GPU_SHAPES if on_gpu else SHAPES
    numbers, kinds = ([1], (Native, PytorchCRF)) if on_gpu else (option("--threads"), ALL)
    cases = [
        case
        for case in product(shapes, numbers, OPERATIONS, range(TURNS), kinds)
        if case[2] in case[4].operations
    ]
    names = "shape", "number", "operation", "turn", "kind"
    metafunc.parametrize(names, cases, ids=lambda value: getattr(value, "name", str(value)))


@pytest.mark.benchmark(max_time=0.1, min_rounds=1, disable_gc=True)
def test_speed(
    benchmark: Any,
    pytestconfig: pytest.Config,
    shape: Shape,
    number: int,
    operation: str,
    turn: int,
    kind: type[Contender],
) -> None:
    """Time one operation of one contender at one shape with one number of threads."""
    device = pytestconfig.getoption("--device")
    if why := kind.missing(device):
        pytest.skip(f"{kind.name}: {why}")
    errors = prove(kind, shape, device)
    benchmark.group = f"{operation}, {device if device != 'cpu' else f'{number} threads'}"
    benchmark.extra_info.update(contender=kind.name, shape=shape, errors=errors._asdict())
    with threads(number):
        benchmark(waited(getattr(kind(exam(shape, device).case), operation), device))


@functools.cache
def exam(shape: Shape, device: str) -> Exam:
    """The problem of a shape and its answer."""
    return Exam(problem(shape).on(torch.device(device)))


@functools.cache
def prove(kind: type[Contender], shape: Shape, device: str) -> Errors:
    """Return the contender's float32 errors; raise DisagreementError unless it agrees at this shape."""
    return exam(shape, device).prove(kind)


def waited(call: Call, device: str) -> Call:
    """Wrap a call so that on a GPU it waits for the device."""

    def run() -> None:
        call()
        torch.cuda.synchronize()

    return call if device == "cpu" else run
