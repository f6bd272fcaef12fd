"""The Numba backend's GPU kernels against the reference in float64.

test_numba_cuda.py runs this file in processes of their own: under Numba's simulator, where every GPU thread
is a Python thread and tensors are CPU tensors (plugin on_numba_cuda), and on the GPU where there is one.
"""

from __future__ import annotations

from types import ModuleType

import numba
import pytest
import torch
from cases import Problem, chain_of, layer, problem
from numba_cuda_cases import CASES, gaps
from torch import Tensor

from pybert_crf.crf import numba_cuda_backend, reference
from pybert_crf.crf.chain import Chain

IS_SIMULATED = bool(numba.config.ENABLE_CUDASIM)
DEVICE = "cpu" if IS_SIMULATED else "cuda"
on_a_gpu = pytest.mark.skipif(IS_SIMULATED, reason="the simulator has no streams")


def ask(backend: ModuleType, case: Problem, device: str) -> dict[str, Tensor]:
    """All that a backend can say of a problem."""
    case = Problem(*(part.to(device) for part in case))
    chain = Chain(
        case.emissions, case.mask, case.start, case.transitions, case.end
    )  # not cloned: of its strides
    B, T, _ = case.emissions.shape
    grad = torch.linspace(0.5, 1.5, B, dtype=case.emissions.dtype, device=device)
    uniforms = torch.rand(3, B, T, generator=torch.Generator().manual_seed(1)).double().to(device)
    log_z, messages = backend.log_partition(*chain)
    likelihood, _, its_messages = backend.log_likelihood(case.tags, *chain)
    tags, score = backend.viterbi(*chain)
    best, scores = backend.k_best(4, *chain)
    found = {
        "log_z": log_z,
        "likelihood": likelihood,
        "score": score,
        "scores": scores,
        "tags": tags.masked_fill((score == -torch.inf)[:, None], -1),
        "best": best,
        "log_alphas": backend.log_alphas(*chain),
        "sample": backend.sample(uniforms, *chain),
    }
    gradients = {
        "": backend.gradient(grad, None, *chain, messages, log_z),
        " of the likelihood": backend.gradient(grad, case.tags, *chain, its_messages, log_z),
    }
    for of, parts in gradients.items():
        for name, part in zip(("d_emissions", "d_start", "d_transitions", "d_end"), parts, strict=True):
            found[name + of] = part
    return {name: part.cpu() for name, part in found.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_all_that_can_be_asked(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]().to(torch.float32).to(torch.float64)
    found, expected = ask(numba_cuda_backend, case.to(dtype), DEVICE), ask(reference, case, "cpu")
    finite = torch.cat([part[part.isfinite()].abs().flatten() for part in case if part.is_floating_point()])
    largest = float(finite.max()) if finite.numel() > 0 else 0.0
    rounding = 2.0**-22 * largest if largest > 100 and dtype == torch.float32 else 0.0
    for what, wanted in expected.items():
        ours = found[what]
        if wanted.dtype == torch.int64:
            assert torch.equal(ours, wanted), what
            continue
        assert ours.dtype == dtype
        atol = 1e-6 if what.startswith("d_emissions") else 1e-5 + rounding
        if dtype == torch.float64:
            atol = 1e-11 * max(1.0, largest)
        rtol = 1e-6 if dtype == torch.float32 else 1e-11
        torch.testing.assert_close({what: ours.double()}, {what: wanted}, rtol=rtol, atol=atol)


def test_the_same_bits_every_run() -> None:
    case = problem(17, 2, 2).to(torch.float32)
    first, second = (ask(numba_cuda_backend, case, DEVICE) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_nan_stays_in_its_row() -> None:
    case = problem(3, 4, 3, ragged=False)
    case.emissions[1, 2, 1] = torch.nan
    found, clean = ask(numba_cuda_backend, case, DEVICE), ask(numba_cuda_backend, problem(3, 4, 3), DEVICE)
    for name in ("log_z", "likelihood", "score"):
        assert found[name].isnan().tolist() == [False, True, False]
    assert found["scores"].isnan().any(dim=0).tolist() == [False, True, False]
    assert found["d_emissions"][1].isnan().all()
    assert torch.equal(found["d_emissions"][0], clean["d_emissions"][0])


@pytest.mark.parametrize("what", ["start", "transitions", "end"])
def test_nan_in_a_parameter_is_in_every_row_that_uses_it(what: str) -> None:
    case = problem(2, 3, 3, ragged=False)
    case.mask[1] = torch.tensor([False, True, False])
    getattr(case, what).view(-1)[0] = torch.nan
    case.transitions[1:, 0] = -torch.inf  # the column of the NaN has nothing else
    found = ask(numba_cuda_backend, case, DEVICE)
    uses = [True, what != "transitions"]
    for name in ("log_z", "likelihood", "score"):
        assert found[name].isnan().tolist() == uses, name


@pytest.mark.skipif(not IS_SIMULATED, reason="a device-side assertion is the end of a CUDA context")
@pytest.mark.parametrize("tag", [-1, 3, 10**9])
def test_a_tag_out_of_range_is_an_assertion(tag: int) -> None:
    case = problem(2, 3, 3)
    case.tags[0, 1] = tag
    with pytest.raises(RuntimeError, match="a tag is out of range: expected 0 <= tag < 3"):
        numba_cuda_backend.log_likelihood(case.tags, *chain_of(case))


def test_what_does_not_fit_is_an_error() -> None:
    case = Problem(*(part.to(DEVICE) for part in problem(2, 3, 4)))
    emissions, mask, *scores = chain_of(case)
    with pytest.raises(ValueError, match=r"mask must be \(2, 3\) of torch.bool on "):
        numba_cuda_backend.log_partition(emissions, mask[:, 1:], *scores)
    with pytest.raises(ValueError, match=r"tags must be \(2, 3\) of torch.int64 on "):
        numba_cuda_backend.log_likelihood(case.tags.int(), emissions, mask, *scores)
    with pytest.raises(ValueError, match="emissions must be float32 or float64, got"):
        numba_cuda_backend.viterbi(emissions.half(), mask, *scores)
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        numba_cuda_backend.k_best(0, emissions, mask, *scores)
    wide = (torch.zeros(1, 1, 1025, device=DEVICE), torch.ones(1, 1, dtype=torch.bool, device=DEVICE))
    more = [torch.zeros(*size, device=DEVICE) for size in ((1025,), (1025, 1025), (1025,))]
    with pytest.raises(ValueError, match=r"1024 at most, got 1025 tags: use CRF\(..., backend='reference'\)"):
        numba_cuda_backend.viterbi(*wide, *more)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reduction", ["none", "token_mean"])
def test_the_layer_with_its_gradients(dtype: torch.dtype, reduction: str) -> None:
    case = gaps()
    given = case.emissions.nan_to_num().to(dtype)
    results = []
    for backend, device in (("numba", DEVICE), ("reference", "cpu")):
        crf = layer(case.to(torch.float32), backend).to(device)
        emissions = given.to(device, copy=True).requires_grad_()
        loss = -crf(emissions, case.tags.to(device), case.mask.to(device), reduction)
        loss.sum().backward()
        assert emissions.grad is not None
        assert emissions.grad.dtype == dtype
        parts = [loss, emissions.grad, *(parameter.grad for parameter in crf.parameters())]
        results.append([part.detach().cpu() for part in parts if part is not None])
        if reduction == "none":
            mask = case.mask.to(device)
            results[-1] += [torch.tensor(path) for path in crf.decode(emissions, mask)]
            results[-1].append(crf.marginals(emissions, mask).cpu())
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@on_a_gpu
def test_nothing_waits_for_the_device() -> None:
    crf = layer(problem(3, 6, 5).to(torch.float32), "numba").to(DEVICE)
    case = Problem(*(part.to(DEVICE) for part in problem(3, 6, 5).to(torch.float32)))

    def step() -> Tensor:
        emissions = case.emissions.detach().requires_grad_()
        crf(emissions, case.tags, case.mask).backward()
        crf.viterbi(emissions.detach(), case.mask, k=2)
        assert emissions.grad is not None
        return emissions.grad

    before = step()  # compiles
    torch.cuda.set_sync_debug_mode("error")
    try:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            again = step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    assert torch.equal(before, again)


@on_a_gpu
def test_capture_in_a_graph() -> None:
    case = Problem(*(part.to(DEVICE) for part in problem(3, 6, 5).to(torch.float32)))
    chain, grad = chain_of(case), torch.ones(3, device=DEVICE)

    def step() -> tuple[Tensor, ...]:
        return numba_cuda_backend.value_and_gradient(grad, case.tags, *chain)

    eager = step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    chain.emissions.mul_(2)
    graph.replay()
    doubled = step()
    assert not torch.equal(eager[0], doubled[0])
    assert all(map(torch.equal, captured, doubled))
