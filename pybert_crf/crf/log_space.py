"""Sums of exponentials that know -inf: no NaN from it, in values or in derivatives of any order.

``torch.logsumexp`` of nothing but -inf has NaN for a gradient, and ``torch.softmax`` of it is NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEG_INF = float("-inf")


def widened(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in float64, but on a device that has none."""
    return tuple(tensor if tensor.device.type == "mps" else tensor.double() for tensor in tensors)


def finite_max(scores: Tensor, dim: int) -> Tensor:
    """The maximum along ``dim``, kept, a constant to autograd; 0 where it is -inf (-inf - -inf is NaN)."""
    top = scores.detach().amax(dim=dim, keepdim=True)
    return torch.where(top == NEG_INF, 0.0, top)


def logsumexp(scores: Tensor, dim: int) -> Tensor:
    """``torch.logsumexp``, but -inf with gradients of 0 where all scores are -inf."""
    top = finite_max(scores, dim)
    total = (scores - top).exp().sum(dim=dim)
    nothing = total == 0
    return torch.where(nothing, NEG_INF, torch.where(nothing, 1.0, total).log() + top.squeeze(dim))


def log_softmax(scores: Tensor, dim: int) -> Tensor:
    """``torch.log_softmax``, but -inf where all scores are -inf."""
    return scores - finite_or_zero(logsumexp(scores, dim)).unsqueeze(dim)


def finite_or_zero(scores: Tensor) -> Tensor:
    """The scores, with 0 in the place of -inf: to be subtracted, or multiplied by a probability of 0."""
    return torch.where(scores == NEG_INF, 0.0, scores)
