"""What a CRF layer says of the posterior distribution of a row's path."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pybert_crf.crf import autograd
from pybert_crf.crf.layer import ChainLayer
from pybert_crf.crf.posterior import entropy as posterior
from pybert_crf.crf.posterior.spans import span_probabilities
from pybert_crf.crf.problem import check_spans, check_tags


class PathDistribution(ChainLayer):
    """The part of :class:`pybert_crf.crf.CRF`, where shapes and arguments are explained, on P(y | x)."""

    def marginals(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The posterior probabilities (B, T, K) of the tags; 0 where masked or where no path is legal.

        They are the gradient of log Z. With the reference backend they are themselves differentiable; with
        the others they come outside autograd.
        """
        return self._leave(autograd.marginals(*self._problem(emissions, mask, None, allowed, pairwise)))

    def transition_marginals(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The posterior probabilities (B, T - 1, K, K) of neighbouring tags; differentiable as the marginals.

        At [b, t - 1, i, j]: that position t has tag j, and the unmasked position before it tag i. 0 where t
        is masked or the first unmasked position, and where no path is legal.
        """
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        return self._leave(posterior.transition_marginals(problem))

    @torch.no_grad()
    def posterior_decode(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The most probable tag of each position by itself, and its posterior probability (max-marginal).

        It makes the fewest wrong tags in expectation (docs/crf.md, eq. 25), where :meth:`viterbi` makes the
        most whole rows right. The tags together may be no legal path. Among equals the lowest wins.

        Returns:
            tags (B, T) int64, -1 where masked or where no path is legal, and probabilities (B, T), 0 there.
        """
        probabilities, tags = self.marginals(emissions, mask, allowed=allowed, pairwise=pairwise).max(dim=2)
        return torch.where(probabilities > 0, tags, -1), probabilities

    def entropy(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """The entropy (B,) in nats of the posterior distribution of each row's path.

        0 for a row with nothing unmasked, or with no legal path. Differentiable as the marginals are.
        """
        return posterior.entropy(self._problem(emissions, mask, None, allowed, pairwise))

    def kl_divergence(
        self, emissions: Tensor, other: PathDistribution, other_emissions: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """KL(P || Q) (B,) in nats, from this layer's distribution of each row's path to the other layer's.

        Args:
            other: a layer of as many tags; other_emissions: (B, T, K), laid out as ``emissions`` are.

        Returns:
            (B,) inf where Q forbids what P does not; 0 for a row with nothing unmasked, or with no legal path
            in P. Differentiable in both where both have the reference backend.
        """
        problem = self._problem(emissions, mask)
        if other_emissions.shape != emissions.shape:
            raise ValueError(
                f"other_emissions must be of the emissions' shape {tuple(emissions.shape)}, "
                f"got {tuple(other_emissions.shape)}"
            )
        batch_first = (self._batch_first(other_emissions), problem.chain.mask)
        return posterior.kl_divergence(problem, other._problem(*map(other._leave, batch_first)))

    @torch.no_grad()
    def sample(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        n: int = 1,
        generator: torch.Generator | None = None,
        *,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
    ) -> Tensor:
        """n independent paths of each row, drawn with exactly their posterior probabilities.

        Args:
            generator: where the randomness comes from; None for torch's own. The same state gives the same
                paths, on any number of threads.

        Returns:
            tags (n, B, T) int64, -1 where masked and in rows with no legal path.
        """
        if n < 0:
            raise ValueError(f"n must not be negative, got {n}")
        problem = self._problem(emissions, mask, None, allowed, pairwise)
        (B, T), device = problem.chain.mask.shape, emissions.device
        wide = torch.float32 if device.type == "mps" else torch.float64
        uniforms = torch.rand(n, B, T, dtype=wide, generator=generator, device=device)
        return self._leave(autograd.sample(uniforms, *problem), batch_axis=1)

    @torch.no_grad()
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
        problem = self._problem(emissions, mask, tags)
        tags = self._tags(tags)
        check_tags(tags, problem.chain.mask, self.num_tags)
        spans = check_spans(spans, problem.chain.mask)
        return span_probabilities(problem, tags, spans, continuing)
