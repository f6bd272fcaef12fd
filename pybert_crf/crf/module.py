"""The CRF layer: a drop-in for ``torchcrf.CRF`` for which every mask is legal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pybert_crf.crf import ops
from pybert_crf.crf.backends import check_name, choose
from pybert_crf.crf.chain import Chain
from pybert_crf.crf.checks import (
    check_beside,
    check_emissions,
    check_legal,
    check_readable,
    check_spans,
    check_tags,
)
from pybert_crf.crf.constraints import Constraints, check_constraint
from pybert_crf.crf.reduction import check_reduction, reduce
from pybert_crf.crf.score import path_score
from pybert_crf.crf.spans import span_probabilities

_PARAMETERS = {"start": "start_transitions", "transitions": "transitions", "end": "end_transitions"}


class CRF(nn.Module):
    """A linear-chain conditional random field (Lafferty, McCallum & Pereira, 2001).

    The chain of a row is the sequence of its unmasked positions, in order: gaps, left padding and rows with
    nothing unmasked are legal, and what stands at masked positions (NaN emissions, tags of -100) is never
    read. A path scores ``start[y_1] + sum emissions[t, y_t] + sum transitions[y_{t-1}, y_t] + end[y_n]``.

    Shapes below are for ``batch_first=True``: B rows, T positions, K tags. Otherwise the first two axes of
    every tensor with a time axis are swapped. Masks may have any dtype; nonzero is on; none means all on.
    Emissions of half precision are computed in float32, and their gradients come back in their dtype. NaN in
    an unmasked emission makes the row's log-likelihood NaN. Scores of -inf forbid; they never make a NaN, in
    values or gradients.

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
            no such backend.
    """

    def __init__(
        self,
        num_tags: int,
        batch_first: bool = False,
        *,
        constraints: Constraints | None = None,
        backend: str = "auto",
    ) -> None:
        if num_tags <= 0:
            raise ValueError(f"invalid number of tags: {num_tags}")
        check_name(backend)
        super().__init__()
        self.num_tags = num_tags
        self.batch_first = batch_first
        self.backend = backend
        self.start_transitions = nn.Parameter(torch.empty(num_tags))
        self.end_transitions = nn.Parameter(torch.empty(num_tags))
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.reset_parameters()
        self._constrain(constraints)

    def _constrain(self, constraints: Constraints | None) -> None:
        """Keep what is allowed as buffers, so that it moves with the module."""
        for name, allowed in (constraints or Constraints(None, None, None))._asdict().items():
            if allowed is not None:
                allowed = check_constraint(name, allowed, getattr(self, _PARAMETERS[name]))
            self.register_buffer(f"_allowed_{name}", allowed, persistent=False)

    def reset_parameters(self) -> None:
        """Draw the parameters from U(-0.1, 0.1)."""
        nn.init.uniform_(self.start_transitions, -0.1, 0.1)
        nn.init.uniform_(self.end_transitions, -0.1, 0.1)
        nn.init.uniform_(self.transitions, -0.1, 0.1)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(num_tags={self.num_tags})"

    def forward(
        self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None, reduction: str = "sum"
    ) -> Tensor:
        """The log-likelihood of ``tags``: their score minus log Z. Its negative is the loss.

        Args:
            emissions: (B, T, K) floating point.
            tags: (B, T) integers, 0..K-1 where unmasked; anything where masked.
            mask: (B, T).
            reduction: "none", "sum" over rows, "mean" over rows, or "token_mean": over unmasked
                positions. Of nothing, all but "none" are 0.

        Returns:
            (B,) for "none", else (). 0 for a row with nothing unmasked, -inf for one with no legal path.

        Raises:
            ValueError: a shape, a dtype or the reduction does not fit; on the CPU, a tag is out of range
                where unmasked (elsewhere that is a device-side assertion).
        """
        chain = self._chain(emissions, mask, tags)
        check_reduction(reduction)
        score = path_score(self._tags(tags, chain.mask), *chain)
        log_z = self._forward_pass(chain)[0]
        # Without a legal path the difference is -inf - -inf, NaN: where() keeps that out, of gradients too.
        likelihood = torch.where(log_z == float("-inf"), log_z.detach(), score - log_z)
        return reduce(likelihood, chain.mask, reduction)

    def log_partition(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """log Z (B,), differentiable; -inf for a row with no legal path, 0 for one with nothing unmasked."""
        return self._forward_pass(self._chain(emissions, mask))[0]

    def score(self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """The score (B,) of the paths ``tags`` (B, T), as in :meth:`forward`. Differentiable."""
        chain = self._chain(emissions, mask, tags)
        return path_score(self._tags(tags, chain.mask), *chain)

    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> list[list[int]]:
        """The best tags of each row: one list a row, one tag an unmasked position.

        Among equal paths the lowest tags win, from the last position backwards.

        Raises:
            ValueError: a row has no legal path, or NaN in an unmasked emission; names the row.
        """
        chain = self._chain(emissions, mask)
        check_readable(*chain)
        tags, scores = ops.viterbi(*chain, self._backend(chain))
        check_legal(scores)
        flat = tags[chain.mask].tolist()
        stops = chain.mask.sum(dim=1).cumsum(dim=0).tolist()
        return [flat[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]

    def viterbi(self, emissions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The best path of each row as tensors, with no host synchronisation, outside autograd.

        Returns:
            tags (B, T) int64, -1 where masked, and scores (B,): -inf for a row with no legal path, NaN for
            one with NaN in it; the tags of such rows mean nothing.
        """
        chain = self._chain(emissions, mask)
        tags, scores = ops.viterbi(*chain, self._backend(chain))
        return self._leave(tags), scores

    def marginals(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """The posterior probabilities (B, T, K) of the tags; 0 where masked or where no path is legal.

        They are the gradient of log Z. With the reference backend they are themselves differentiable; with
        the others they come outside autograd.
        """
        chain = self._chain(emissions, mask)
        return self._leave(self._posterior(chain)[1])

    def span_probabilities(
        self,
        emissions: Tensor,
        tags: Tensor,
        spans: Sequence[tuple[int, int, int]] | Tensor,
        mask: Tensor | None = None,
        continuing: Tensor | None = None,
    ) -> Tensor:
        """The posterior probability, outside autograd, that the tags of each span hold, all of them together.

        Args:
            emissions: (B, T, K).
            tags: (B, T), as in :meth:`forward`: often those of :meth:`viterbi`.
            spans: (S, 3): batch row, start and end, half-open, counted in the row's unmasked positions.
            mask: (B, T).
            continuing: (K, K) bool, true at [i, j] where a tag j after a span's last tag i would make it
                longer (B-PER, I-PER). If given, the probability is also that no such tag follows the span.

        Returns:
            (S,) probabilities.

        Raises:
            ValueError: as :meth:`forward`, or a span is empty or not within its row; names the span.
        """
        with torch.no_grad():
            chain = self._chain(emissions, mask, tags)
            tags = self._tags(tags, chain.mask)
            spans = check_spans(spans, chain.mask)
            alphas, marginals = self._posterior(chain)
            return span_probabilities(
                alphas, marginals, chain.transitions, tags, chain.mask, spans, continuing
            )

    def _chain(self, emissions: Tensor, mask: Tensor | None, tags: Tensor | None = None) -> Chain:
        """Check the shapes; bring everything to batch-first, one dtype and a bool mask."""
        check_emissions(emissions, self.num_tags)
        if tags is not None:
            check_beside("tags", tags, emissions)
        if mask is None:
            mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        else:
            check_beside("mask", mask, emissions)
            mask = mask if mask.dtype == torch.bool else mask != 0
        if not self.batch_first:
            emissions, mask = emissions.transpose(0, 1), mask.transpose(0, 1)
        # At least single precision: half of it loses the sums of a long row.
        dtype = torch.promote_types(
            torch.promote_types(emissions.dtype, self.transitions.dtype), torch.float32
        )
        start, transitions, end = (self._scores(name).to(dtype) for name in _PARAMETERS)
        return Chain(emissions.to(dtype), mask, start, transitions, end)

    def _scores(self, name: str) -> Tensor:
        """A parameter, with -inf where the constraints forbid: no path there, and no gradient."""
        parameter: Tensor = getattr(self, _PARAMETERS[name])
        allowed: Tensor | None = getattr(self, f"_allowed_{name}")
        return parameter if allowed is None else torch.where(allowed, parameter, float("-inf"))

    def _tags(self, tags: Tensor, mask: Tensor) -> Tensor:
        """Tags brought to batch-first int64 and checked where ``mask`` (batch-first) is on."""
        if tags.is_floating_point() or tags.dtype == torch.bool:
            raise ValueError(f"tags must be integers, got {tags.dtype}")
        tags = tags.to(torch.int64)
        if not self.batch_first:
            tags = tags.transpose(0, 1)
        check_tags(tags, mask, self.num_tags)
        return tags

    def _leave(self, result: Tensor) -> Tensor:
        """A batch-first result in the layout of the caller's emissions."""
        return result if self.batch_first else result.transpose(0, 1)

    def _backend(self, chain: Chain) -> str:
        name: str = choose(self.backend, chain.emissions.device.type)
        return name

    def _forward_pass(self, chain: Chain) -> tuple[Tensor, Tensor]:
        """log Z (B,) and the alphas (B, T, K)."""
        return ops.log_partition(*chain, self._backend(chain))

    def _posterior(self, chain: Chain) -> tuple[Tensor, Tensor]:
        """The alphas and the posterior marginals (B, T, K); within autograd for the reference backend
        only."""
        backend = self._backend(chain)
        with torch.set_grad_enabled(torch.is_grad_enabled() and backend == "reference"):
            log_z, alphas = ops.log_partition(*chain, backend)
            marginals, *_ = ops.log_partition_backward(torch.ones_like(log_z), *chain, alphas, log_z, backend)
        return alphas, marginals
