"""Test problems, and the backends that are usable here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from pybert_crf.crf import CRF
from pybert_crf.crf.problem import Chain
from pybert_crf.crf.registry import NAMES, choose

# Where the tests' tensors are; conftest.py has the rest.
DEVICE = torch.device(os.environ.get("PYBERT_CRF_TEST_DEVICE", "cpu"))
# A device may add up in any order what autograd scatters: for gradcheck.
NONDETERMINISM = 0.0 if DEVICE.type == "cpu" else 1e-12


def _has_kernels(backend: str) -> bool:
    try:
        return choose(backend, DEVICE.type) == backend
    except (RuntimeError, ValueError):
        return False


USABLE = [name for name in NAMES if _has_kernels(name)]
COMPILED = [name for name in USABLE if name != "reference"]


def each(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("backend", names)


each_backend = each(USABLE)


def drawn(make: Callable[..., Tensor], *size: int, seed: int, **options: Any) -> Tensor:
    """Random numbers by ``make`` (torch.rand, ...): the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return make(*size, generator=generator, device="cpu", **options).to(DEVICE)


class Case(NamedTuple):
    emissions: Tensor  # (B, T, K)
    tags: Tensor  # (B, T)
    mask: Tensor  # (B, T)
    start: Tensor  # (K,)
    transitions: Tensor  # (K, K)
    end: Tensor  # (K,)

    def to(self, dtype: torch.dtype) -> Case:
        return Case(*(part.to(dtype) if part.is_floating_point() else part for part in self))


def problem(batch: int, time: int, num_tags: int, *, seed: int = 0, ragged: bool = True) -> Case:
    """A random problem in float32-representable float64; ragged on the right, the first row full."""
    B, T, K = batch, time, num_tags
    generator = torch.Generator().manual_seed(seed)
    same = {"generator": generator, "device": "cpu"}  # on every device
    randn = [torch.randn(*size, **same).double() for size in ((B, T, K), (K,), (K, K), (K,))]
    emissions, start, transitions, end = randn
    tags = torch.randint(K, (B, T), **same)
    lengths = torch.randint(min(1, T), T + 1, (B,), **same) if ragged else torch.full((B,), T, device="cpu")
    lengths[:1] = T
    mask = torch.arange(T, device="cpu") < lengths[:, None]
    return Case(*(part.to(DEVICE) for part in (emissions, tags, mask, start, transitions, end)))


def chain_of(case: Case) -> Chain:
    """The problem as a chain, in new tensors."""
    tensors = (case.emissions, case.mask, case.start, case.transitions, case.end)
    return Chain(*(tensor.clone() for tensor in tensors))


def layer(case: Case, backend: str, *, batch_first: bool = True) -> CRF:
    """A CRF layer with the problem's parameters, in their dtype and on their device."""
    crf = CRF(case.start.shape[0], batch_first=batch_first, backend=backend).to(case.start)
    with torch.no_grad():
        crf.start_transitions.copy_(case.start)
        crf.transitions.copy_(case.transitions)
        crf.end_transitions.copy_(case.end)
    return crf


class Answer(NamedTuple):
    """log Z (B,) and the gradient of its sum: marginals (B, T, K) and expected counts (K,), (K, K), (K,)."""

    log_z: Tensor
    marginals: Tensor
    d_start: Tensor
    d_transitions: Tensor
    d_end: Tensor


def answer(case: Case, backend: str) -> Answer:
    """A backend's log Z and gradients for a problem, in float64."""
    crf = layer(case, backend)
    emissions = case.emissions.clone().requires_grad_()
    log_z = crf.log_partition(emissions, case.mask)
    parameters = (crf.start_transitions, crf.transitions, crf.end_transitions)
    inputs = (emissions, *parameters)
    gradients = torch.autograd.grad(log_z.sum(), inputs, allow_unused=True)  # no transition is used at T = 1
    known = [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, gradients, strict=True)]
    return Answer(log_z.detach().double(), *(gradient.double() for gradient in known))


def check_bounds(case: Case, found: Answer, expected: Answer) -> None:
    """The bounds of docs/crf/numbers.md; beyond scores of 100, the rounding of a float32 of that size.

    The parameters' gradients are sums of marginals, in which the same relative error stays.
    """
    scores = [part[part.isfinite()].abs() for part in case if part.is_floating_point()]
    largest = max((float(part.max()) for part in scores if part.numel()), default=0.0)
    rounding = 2.0**-22 * largest if largest > 100 else 0.0
    torch.testing.assert_close(found.log_z, expected.log_z, rtol=1e-6, atol=1e-5 + rounding)
    torch.testing.assert_close(found.marginals, expected.marginals, rtol=0, atol=1e-6 + rounding)
    for name in ("d_start", "d_transitions", "d_end"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        torch.testing.assert_close(ours, theirs, rtol=1e-6 + rounding, atol=1e-5 + 30 * rounding)
    legal = case.mask & (expected.log_z > -torch.inf)[:, None]
    sums = found.marginals.sum(dim=2)
    torch.testing.assert_close(sums, legal.double(), rtol=0, atol=2e-6)
