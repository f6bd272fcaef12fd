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
    alphas, marginals = rows.pack(autograd.log_alphas(*wide)), rows.pack(autograd.marginals(*wide))
    tags = rows.pack(tags)
    batch, begin, last = spans[:, 0], spans[:, 1], spans[:, 2] - 1

    # Every position but the last of every span, flat: the span it belongs to, its row and its position.
    inner = last - begin
    of_span = torch.repeat_interleave(torch.arange(len(spans), device=spans.device), inner)
    offset = torch.arange(len(of_span), device=spans.device) - (inner.cumsum(0) - inner)[of_span]
    row, position = batch[of_span], begin[of_span] + offset
    arriving = transitions[:, tags[row, position + 1]].T  # (positions, K): from every tag to the next one's
    given_next = log_softmax(alphas[row, position] + arriving, dim=1)
    steps = given_next.gather(1, tags[row, position][:, None])[:, 0]
    log_inner = steps.new_zeros(len(spans)).index_add(0, of_span, steps)

    last_tag = tags[batch, last]
    ending = marginals[batch, last, last_tag]
    if continuing is not None and len(spans):
        followed = last + 1 < rows.lengths[batch]
        closing = torch.cat(
            [
                _closing(alphas, marginals, transitions, continuing, *block)
                for block in zip(
                    *(
                        torch.split(part, max(1, _BLOCK // transitions.numel()))
                        for part in (batch, last, last_tag)
                    ),
                    strict=True,
                )
            ]
        )
        ending = torch.where(followed, closing, ending)
    return (ending * log_inner.exp()).to(problem.chain.emissions.dtype)


def _closing(
    alphas: Tensor,
    marginals: Tensor,
    transitions: Tensor,
    continuing: Tensor,
    batch: Tensor,
    last: Tensor,
    last_tag: Tensor,
) -> Tensor:
    """(spans,): P(y_last = last_tag and y_{last+1} does not continue it), a sum over what may follow."""
    after = (last + 1).clamp(max=alphas.shape[1] - 1)  # past the row's end the caller drops the result
    given_next = log_softmax(alphas[batch, last][:, :, None] + transitions, dim=1)  # (spans, from K, to K)
    chosen = given_next[torch.arange(len(batch), device=batch.device), last_tag].exp()
    return (chosen * marginals[batch, after]).masked_fill(continuing[last_tag], 0.0).sum(dim=1)
