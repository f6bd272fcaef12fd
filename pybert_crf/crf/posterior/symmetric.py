"""The symmetric divergence of two distributions of a row's path that differ in their emissions alone.

P has emissions p, Q has q, both the same start, transition and end scores. With d = p - q, and each
distribution's marginals m = P(y_t = k | x), the transitions and both log Z cancel (docs/crf/theory.md)::

    KL(P || Q) + KL(Q || P) = sum_t,k (m_P - m_Q) d

Its gradient needs how fast the marginals, and the expected counts of start, transitions and end, change along
d: derivatives of gradients of log Z. Central differences of these gradients give them on every backend,
without a second derivative of its own; with steps of the cube root of the dtype's epsilon their error is
that root squared, some 1e-10 in float64.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pybert_crf.crf import autograd
from pybert_crf.crf.problem import Chain, Problem


def symmetric_divergence(problem: Problem, other_emissions: Tensor) -> Tensor:
    """KL(P || Q) + KL(Q || P) (B,) in nats; Q is P's problem with other emissions (B, T, K).

    Computed in float64, unless the device has none; differentiable once, on any backend.
    """
    (emissions, mask, *scores), backend, _ = problem.widened()
    found: Tensor = _Symmetric.apply(  # type: ignore[no-untyped-call]
        emissions, other_emissions.to(emissions.dtype), mask, *scores, backend
    )
    return found.to(problem.chain.emissions.dtype)


class _Symmetric(torch.autograd.Function):
    """The divergence (B,), of emissions, mask and scores in one dtype."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, mask: Tensor, *arguments: Any) -> Tensor:
        *scores, backend = arguments
        both = Chain(torch.cat([first, second]), torch.cat([mask, mask]), *scores)
        ours, theirs = autograd.marginals(both, backend).chunk(2)
        same = ~mask[:, :, None] | (first == second)  # what is masked is not read; -inf - -inf is no number
        apart, moved = torch.where(same, 0.0, first - second), ours - theirs
        ctx.save_for_backward(first, second, mask, *scores, apart, moved)
        ctx.backend = backend
        return torch.where(moved == 0, 0.0, moved * apart).sum(dim=(1, 2))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "second derivatives of the symmetric divergence: add up CRF.kl_divergence of both ways, with "
                "backend='reference'"
            )
        first, second, mask, *scores, apart, moved = ctx.saved_tensors
        apart = torch.where(apart.isfinite(), apart, 0.0)  # beside an infinite divergence
        limits = torch.finfo(apart.dtype)
        # The largest change of a score is the step.
        step = limits.eps ** (1 / 3) / apart.abs().flatten(1).amax(1).clamp(min=limits.tiny)
        shift, factor = step[:, None, None] * apart, grad / (2 * step)
        shifted = torch.cat([first + shift, first - shift, second + shift, second - shift])
        factors = torch.cat([factor, -factor, -factor, factor])
        chain = Chain(shifted, mask.repeat(4, 1), *scores)
        by_emissions, *by_scores = autograd.weighted_gradient(factors, chain, ctx.backend)
        up, down, other_up, other_down = by_emissions.chunk(4)
        direct = grad[:, None, None] * moved
        return direct + up + down, other_up + other_down - direct, None, *by_scores, None
