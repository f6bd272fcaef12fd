"""Single paths of the linear chain in plain PyTorch: the best, the k best, and samples.

Part of :mod:`pybert_crf.crf.backends.reference`, whose notation it uses. Nothing here is differentiable.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pybert_crf.crf.backends.base import Pair
from pybert_crf.crf.backends.reference.packing import packing
from pybert_crf.crf.log_space import NEG_INF, finite_max, widened
from pybert_crf.crf.problem import Chain


def viterbi(chain: Chain, pairwise: Tensor | None = None) -> Pair:
    """The best path of each row (Viterbi, 1967) and its score: :func:`k_best` for k = 1."""
    tags, scores = k_best(1, chain, pairwise)
    return tags[0], scores[0]


@torch.no_grad()
def k_best(k: int, chain: Chain, pairwise: Tensor | None = None) -> Pair:
    """The k best paths of each row, the best first.

    A step keeps, for every tag, the k best prefixes that end in it (Seshadri & Sundberg, 1994;
    docs/crf/theory.md, eq. 24). Among equal paths the lowest tags win: the lowest last tag, then at every
    step backwards the lowest previous tag.
    """
    emissions, mask, start, transitions, end = chain
    B, T, K = emissions.shape
    rows = packing(mask)
    moves = rows.moves(transitions, pairwise)
    packed, start, end = widened(rows.pack(emissions), start, end)

    # At first each tag has one prefix; -inf stands for the prefixes that do not exist.
    offset = packed.new_zeros(B)
    best = packed.new_full((B, K, k), NEG_INF)  # prefixes by last tag and rank
    best[:, :, 0] = 0.0
    came_from = []  # (B, K * k) for each t >= 1: tag * k + rank at t - 1 of the prefix that was extended
    for t in range(T):
        inside = rows.inside[:, t]
        if t == 0:
            incoming = best + start[:, None]
        else:
            extended = best[:, :, :, None] + moves[t].unsqueeze(-2)  # (B, from K, k, to K)
            incoming, order = (part.transpose(1, 2) for part in _highest(k, extended.flatten(1, 2)))
            came_from.append(order.flatten(1))
        grown = incoming + packed[:, t, :, None]
        top = finite_max(grown.flatten(1), dim=1)
        best = torch.where(inside[:, None, None], grown - top[:, :, None], best)
        offset = offset + top[:, 0] * inside

    scores, place = _highest(k, (best + end[:, None]).flatten(1))  # (B, k)
    places = [place]
    for t in reversed(range(1, T)):
        place = torch.where(rows.inside[:, t, None], came_from[t - 1].gather(1, place), place)
        places.append(place)

    unusable = ~(rows.pack(emissions) < torch.inf).flatten(1).all(dim=1)  # NaN or +inf
    unusable = unusable | ~((start < torch.inf) & (end < torch.inf)).all()
    unusable = unusable | ((rows.lengths > 1) & ~(transitions < torch.inf).all())
    scores = torch.where(unusable[:, None], torch.nan, scores)
    only = torch.where(torch.arange(k, device=mask.device) == 0, 0.0, NEG_INF)
    scores = torch.where((rows.lengths > 0)[:, None], scores + offset[:, None], only.to(scores))
    if T == 0:
        return mask.new_empty(k, B, 0, dtype=torch.int64), scores.T.to(emissions.dtype)
    tags = rows.unpack(torch.stack(places[::-1], dim=1) // k, mask, fill=-1)  # (B, T, k)
    tags = tags.masked_fill((scores == NEG_INF)[:, None], -1)
    return tags.permute(2, 0, 1).contiguous(), scores.T.to(emissions.dtype)


def _highest(k: int, scores: Tensor) -> tuple[Tensor, Tensor]:
    """The k highest along axis 1, and their indices; of equal scores the first comes first."""
    if k == 1:
        best = scores.max(dim=1, keepdim=True)
        return best.values, best.indices
    values, order = scores.sort(dim=1, descending=True, stable=True)
    return values[:, :k], order[:, :k]


@torch.no_grad()
def sample_paths(
    uniforms: Tensor,
    alphas: Tensor,
    mask: Tensor,
    transitions: Tensor,
    end: Tensor,
    pairwise: Tensor | None = None,
) -> Tensor:
    """The backward half of :func:`~pybert_crf.crf.backends.reference.sample`.

    Args:
        uniforms: (n, B, T) in [0, 1); alphas: (B, T, K), of the forward half; the others as there.

    Returns:
        tags (n, B, T) int64, -1 where masked and in rows without a legal path.
    """
    (n, B, T), K = uniforms.shape, transitions.shape[0]
    if T == 0:
        return uniforms.new_empty(uniforms.shape, dtype=torch.int64)
    rows = packing(mask)
    moves = rows.moves(transitions, pairwise)
    alphas, shares, end = widened(rows.pack(alphas), rows.pack(uniforms.permute(1, 2, 0)), end)
    legal = torch.ones_like(mask[:, :1])
    tag = mask.new_zeros(B, n, dtype=torch.int64)
    tags = []
    for t in reversed(range(T)):
        is_last = rows.lengths == t + 1
        final = alphas[:, t] + end
        scores = final[:, None]
        if t + 1 < T:
            into_next = moves[t + 1].mT.expand(B, K, K).gather(1, tag[:, :, None].expand(B, n, K))
            scores = torch.where(is_last[:, None, None], scores, alphas[:, t, None] + into_next)
        cumulative = (scores - finite_max(scores, dim=2)).exp().cumsum(dim=2)
        below = cumulative <= shares[:, t, :, None] * cumulative[:, :, -1:]
        tag = below.sum(dim=2).clamp(max=K - 1)  # all are below if nothing is legal
        legal = legal & ~(is_last & (final == NEG_INF).all(dim=1))[:, None]
        tags.append(tag)
    found = rows.unpack(torch.stack(tags[::-1], dim=1), mask, fill=-1)  # (B, T, n)
    return found.masked_fill(~legal[:, None], -1).permute(2, 0, 1).contiguous()
