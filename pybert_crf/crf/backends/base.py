"""The interface of a backend: a module with these functions of a :class:`Chain`.

Sizes: B rows, T positions, K tags. The chain of a row is the sequence of its unmasked positions, in order;
masked emissions and tags are never read. An empty row is one with nothing unmasked. Floating results have the
emissions' dtype; tags are int64. Tensors may have any strides. Sizes, dtypes and devices have been checked by
the caller (:class:`Chain` says by whom), and no backend checks them again.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from pybert_crf.crf.problem import Chain

Pair = tuple[Tensor, Tensor]
Triple = tuple[Tensor, Tensor, Tensor]
Gradients = tuple[Tensor, Tensor, Tensor, Tensor]
ValueAndGradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class Backend(Protocol):
    """The operations of a chain. None of the functions is differentiated through, but for the reference's."""

    def log_partition(self, chain: Chain) -> Pair:
        """The log of the sum of exp(score) over all paths (docs/crf/theory.md, eq. 3 and 4).

        Returns:
            log_z: (B,); 0 for an empty row, -inf if no path is legal, NaN if a score that is read is NaN or
                +inf.
            messages: what :meth:`gradient` of the same backend needs; their meaning, dtype and shape are the
                backend's own.
        """
        ...

    def log_likelihood(self, tags: Tensor, chain: Chain) -> Triple:
        """The score of the paths ``tags`` (B, T) minus log Z (eq. 2).

        Returns:
            likelihood: (B,); 0 for an empty row, -inf if no path is legal.
            log_z, messages: as from :meth:`log_partition`.

        Raises:
            ValueError: an unmasked tag is out of range; names the first. (On a GPU that is a device-side
                assertion.)
        """
        ...

    def gradient(
        self, grad: Tensor, tags: Tensor | None, chain: Chain, messages: Tensor, log_z: Tensor
    ) -> Gradients:
        """The gradient of ``(grad * log_z).sum()``; with ``tags``, of ``(grad * likelihood).sum()`` (eq. 6).

        Args:
            grad: (B,) factor of each row.
            tags: (B, T) as given to the forward function, or None.
            messages, log_z: as returned by the forward function.

        Returns:
            d_emissions: (B, T, K), the posterior probabilities times grad; 0 where masked and in rows with no
                legal path. With tags: one-hot tags minus the probabilities, times grad.
            d_start: (K,).
            d_transitions: (K, K).
            d_end: (K,).
        """
        ...

    def value_and_gradient(self, grad: Tensor, tags: Tensor | None, chain: Chain) -> ValueAndGradients:
        """The value (B,) of :meth:`log_likelihood`, or of :meth:`log_partition` if ``tags`` is None, and what
        :meth:`gradient` returns; the same bits as from the two calls.

        Raises:
            ValueError: as :meth:`log_likelihood`.
        """
        ...

    def viterbi(self, chain: Chain) -> Pair:
        """The best path of each row and its score (eq. 21 to 23).

        Of equal paths the one with the lowest tags wins, compared from the last position backwards.

        Returns:
            tags: (B, T), -1 where masked. If no path is legal, or a score is NaN or +inf, the tags are
                unspecified, but each is -1 or in 0..K-1.
            scores: (B,); 0 for an empty row, -inf if no path is legal, NaN for a row with NaN or +inf in it.
        """
        ...

    def k_best(self, k: int, chain: Chain) -> Pair:
        """The k best paths of each row, the best first (eq. 24); ties as in :meth:`viterbi`.

        Returns:
            tags: (k, B, T), -1 where masked, and beyond the number of legal paths.
            scores: (k, B), -inf beyond the number of legal paths; all NaN for a row with NaN or +inf in it.
                An empty row has one path, of score 0.

        Raises:
            ValueError: k is not positive.
        """
        ...

    def log_alphas(self, chain: Chain) -> Tensor:
        """The log-scores (B, T, K) of the prefixes that end in each tag, relative at each position to the
        greatest; -inf if no prefix is legal, 0 where masked."""
        ...

    def sample(self, uniforms: Tensor, chain: Chain) -> Tensor:
        """Paths (n, B, T), each drawn with exactly its posterior probability; -1 where masked and in rows
        with no legal path.

        Args:
            uniforms: (n, B, T) float64 in [0, 1), one for each position: the tag there is the first whose
                cumulative weight exceeds the uniform's share of the total.
        """
        ...
