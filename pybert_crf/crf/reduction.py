"""Reductions of the log-likelihoods of a batch's rows to one number."""

from __future__ import annotations

import torch
from torch import Tensor

REDUCTIONS = ("none", "sum", "mean", "token_mean")


def check_reduction(reduction: str) -> None:
    """Raise ValueError unless `reduction` is one of `REDUCTIONS`."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"invalid reduction: {reduction}")


def reduce(likelihood: Tensor, mask: Tensor, reduction: str, weights: Tensor | None = None) -> Tensor:
    """Reduce the log-likelihoods (B,) of the rows; the mean of nothing is 0, not 0 / 0.

    With ``weights`` (B,) a row counts as that many rows, in the sum and in the count it is divided by. A row
    of weight 0 counts for nothing, even if it has no legal path.
    """
    if weights is not None:
        return _weighted(likelihood, mask, reduction, weights)
    if reduction == "none":
        return likelihood
    if reduction == "sum":
        return likelihood.sum()
    if reduction == "mean":
        return likelihood.sum() / max(1, likelihood.shape[0])
    return likelihood.sum() / mask.sum().clamp(min=1)


def loss_factors(emissions: Tensor, mask: Tensor, reduction: str, weights: Tensor | None = None) -> Tensor:
    """The derivative (B,) of the negative of :func:`reduce` with respect to the rows' log-likelihoods."""
    B = emissions.shape[0]
    if weights is not None:
        factors = -weights.to(emissions.dtype)
        return factors if reduction == "sum" else factors / _count(-factors, mask, reduction)
    if reduction == "sum":
        return emissions.new_full((B,), -1.0)
    if reduction == "mean":
        return emissions.new_full((B,), -1.0 / max(1, B))
    return (-1.0 / mask.sum().clamp(min=1)).to(emissions.dtype).expand(B)


def _weighted(likelihood: Tensor, mask: Tensor, reduction: str, weights: Tensor) -> Tensor:
    weights = weights.to(likelihood.dtype)
    likelihood = likelihood.masked_fill((weights == 0) & likelihood.isinf(), 0.0) * weights  # 0 * -inf is NaN
    if reduction == "none":
        return likelihood
    if reduction == "sum":
        return likelihood.sum()
    return likelihood.sum() / _count(weights, mask, reduction)


def _count(weights: Tensor, mask: Tensor, reduction: str) -> Tensor:
    """The denominator of a mean: the number of rows or positions, weighted by row; 1 if that is 0."""
    count = (weights if reduction == "mean" else weights * mask.sum(dim=1)).sum()
    return torch.where(count == 0, 1.0, count)
