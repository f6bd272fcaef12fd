"""The exact posterior probability of given spans of tags, from the forward pass alone (docs/crf/theory.md,
eq. 27).

Given the next tag, the chain so far is independent of all that follows::

    P(y_s..y_l | x) = P(y_l | x) prod_{t = s}^{l - 1} P(y_t | y_{t+1}, x)
    P(y_t = i | y_{t+1} = j, x) ∝ exp(alpha_t(i) + transitions[i, j])

which takes the alphas, the posterior marginals and O(K) operations per position of a span. Culotta & McCallum
(2004) compute the same probability with one constrained forward pass per span.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pybert_crf.crf import autograd
from pybert_crf.crf.backends.reference.packing import packing
from pybert_crf.crf.log_space import log_softmax
from pybert_crf.crf.problem import Problem

_BLOCK = 1 << 22  # numbers held at once for the tags that may follow: (spans in a block, K, K)


def span_probabilities(
    problem: Problem, tags: Tensor, spans: Tensor, continuing: Tensor | None = None
) -> Tensor:
    """The joint probability of the tags of each span, and of no continuing tag after it.

    Computed in float64, outside autograd. ``problem`` has no pairwise scores.

    Args:
        tags: (B, T) int64.
        spans: (S, 3) int64: batch row, start and end, half-open, counted in the row's unmasked positions;
            valid.
        continuing: (K, K) bool, true at [i, j] if a tag j after a last tag i would make the span longer.

    Returns:
        (S,) probabilities of the emissions' dtype.
    """
    wide = problem.widened()
    rows, transitions = packing(wide.chain.mask), wide.chain.transitions
    batch, begin, last = spans[:, 0], spans[:, 1], spans[:, 2] - 1

    # Every position but the last of every span, flat: the span it belongs to, its row and its position.
    inner = last - begin
    of_span = torch.repeat_interleave(torch.arange(len(spans), device=spans.device), inner)
    offset = torch.arange(len(of_span), device=spans.device) - (inner.cumsum(0) - inner)[of_span]
    row, position = batch[of_span], begin[of_span] + offset
    after = (last + 1).clamp(max=tags.shape[1] - 1)  # past the row's end its probabilities are not used
    here, arrival, end, after = (
        rows.source[each] for each in ((row, position), (row, position + 1), (batch, last), (batch, after))
    )
    # Of a long row the alphas and the marginals take most of the memory: one, then the other.
    alphas = autograd.log_alphas(*wide)
    inner_alphas, last_alphas = alphas[row, here], alphas[batch, end]
    del alphas
    arriving = transitions[:, tags[row, arrival]].T  # (positions, K): from every tag to the next one's
    given_next = log_softmax(inner_alphas + arriving, dim=1)
    steps = given_next.gather(1, tags[row, here][:, None])[:, 0]
    log_inner = steps.new_zeros(len(spans)).index_add(0, of_span, steps)

    marginals = autograd.marginals(*wide)
    last_tag = tags[batch, end]
    ending = marginals[batch, end, last_tag]
    if continuing is not None and len(spans):
        followed = last + 1 < rows.lengths[batch]
        size = max(1, _BLOCK // transitions.numel())
        parts = (torch.split(part, size) for part in (last_alphas, marginals[batch, after], last_tag))
        blocks = zip(*parts, strict=True)
        closing = torch.cat([_closing(transitions, continuing, *block) for block in blocks])
        ending = torch.where(followed, closing, ending)
    return (ending * log_inner.exp()).to(problem.chain.emissions.dtype)


def _closing(
    transitions: Tensor, continuing: Tensor, alphas: Tensor, following: Tensor, last_tag: Tensor
) -> Tensor:
    """(spans,): P(y_last = last_tag and y_{last+1} does not continue it), a sum over what may follow.

    Args:
        alphas: (spans, K) of the last position.
        following: (spans, K), the marginals of the position after it.
    """
    given_next = log_softmax(alphas[:, :, None] + transitions, dim=1)  # (spans, from K, to K)
    chosen = given_next[torch.arange(len(alphas), device=alphas.device), last_tag].exp()
    return (chosen * following).masked_fill(continuing[last_tag], 0.0).sum(dim=1)
