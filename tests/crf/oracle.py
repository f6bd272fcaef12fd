"""The chain by enumerating every path of one row: too slow to be wrong in a clever way."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor


class Chain(NamedTuple):
    """Every path over the unmasked positions of one row, and its score."""

    paths: list[tuple[int, ...]]
    scores: Tensor  # (paths,) float64

    @property
    def log_partition(self) -> float:
        return float(self.scores.logsumexp(0)) if len(self.scores) else -math.inf

    @property
    def probabilities(self) -> Tensor:
        return self.scores.softmax(0)

    @property
    def best(self) -> tuple[tuple[int, ...], float]:
        """The best path; of equal ones that with the lowest last tag, then the lowest tag before it, and so
        on."""
        top = self.scores.max()
        ties = [path for path, score in zip(self.paths, self.scores, strict=True) if score == top]
        return min(ties, key=lambda path: path[::-1]), float(top)

    def score_of(self, path: tuple[int, ...]) -> float:
        return float(self.scores[self.paths.index(path)])

    def marginals(self, num_tags: int) -> Tensor:
        """(length, K): the probability of each tag at each position of the chain."""
        table = torch.zeros(len(self.paths[0]), num_tags, dtype=torch.float64)
        for path, probability in zip(self.paths, self.probabilities, strict=True):
            for position, tag in enumerate(path):
                table[position, tag] += probability
        return table

    def transition_counts(self, num_tags: int) -> Tensor:
        """(K, K): the expected number of steps from each tag to each."""
        table = torch.zeros(num_tags, num_tags, dtype=torch.float64)
        for path, probability in zip(self.paths, self.probabilities, strict=True):
            for step in itertools.pairwise(path):
                table[step] += probability
        return table

    def span_probability(self, tags: tuple[int, ...], begin: int, continuing: Tensor | None = None) -> float:
        """The probability that ``tags`` stand from position ``begin`` and that no continuing tag follows
        them."""
        total = 0.0
        end = begin + len(tags)
        for path, probability in zip(self.paths, self.probabilities, strict=True):
            goes_on = (
                continuing is not None and end < len(path) and bool(continuing[path[end - 1], path[end]])
            )
            if path[begin:end] == tags and not goes_on:
                total += float(probability)
        return total


def enumerate_chain(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> Chain:
    """All paths of one row: emissions (T, K), mask (T,) bool, in float64."""
    kept = [row for row, on in zip(emissions.double().tolist(), mask.tolist(), strict=True) if on]
    first, steps, last = start.tolist(), transitions.tolist(), end.tolist()
    paths = list(itertools.product(range(len(first)), repeat=len(kept)))
    scores = []
    for path in paths:
        score = first[path[0]] + last[path[-1]] if path else 0.0
        score += sum(kept[position][tag] for position, tag in enumerate(path))
        score += sum(steps[i][j] for i, j in itertools.pairwise(path))
        scores.append(score)
    return Chain(paths, torch.tensor(scores, dtype=torch.float64))
