"""The CRF layer: a drop-in for ``torchcrf.CRF`` for which every mask is legal."""

from __future__ import annotations

import torch
from torch import Tensor

from pybert_crf.crf import autograd
from pybert_crf.crf.backends.reference.packing import to_lists
from pybert_crf.crf.backends.reference.score import path_score
from pybert_crf.crf.distribution import PathDistribution
from pybert_crf.crf.posterior import objectives
from pybert_crf.crf.problem import check_allowed, check_best, check_fraction, check_tags, check_vector
from pybert_crf.crf.reduction import check_reduction, reduce


class CRF(PathDistribution):
    """A linear-chain conditional random field (Lafferty, McCallum & Pereira, 2001).

    The chain of a row is the sequence of its unmasked positions, in order: gaps, left padding and rows with
    nothing unmasked are legal, and what stands at masked positions (NaN emissions, tags of -100) is never
    read. A path scores ``start[y_1] + sum emissions[t, y_t] + sum transitions[y_{t-1}, y_t] + end[y_n]``.

    Shapes below are for ``batch_first=True``: B rows, T positions, K tags. Otherwise the first two axes of
    every tensor with a time axis are swapped. Masks may have any dtype; nonzero is on; none means all on.
    Emissions of half precision are computed in float32, and their gradients come back in their dtype. NaN in
    an unmasked emission makes the row's log-likelihood NaN. Scores of -inf forbid; they never make a NaN, in
    values or gradients.

    Most methods take two more tensors, which add to the problem of one batch:

    - ``allowed`` (B, T, K) bool: what each position may be (words of a dictionary, a lattice). The rest has
      probability 0.
    - ``pairwise`` (B, T - 1, K, K): scores of the batch's own, added to the transitions on entering position
      t + 1; read where that is unmasked and not the first. Only the reference backend knows them: "auto"
      then is that.

    Args:
        num_tags: K, the number of tags.
        batch_first: whether the batch axis comes before the time axis.
        constraints: what a legal path may hold, in training and decoding alike; None for anything. Not part
            of the state_dict.
        backend: "auto", "native", "numba" or "reference"; see :func:`pybert_crf.backends`.

    Attributes:
        start_transitions: parameter (K,).
        end_transitions: parameter (K,).
        transitions: parameter (K, K), the score of going from the row's tag to the column's.

    Raises:
        ValueError: ``num_tags`` is not positive, the constraints are for another number of tags, or there is
            no such backend. Every method: a shape or dtype does not fit, or what is asked for needs the
            reference backend and another was named.
    """

    def forward(
        self,
        emissions: Tensor,
        tags: Tensor,
        mask: Tensor | None = None,
        reduction: str = "sum",
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
        weights: Tensor | None = None,
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """The log-likelihood of ``tags``: their score minus log Z. Its negative is the loss.

        Args:
            emissions: (B, T, K) floating point.
            tags: (B, T) integers, 0..K-1 where unmasked; anything where masked.
            mask: (B, T).
            reduction: "none", "sum" over rows, "mean" over rows, or "token_mean": over unmasked
                positions. Of nothing, all but "none" are 0.
            allowed, pairwise: see the class.
            weights: (B,) how many rows each row counts as, in sums and in what they are divided by.
            class_weights: (K,), reference backend only: the weight w of each tag. The log-likelihood is a sum
                of conditional ones, and each is weighed: sum_t w[y_t] log P(y_t | y_{t+1}, x).
            label_smoothing: e in [0, 1), reference backend only:
                (1 - e) * log-likelihood + e * sum_t mean_k log P(y_t = k | x), k over what is possible at t.

        Returns:
            (B,) for "none", else (). 0 for a row with nothing unmasked, -inf for one with no legal path.

        Raises:
            ValueError: a shape, a dtype or the reduction does not fit; on the CPU, a tag is out of range
                where unmasked (elsewhere that is a device-side assertion).
        """
        check_reduction(reduction)
        objective = ""  # what but the log-likelihood is to be maximised
        if class_weights is not None:
            objective = "class weights"
            check_vector("class_weights", class_weights, self.num_tags)
        elif label_smoothing != 0:
            objective = "label smoothing"
        check_fraction("label_smoothing", label_smoothing)
        problem = self._problem(emissions, mask, tags, allowed, pairwise, reference_for=objective)
        tags = self._tags(tags)
        if weights is not None:
            check_vector("weights", weights, tags.shape[0])
        if not objective:
            return autograd.reduced_log_likelihood(tags, problem, reduction, weights)
        likelihood = objectives.smoothed_log_likelihood(tags, problem, class_weights, label_smoothing)
        return reduce(likelihood, problem.chain.mask, reduction, weights)

    def partial_log_likelihood(
        self,
        emissions: Tensor,
        candidates: Tensor,
        mask: Tensor | None = None,
        reduction: str = "sum",
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The log-probability that every tag is one of its candidates: of partial or ambiguous labels.

        It is log Z of the paths through candidates alone, minus log Z (Tsuboi et al., 2008). Where tags of -1
        are unknown and the others certain, the candidates are
        ``one_hot(tags.clamp(min=0), K).bool() | (tags < 0)[..., None]``.

        Args:
            candidates: (B, T, K) bool; the others as for :meth:`forward`.

        Returns:
            (B,) for "none", else (). -inf for a row with no legal path, or with none through candidates.
        """
        check_reduction(reduction)
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        check_allowed("candidates", candidates, emissions)
        likelihood = objectives.partial_log_likelihood(problem, self._batch_first(candidates))
        return reduce(likelihood, problem.chain.mask, reduction)

    def log_partition(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """log Z (B,), differentiable; -inf for a row with no legal path, 0 for one with nothing unmasked."""
        return autograd.log_partition(*self._problem(emissions, mask, None, allowed, pairwise))

    def score(
        self,
        emissions: Tensor,
        tags: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The score (B,) of the paths ``tags`` (B, T), as in :meth:`forward`. Differentiable."""
        chain, _, pairwise = self._problem(emissions, mask, tags, allowed, pairwise)
        tags = self._tags(tags)
        check_tags(tags, chain.mask, self.num_tags)
        return path_score(tags, chain, pairwise)

    @torch.no_grad()
    def decode(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> list[list[int]]:
        """The best tags of each row: one list a row, one tag an unmasked position.

        Among equal paths the lowest tags win, from the last position backwards.

        Raises:
            ValueError: a row has no legal path, or NaN in an unmasked emission; names the row.
        """
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        tags, scores = autograd.viterbi(*problem)
        check_best(scores, problem.chain)
        return to_lists(tags, problem.chain.mask)

    @torch.no_grad()
    def viterbi(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        k: int = 1,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The k best paths of each row as tensors, with no host synchronisation, outside autograd.

        Among equal paths the lowest tags come first, from the last position backwards.

        Returns:
            tags (B, T) int64, -1 where masked, and scores (B,): 0 for a row with nothing unmasked, -inf for
            one with no legal path, NaN for one with NaN in it; the tags of the latter two mean nothing. For
            k > 1, (k, B, T) and (k, B), the best first; beyond the number of legal paths (that of a row with
            nothing unmasked is 1) scores are -inf and tags -1.
        """
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        if k == 1:
            tags, scores = autograd.viterbi(*problem)
            return self._leave(tags), scores
        if k < 1:
            raise ValueError(f"k must be positive, got {k}")
        tags, scores = autograd.k_best(k, *problem)
        return self._leave(tags, batch_axis=1), scores
