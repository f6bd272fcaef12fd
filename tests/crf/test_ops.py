"""The ops under torch's own checks, under torch.compile, on threads and in a forked child."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from cases import COMPILED, Problem, each, each_backend, layer, problem
from torch import Tensor

from pybert_crf.crf import ops


@pytest.fixture
def threads() -> Iterator[int]:
    """The number of threads before the test, restored after it."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def chain(case: Problem, grad: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What every op takes first; with ``grad``, ready to be differentiated."""
    emissions, _, mask, start, transitions, end = case
    for part in (emissions, start, transitions, end):
        part.requires_grad_(grad)
    return emissions, mask, start, transitions, end


@each(COMPILED)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_checks_the_ops(backend: str) -> None:
    case = problem(3, 5, 2)
    registered = torch.ops.pybert_crf
    torch.library.opcheck(registered.viterbi.default, (*chain(case), backend))
    log_z, alphas = ops.log_partition(*chain(case), backend)
    arguments = (torch.ones_like(log_z), *chain(case), alphas, log_z, backend)
    torch.library.opcheck(registered.log_partition_backward.default, arguments)
    torch.library.opcheck(registered.log_partition.default, (*chain(case, grad=True), backend))


@each(COMPILED)
def test_compiles_to_one_graph(backend: str) -> None:
    case = problem(3, 5, 2)
    crf = layer(case, backend)

    def loss(emissions: Tensor) -> Tensor:
        result: Tensor = -crf(emissions, case.tags, case.mask, reduction="mean")
        return result

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    results = []
    for function in (loss, compiled):
        emissions = case.emissions.clone().requires_grad_()
        value: Any = function(emissions)
        value.backward()
        results.append((value.detach(), emissions.grad))
    torch.testing.assert_close(*results)


def everything(case: Problem, backend: str) -> list[Tensor]:
    log_z, alphas = ops.log_partition(*chain(case), backend)
    gradients = ops.log_partition_backward(torch.ones_like(log_z), *chain(case), alphas, log_z, backend)
    return [log_z, alphas, *gradients, *ops.viterbi(*chain(case), backend)]


@each(COMPILED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_threads_change_no_bit(backend: str, dtype: torch.dtype, threads: int) -> None:
    case = problem(37, 67, 13).to(dtype)
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(everything(case, backend))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@each(COMPILED)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")
def test_a_forked_child_can_use_threads_too(backend: str, threads: int) -> None:
    torch.set_num_threads(2)
    case = problem(37, 67, 13)
    expected = everything(case, backend)  # the parent's threads are running now

    def child() -> None:
        same = [torch.equal(a, b) for a, b in zip(everything(case, backend), expected, strict=True)]
        raise SystemExit(0 if all(same) else 3)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(timeout=60)
    hung = process.is_alive()
    process.kill()
    process.join()
    assert not hung
    assert process.exitcode == 0


@each_backend
def test_decode_inside_autocast_and_no_grad(backend: str) -> None:
    case = problem(3, 5, 7).to(torch.float32)
    crf = layer(case, backend)
    expected = crf.decode(case.emissions, case.mask)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert crf.decode(case.emissions, case.mask) == expected
        likelihood = crf(case.emissions, case.tags, case.mask)
    torch.testing.assert_close(likelihood, crf(case.emissions, case.tags, case.mask))
