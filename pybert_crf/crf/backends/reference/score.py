"""The score of given paths and its gradient, under any mask."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pybert_crf.crf.backends.reference.links import links
from pybert_crf.crf.log_space import widened
from pybert_crf.crf.problem import Chain


def path_score(tags: Tensor, chain: Chain, pairwise: Tensor | None = None) -> Tensor:
    """The score (B,) of each row's path of ``tags`` (docs/crf/theory.md, eq. 1); 0 for an empty row.

    Differentiable to any order; summed in double precision where the device has it.

    Args:
        tags: (B, T) int64, in 0..K-1 where unmasked (the caller has checked); anything where masked.
        pairwise: (B, T - 1, K, K) scores added to the transitions on entering position t + 1.
    """
    emissions, mask, start, transitions, end = chain
    if emissions.shape[1] == 0:
        return emissions.sum(dim=(1, 2))
    path = _steps(tags, mask, emissions.shape[2])
    emitted = emissions.gather(2, path.tags[:, :, None])[:, :, 0]  # (B, T)
    moved = transitions.reshape(-1).index_select(0, path.arcs.reshape(-1)).view_as(path.arcs)
    if pairwise is not None:
        moved = moved + pairwise.flatten(2).gather(2, path.arcs[:, :, None])[:, :, 0]
    ends = start.index_select(0, path.first) + end.index_select(0, path.last)

    # where(), not a product with the mask: 0 * -inf and 0 * NaN are NaN.
    emitted, moved, ends = widened(emitted, moved, ends)
    total = torch.where(mask, emitted, 0.0).sum(dim=1) + torch.where(path.linked, moved, 0.0).sum(dim=1)
    return (total + torch.where(path.nonempty, ends, 0.0)).to(emissions.dtype)


def path_counts(
    grad: Tensor, tags: Tensor, mask: Tensor, num_tags: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient of ``(grad * path_score).sum()``: the count of each score in the row's path, times grad.

    Args:
        grad: (B,), of the results' dtype; the others as for :func:`path_score`.

    Returns:
        Of emissions (B, T, K), start (K,), transitions (K, K) and end (K,).
    """
    (B, T), K = mask.shape, num_tags
    emitted, moved = grad.new_zeros(B, T, K), grad.new_zeros(K * K)
    started, ended = grad.new_zeros(K), grad.new_zeros(K)
    if T > 0:
        path = _steps(tags, mask, K)
        once = torch.where(mask, grad[:, None], 0.0)
        linked = torch.where(path.linked, grad[:, None], 0.0)
        at_ends = torch.where(path.nonempty, grad, 0.0)
        emitted = emitted.scatter(2, path.tags[:, :, None], once[:, :, None])
        moved = moved.index_add(0, path.arcs.reshape(-1), linked.reshape(-1))
        started = started.index_add(0, path.first, at_ends)
        ended = ended.index_add(0, path.last, at_ends)
    return emitted, started, moved.view(K, K), ended


class _Steps(NamedTuple):
    tags: Tensor  # (B, T), 0 where masked
    arcs: Tensor  # (B, T - 1): from * K + to, on entering position t + 1
    linked: Tensor  # (B, T - 1) bool: the step exists
    first: Tensor  # (B,) the first tag
    last: Tensor  # (B,) the last
    nonempty: Tensor  # (B,) bool: they exist


def _steps(tags: Tensor, mask: Tensor, num_tags: int) -> _Steps:
    tags = tags.masked_fill(~mask, 0)  # a masked tag is never read: -100 is fine there
    before, linked, first, last, nonempty = links(mask)
    arcs = tags.gather(1, before) * num_tags + tags[:, 1:]
    return _Steps(tags, arcs, linked, tags.gather(1, first)[:, 0], tags.gather(1, last)[:, 0], nonempty)
