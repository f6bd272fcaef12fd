"""The annotations whose best readings are least probable: those whose correction teaches a tagger most."""

from __future__ import annotations

import heapq

from pybert_crf.annotation.entities import Annotation


class LeastCertain:
    """Keeps the n annotations with the lowest `log_probability` of all that are added.

    Least confidence, as of Culotta & McCallum (2005), "Reducing labeling effort for structured prediction
    tasks".

    Args:
        n: how many are kept.

    Raises:
        ValueError: `n` is not positive.
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"n must be positive, got {n}")
        self._most, self._count = n, 0
        self._heap: list[tuple[float, int, Annotation]] = []  # the most certain, and of these the last, first

    def add(self, annotation: Annotation) -> None:
        """Keep `annotation`, whose probability is known, if it is among the least certain so far."""
        assert annotation.log_probability is not None
        self._count += 1
        item = (-annotation.log_probability, -self._count, annotation)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)

    def in_order(self) -> list[Annotation]:
        """Those that were kept, the least certain first."""
        return [annotation for _, _, annotation in sorted(self._heap, reverse=True)]
