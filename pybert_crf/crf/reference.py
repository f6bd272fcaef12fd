"""The linear chain in plain PyTorch: any device, any dtype, any order of derivative.

This is the oracle that every other backend is tested against, so it is written to be read. Notation, for one
row with positions t = 1..n (Lafferty, McCallum & Pereira, 2001; Rabiner, 1989)::

    score(y)   = start[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_{t-1}, y_t] + end[y_n]
    log Z      = log sum_y exp score(y)
    alpha_t(j) = log sum over the paths y_1..y_t = j of exp(their score so far)

Each alpha_t is kept relative to its own maximum, and the maxima are summed apart: numbers stay small however
long the row is. The maxima are constants to autograd, which is exact: log Z does not depend on what is
subtracted and added again. All is computed in float64 where the device has it: in float32 autograd's products
of thousands of steps drift (by 5e-6 at T = 2,000). Memory is B * T * K * K for autograd; this is not the fast
backend.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pybert_crf.crf.packing import packing

NEG_INF = float("-inf")


def log_partition(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> tuple[Tensor, Tensor]:
    """The forward algorithm.

    Args:
        emissions: (B, T, K) floating point, any strides; anything at masked positions.
        mask: (B, T) bool.
        start: (K,); transitions: (K, K), from row to column; end: (K,). All of the emissions' dtype.

    Returns:
        log Z (B,) and the alphas (B, T, K), each relative to its position's maximum, 0 where masked. log Z is
        0 for a row with nothing unmasked, -inf for one without a legal path.
    """
    B, T, K = emissions.shape
    if T == 0:  # only empty paths; summed so that autograd stays connected
        return emissions.sum(dim=(1, 2)), emissions
    rows = packing(mask)
    packed, start, transitions, end = _widened(rows.pack(emissions), start, transitions, end)

    offset = packed.new_zeros(B)  # sum of the maxima taken out so far
    alpha = packed.new_zeros(B, K)
    alphas = []
    for t in range(T):
        inside = rows.inside[:, t]
        incoming = start if t == 0 else _logsumexp(alpha[:, :, None] + transitions, dim=1)
        grown = incoming + packed[:, t]
        top = _finite_max(grown, dim=1)
        alpha = torch.where(inside[:, None], grown - top, alpha)
        offset = offset + top[:, 0] * inside
        alphas.append(alpha)

    log_z = torch.where(rows.lengths > 0, offset + _logsumexp(alpha + end, dim=1), 0.0)
    return log_z.to(emissions.dtype), rows.unpack(torch.stack(alphas, dim=1), mask).to(emissions.dtype)


def log_partition_backward(
    grad: Tensor,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    alphas: Tensor,
    log_z: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient of log Z: posterior marginals, in one sweep from right to left.

    Given the next tag, the chain so far is independent of all that follows::

        P(y_t = i | y_{t+1} = j, x) ∝ exp(alpha_t(i) + transitions[i, j])   (summing to 1 over i)

    so P(y_t, y_{t+1}) = P(y_t | y_{t+1}, x) P(y_{t+1}), beginning from P(y_n) ∝ exp(alpha_n + end). No second
    recursion can drift apart from the first, and each position sums to 1.

    Args:
        grad: (B,) the gradient with respect to log Z; the others as for, and from, :func:`log_partition`.

    Returns:
        The gradients of emissions (B, T, K; exactly 0 where masked), start, transitions and end. A row with
        no legal path, or with nothing unmasked, adds 0 to each.
    """
    B, T, K = emissions.shape
    if T == 0:
        empty = torch.zeros_like
        return empty(emissions), empty(start), empty(transitions), empty(end)
    rows = packing(mask)
    packed, transitions, end, grad = _widened(rows.pack(alphas), transitions, end, grad)
    d_transitions, d_end = torch.zeros_like(transitions), torch.zeros_like(end)

    weight = grad[:, None]
    marginal = packed.new_zeros(B, K)
    marginals = []
    for t in reversed(range(T)):
        inside, is_last = rows.inside[:, t, None], (rows.lengths == t + 1)[:, None]
        final = _softmax(packed[:, t] + end, dim=1)
        given_next = _softmax(packed[:, t, :, None] + transitions, dim=1)  # (B, K, K)
        pair = given_next * torch.where(inside & ~is_last, marginal, 0.0)[:, None, :]
        joint = pair.sum(dim=2)
        total = joint.sum(dim=1, keepdim=True)
        marginal = torch.where(is_last, final, joint / torch.where(total == 0, 1.0, total))
        marginal = torch.where(inside, marginal, 0.0)
        d_transitions = d_transitions + (weight[:, :, None] * pair).sum(dim=0)
        d_end = d_end + (weight * torch.where(is_last, final, 0.0)).sum(dim=0)
        marginals.append(marginal)

    marginals.reverse()
    d_start = (weight * marginals[0]).sum(dim=0)
    d_emissions = rows.unpack(torch.stack(marginals, dim=1) * weight[:, :, None], mask)
    dtype = emissions.dtype
    return d_emissions.to(dtype), d_start.to(dtype), d_transitions.to(dtype), d_end.to(dtype)


@torch.no_grad()
def viterbi(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> tuple[Tensor, Tensor]:
    """The best path of each row (Viterbi, 1967) and its score.

    Args as for :func:`log_partition`. Among equal paths the lowest tag wins: the lowest last tag, then at
    every step backwards the lowest previous tag.

    Returns:
        tags (B, T) int64, -1 where masked, and scores (B,): 0 for a row with nothing unmasked, -inf for one
        without a legal path (its tags then mean nothing).
    """
    B, T, K = emissions.shape
    if T == 0:
        return mask.new_empty(B, 0, dtype=torch.int64), emissions.sum(dim=(1, 2))
    rows = packing(mask)
    packed, start, transitions, end = _widened(rows.pack(emissions), start, transitions, end)

    offset = packed.new_zeros(B)
    best = packed.new_zeros(B, K)
    came_from = []  # (B, K) for each t >= 1: the best tag at t - 1 for each tag at t
    for t in range(T):
        inside = rows.inside[:, t]
        if t == 0:
            grown = start + packed[:, t]
        else:
            incoming, previous = (best[:, :, None] + transitions).max(dim=1)
            grown = incoming + packed[:, t]
            came_from.append(previous)
        top = _finite_max(grown, dim=1)
        best = torch.where(inside[:, None], grown - top, best)
        offset = offset + top[:, 0] * inside

    score, tag = (best + end).max(dim=1)
    scores = torch.where(rows.lengths > 0, offset + score, 0.0).to(emissions.dtype)
    tags = [tag]
    for t in reversed(range(1, T)):
        previous = came_from[t - 1].gather(1, tag[:, None])[:, 0]
        tag = torch.where(rows.inside[:, t], previous, tag)
        tags.append(tag)
    tags.reverse()
    return rows.unpack(torch.stack(tags, dim=1), mask, fill=-1), scores


def _widened(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in float64, but on a device that has none."""
    return tuple(tensor if tensor.device.type == "mps" else tensor.double() for tensor in tensors)


def _finite_max(scores: Tensor, dim: int) -> Tensor:
    """The maximum along ``dim``, kept, a constant to autograd; 0 where it is -inf (-inf - -inf is NaN)."""
    top = scores.detach().amax(dim=dim, keepdim=True)
    return torch.where(top == NEG_INF, 0.0, top)


def _logsumexp(scores: Tensor, dim: int) -> Tensor:
    """``torch.logsumexp``, but -inf with gradients of 0 where all scores are -inf (torch gives NaN)."""
    top = _finite_max(scores, dim)
    total = (scores - top).exp().sum(dim=dim)
    nothing = total == 0
    return torch.where(nothing, NEG_INF, torch.where(nothing, 1.0, total).log() + top.squeeze(dim))


def _softmax(scores: Tensor, dim: int) -> Tensor:
    """``torch.softmax``, but 0 where all scores are -inf (torch gives NaN)."""
    weights = (scores - _finite_max(scores, dim)).exp()
    total = weights.sum(dim=dim, keepdim=True)
    return weights / torch.where(total == 0, 1.0, total)
