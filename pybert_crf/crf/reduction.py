"""From the log-likelihoods of a batch's rows to one number."""

from __future__ import annotations

from torch import Tensor

REDUCTIONS = ("none", "sum", "mean", "token_mean")


def check_reduction(reduction: str) -> None:
    """Raise ValueError unless `reduction` is one of `REDUCTIONS`."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"invalid reduction: {reduction}")


def reduce(likelihood: Tensor, mask: Tensor, reduction: str) -> Tensor:
    """Rows' log-likelihoods (B,) to what ``reduction`` names; nothing to average is 0, not 0 / 0."""
    if reduction == "none":
        return likelihood
    if reduction == "sum":
        return likelihood.sum()
    if reduction == "mean":
        return likelihood.sum() / max(1, likelihood.shape[0])
    return likelihood.sum() / mask.sum().clamp(min=1)
