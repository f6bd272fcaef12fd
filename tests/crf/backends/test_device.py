"""Tests for a GPU alone: streams, graphs, no waiting for the device, its assertions, its group sizes.

Not collected on the CPU (conftest.py).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from cases import COMPILED, DEVICE, Case, chain_of, each, layer, problem
from torch import Tensor

from pybert_crf.crf import autograd

if DEVICE.type != "cuda":
    pytest.skip("streams and graphs as CUDA has them", allow_module_level=True)

# One tag, and both sides of every size of a group of lanes: 8, 16, 32 of a warp, then blocks.
TAGS = [1, 7, 8, 9, 16, 17, 32, 33, 64, 257, 1024]


def everything(case: Case, backend: str) -> list[Tensor]:
    """The results of every operation on a problem. Nothing here waits for the device."""
    chain = chain_of(case)
    leaves = (chain.emissions, chain.start, chain.transitions, chain.end)
    for leaf in leaves:
        leaf.requires_grad_()
    log_z = autograd.log_partition(chain, backend)
    likelihood = autograd.log_likelihood(case.tags, chain, backend)
    results = [log_z, *torch.autograd.grad(log_z.sum(), leaves)]
    results += [likelihood, *torch.autograd.grad(likelihood.sum(), leaves)]
    results += [autograd.marginals(chain, backend), autograd.log_alphas(chain, backend)]
    uniforms = torch.linspace(0, 0.99, 2 * case.mask.numel(), dtype=torch.float64).reshape(
        2, *case.mask.shape
    )
    with torch.no_grad():
        results += [*autograd.viterbi(chain, backend), *autograd.k_best(3, chain, backend)]
        results.append(autograd.sample(uniforms, chain, backend))
    return [result.detach() for result in results]


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    """Make it an error if the host waits for the device."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.reduced
@each(COMPILED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_tags", TAGS)
def test_every_operation_at_every_group_size(backend: str, num_tags: int, dtype: torch.dtype) -> None:
    case = problem(3, 4, num_tags, seed=num_tags)
    found = everything(case.to(dtype), backend)
    for ours, expected in zip(found, everything(case, "reference"), strict=True):
        torch.testing.assert_close(ours.double(), expected.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("num_tags", [1025, 1500])
def test_more_tags_than_a_block_has_threads_are_refused(num_tags: int) -> None:
    if "native" not in COMPILED:
        pytest.skip("the compiled extension has no kernels for this device")
    case = problem(2, 3, num_tags).to(torch.float32)
    with pytest.raises(ValueError, match="reference"):  # what to use instead
        layer(case, "native").log_partition(case.emissions, case.mask)


@each(COMPILED)
@pytest.mark.parametrize("num_tags", [7, 33])
def test_the_same_bits_every_time(backend: str, num_tags: int) -> None:
    case = problem(70, 40, num_tags).to(torch.float32)
    first = everything(case, backend)
    for _ in range(5):
        assert all(map(torch.equal, first, everything(case, backend)))


@each(COMPILED)
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_nothing_waits_for_the_device(backend: str) -> None:
    """Also through the layer: loss, backward, tensor decode. The first round compiles and loads."""
    case = problem(5, 9, 7).to(torch.float32)
    crf, emissions = layer(case, backend), case.emissions.clone().requires_grad_()

    def run() -> None:
        everything(case, backend)
        for reduction in ("sum", "mean", "token_mean"):
            loss = -crf(emissions, case.tags, case.mask, reduction)
            loss.backward(retain_graph=True)
            (loss / 4).backward()
        crf.viterbi(emissions, case.mask)
        crf.marginals(emissions, case.mask)

    run()
    with no_waiting():
        run()


@each(COMPILED)
def test_captured_in_a_graph(backend: str) -> None:
    """Loss, gradients and best paths, replayed with other scores in the same place."""
    case, other = (problem(6, 11, 7, seed=seed).to(torch.float32) for seed in (1, 2))
    other = other._replace(mask=case.mask, start=case.start, transitions=case.transitions, end=case.end)
    crf, emissions = layer(case, backend), case.emissions.clone().requires_grad_()
    inputs = [emissions, *crf.parameters()]

    def run() -> list[Tensor]:
        loss = -crf(emissions, case.tags, case.mask)
        return [loss, *torch.autograd.grad(loss, inputs), *crf.viterbi(emissions, case.mask)]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # compiles, allocates
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = run()
    for given in (other, case):
        with torch.no_grad():
            emissions.copy_(given.emissions)
        graph.replay()
        replayed = [part.clone() for part in captured]
        assert all(map(torch.equal, replayed, run()))


@each(COMPILED)
def test_on_the_current_stream(backend: str) -> None:
    """Work on another stream sees what that stream computed before, and nothing earlier."""
    case = problem(8, 64, 7).to(torch.float32)
    crf = layer(case, backend)
    expected = crf.log_partition(case.emissions, case.mask)
    waiting = torch.zeros_like(case.emissions)
    torch.cuda.synchronize()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        torch.cuda._sleep(50_000_000)  # clock cycles, some 30 ms
        waiting.copy_(case.emissions)
        found = crf.log_partition(waiting, case.mask)
    side.synchronize()
    assert torch.equal(found, expected)


@each(COMPILED)
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one device only")
def test_on_the_tensors_device_whichever_is_current(backend: str) -> None:
    case = problem(4, 9, 7).to(torch.float32)
    there = Case(*(part.to("cuda:1") for part in case))
    found = layer(there, backend).to("cuda:1").log_partition(there.emissions, there.mask)
    assert found.device == torch.device("cuda:1")
    assert torch.equal(found.to(DEVICE), layer(case, backend).log_partition(case.emissions, case.mask))
    assert torch.cuda.current_device() == 0


@each(COMPILED)
@pytest.mark.parametrize("tag", [-100, 7])
def test_a_tag_out_of_range_is_an_assertion_on_the_device(backend: str, tag: int) -> None:
    """In a new process: after a device-side assertion a process cannot use the device."""
    code = f"""
import torch
from pybert_crf import CRF
crf = CRF(7, batch_first=True, backend={backend!r}).to("cuda")
tags = torch.zeros(3, 5, dtype=torch.int64, device="cuda")
tags[1, 3] = {tag}
mask = torch.ones(3, 5, dtype=torch.bool, device="cuda")
emissions = torch.randn(3, 5, 7, device="cuda")
mask[1, 3] = False
print(crf(emissions, tags, mask).isfinite().item())
mask[1, 3] = True
crf(emissions, tags, mask)
torch.cuda.synchronize()
print("not noticed")
"""
    environment = {**os.environ, "CUDA_LAUNCH_BLOCKING": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout.split() == ["True"], run.stdout + run.stderr
    assert run.returncode != 0
