"""Sums of exponentials of scores that may be -inf, without NaN in values or in derivatives of any order.

If all scores are -inf, the gradient of ``torch.logsumexp`` is NaN, and so is ``torch.softmax``.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEG_INF = float("-inf")


def widened(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in float64, unless their device has no float64."""
    return tuple(tensor if tensor.device.type == "mps" else tensor.double() for tensor in tensors)


def finite_max(scores: Tensor, dim: int) -> Tensor:
    """The maximum along ``dim``, which is kept; constant to autograd; 0 for -inf (-inf - -inf is NaN)."""
    top = scores.detach().amax(dim=dim, keepdim=True)
    return torch.where(top == NEG_INF, 0.0, top)


def logsumexp(scores: Tensor, dim: int) -> Tensor:
    """``torch.logsumexp``, but -inf with gradients of 0 if all scores are -inf."""
    top = finite_max(scores, dim)
    total = (scores - top).exp().sum(dim=dim)
    nothing = total == 0
    return torch.where(nothing, NEG_INF, torch.where(nothing, 1.0, total).log() + top.squeeze(dim))


def log_softmax(scores: Tensor, dim: int) -> Tensor:
    """``torch.log_softmax``, but -inf if all scores are -inf."""
    return scores - finite_or_zero(logsumexp(scores, dim)).unsqueeze(dim)


def finite_or_zero(scores: Tensor) -> Tensor:
    """The scores with 0 for -inf, to be subtracted, or multiplied by a probability of 0."""
    return torch.where(scores == NEG_INF, 0.0, scores)
