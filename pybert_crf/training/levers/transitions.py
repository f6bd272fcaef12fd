"""The CRF's start, transition and end scores from counts of the corpus, to begin with or to keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from pybert_crf.crf import Constraints
from pybert_crf.model import BertCRF
from pybert_crf.options import TrainOptions
from pybert_crf.tagging_constraints import tag_constraints


def set_transitions(
    model: BertCRF, sequences: Iterable[Sequence[int]], options: TrainOptions
) -> tuple[str, ...]:
    """Set and, if that is wanted, freeze the CRF's parameters; a note on them if they are counted.

    Args:
        sequences: tag numbers of each sentence.
    """
    if options.transitions == "random":
        return ()
    counted = log_probabilities(model, sequences)
    parameters = (model.crf.start_transitions, model.crf.transitions, model.crf.end_transitions)
    with torch.no_grad():
        for parameter, (value, allowed) in zip(parameters, counted, strict=True):
            parameter.copy_(torch.where(allowed, value, parameter))
            parameter.requires_grad_(options.transitions == "counts")
    fate = "trained on" if options.transitions == "counts" else "frozen"
    return (f"the CRF's scores are log-probabilities counted in train, then {fate}",)


def log_probabilities(
    model: BertCRF, sequences: Iterable[Sequence[int]]
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The Markov chain of the tags: log P(first tag), log P(next tag | tag), log P(end | tag).

    Each count is one more than it is (Laplace), over what the scheme allows: the probabilities of the first
    tags sum to 1, and for each tag those of its successors and of the end.

    Returns:
        for start (K,), transitions (K, K) and end (K,) the values, float32, and where they are allowed, bool.
    """
    K = len(model.labels)
    start, pairs, end = torch.ones(K), torch.ones(K, K), torch.ones(K)
    for tags in sequences:
        if len(tags) == 0:
            continue
        start[tags[0]] += 1
        end[tags[-1]] += 1
        if len(tags) > 1:
            numbers = torch.tensor(tags)
            pairs.index_put_((numbers[:-1], numbers[1:]), torch.ones(len(tags) - 1), accumulate=True)
    may_start, may_follow, may_end = _allowed(model)
    followers = torch.cat([pairs * may_follow, (end * may_end)[:, None]], dim=1)  # (K, K + 1)
    following = (followers / followers.sum(1, keepdim=True).clamp(min=1)).log()
    begin = start * may_start
    return (
        ((begin / begin.sum()).log(), may_start),
        (following[:, :K], may_follow),
        (following[:, K], may_end),
    )


def _allowed(model: BertCRF) -> tuple[Tensor, Tensor, Tensor]:
    """What the tag scheme allows at the start (K,), next to each other (K, K), and at the end (K,)."""
    K = len(model.labels)
    free = Constraints(None, None, None)
    rules = free if model.scheme is None else tag_constraints(model.labels, model.scheme)
    shapes = ((K,), (K, K), (K,))
    start, transitions, end = (
        torch.ones(shape, dtype=torch.bool) if rule is None else rule
        for rule, shape in zip((rules.start, rules.transitions, rules.end), shapes, strict=True)
    )
    return start, transitions, end
