"""Problems to try, and the backends to try them on."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from pybert_crf.crf import CRF, backends

USABLE = [name for name, status in backends().items() if status.usable]
COMPILED = [name for name in USABLE if name != "reference"]


def each(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("backend", names)


each_backend = each(USABLE)


class Problem(NamedTuple):
    emissions: Tensor  # (B, T, K)
    tags: Tensor  # (B, T)
    mask: Tensor  # (B, T)
    start: Tensor  # (K,)
    transitions: Tensor  # (K, K)
    end: Tensor  # (K,)

    def to(self, dtype: torch.dtype) -> Problem:
        return Problem(*(part.to(dtype) if part.is_floating_point() else part for part in self))


def problem(batch: int, time: int, num_tags: int, *, seed: int = 0, ragged: bool = True) -> Problem:
    """A random problem in float32-representable float64; ragged on the right, the first row full."""
    B, T, K = batch, time, num_tags
    generator = torch.Generator().manual_seed(seed)
    randn = [torch.randn(*size, generator=generator).double() for size in ((B, T, K), (K,), (K, K), (K,))]
    emissions, start, transitions, end = randn
    tags = torch.randint(K, (B, T), generator=generator)
    lengths = torch.randint(min(1, T), T + 1, (B,), generator=generator) if ragged else torch.full((B,), T)
    lengths[:1] = T
    mask = torch.arange(T) < lengths[:, None]
    return Problem(emissions, tags, mask, start, transitions, end)


def layer(case: Problem, backend: str, *, batch_first: bool = True) -> CRF:
    """A CRF layer with the problem's parameters, in their dtype."""
    crf = CRF(case.start.shape[0], batch_first=batch_first, backend=backend).to(case.start.dtype)
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


def answer(case: Problem, backend: str) -> Answer:
    """What a backend says of a problem, in float64."""
    crf = layer(case, backend)
    emissions = case.emissions.clone().requires_grad_()
    log_z = crf.log_partition(emissions, case.mask)
    parameters = (crf.start_transitions, crf.transitions, crf.end_transitions)
    inputs = (emissions, *parameters)
    gradients = torch.autograd.grad(log_z.sum(), inputs, allow_unused=True)  # no transition is used at T = 1
    known = [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, gradients, strict=True)]
    return Answer(log_z.detach().double(), *(gradient.double() for gradient in known))
