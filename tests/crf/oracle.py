"""The chain by enumerating every path of one row: too slow to be wrong in a clever way."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor

Path = tuple[int, ...]


class EveryPath(NamedTuple):
    """Every path over the unmasked positions of one row, and its score."""

    paths: list[Path]
    scores: Tensor  # (paths,) float64

    @property
    def log_partition(self) -> float:
        return float(self.scores.logsumexp(0)) if len(self.scores) else -math.inf

    @property
    def probabilities(self) -> Tensor:
        """(paths,); all 0 if no path is legal."""
        return self.scores.softmax(0) if self.is_legal else torch.zeros_like(self.scores)

    @property
    def is_legal(self) -> bool:
        """Whether any path is legal."""
        return bool((self.scores > -math.inf).any())

    @property
    def length(self) -> int:
        return len(self.paths[0])

    @property
    def best(self) -> tuple[Path, float]:
        """The best path; of equal ones the one with the lowest last tag, then the lowest tag before it, and
        so on."""
        return self.k_best(1)[0]

    def k_best(self, k: int) -> list[tuple[Path, float]]:
        """The k best legal paths in this order, or as many as there are."""
        legal = [pair for pair in zip(self.paths, self.scores.tolist(), strict=True) if pair[1] > -math.inf]
        return sorted(legal, key=lambda pair: (-pair[1], pair[0][::-1]))[:k]

    def score_of(self, path: Path) -> float:
        return float(self.scores[self.paths.index(path)])

    def marginals(self, num_tags: int) -> Tensor:
        """(length, K): the probability of each tag at each position of the chain."""
        table = torch.zeros(self.length, num_tags, dtype=torch.float64)
        for path, probability in zip(self.paths, self.probabilities, strict=True):
            for position, tag in enumerate(path):
                table[position, tag] += probability
        return table

    def pair_marginals(self, num_tags: int) -> Tensor:
        """(length - 1, K, K): the probability of each pair of tags at each step of the chain."""
        table = torch.zeros(max(0, self.length - 1), num_tags, num_tags, dtype=torch.float64)
        for path, probability in zip(self.paths, self.probabilities, strict=True):
            for position, step in enumerate(itertools.pairwise(path)):
                table[(position, *step)] += probability
        return table

    def transition_counts(self, num_tags: int) -> Tensor:
        """(K, K): the expected number of steps from each tag to each."""
        return self.pair_marginals(num_tags).sum(0)

    @property
    def entropy(self) -> float:
        return -sum(p * math.log(p) for p in self.probabilities.tolist() if p > 0)

    def kl_divergence(self, other: EveryPath) -> float:
        pairs = zip(self.probabilities.tolist(), other.probabilities.tolist(), strict=True)
        return sum(p * (math.log(p / q) if q > 0 else math.inf) for p, q in pairs if p > 0)

    def log_probability(self, event: list[bool]) -> float:
        """The log of the probability of the paths for which ``event`` holds."""
        total = sum(p for p, holds in zip(self.probabilities.tolist(), event, strict=True) if holds)
        return math.log(total) if total > 0 else -math.inf

    def log_conditionals(self, path: Path) -> list[float]:
        """log P(y_t | y_{t+1}, ..., y_n) at each position t of a path."""
        suffixes = [
            self.log_probability([other[position:] == path[position:] for other in self.paths])
            for position in range(self.length + 1)
        ]
        return [longer - shorter for longer, shorter in itertools.pairwise(suffixes)]

    def drawn(self, uniforms: list[float]) -> Path:
        """The path that these uniforms in [0, 1) choose, from the last position backwards: at each the first
        tag whose cumulative probability, given the tags after it, exceeds the uniform."""
        suffix: Path = ()
        for uniform in reversed(uniforms):
            weights: dict[int, float] = {}
            for path, probability in zip(self.paths, self.probabilities.tolist(), strict=True):
                if path[self.length - len(suffix) :] == suffix:
                    tag = path[self.length - len(suffix) - 1]
                    weights[tag] = weights.get(tag, 0.0) + probability
            cumulative = list(itertools.accumulate(weights[tag] for tag in sorted(weights)))
            exceeding = (tag for tag, upto in enumerate(cumulative) if upto > uniform * cumulative[-1])
            suffix = (next(exceeding), *suffix)
        return suffix

    def span_probability(self, tags: Path, begin: int, continuing: Tensor | None = None) -> float:
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
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    pairwise: Tensor | None = None,
) -> EveryPath:
    """All paths of one row: emissions (T, K), mask (T,) bool, pairwise (T - 1, K, K), in float64."""
    K = len(start)
    if pairwise is None:
        pairwise = torch.zeros(max(0, len(mask) - 1), K, K, dtype=torch.float64)
    positions = mask.nonzero()[:, 0].tolist()
    kept = emissions.double()[mask].tolist()
    steps = [(transitions + pairwise[position - 1]).tolist() for position in positions[1:]]
    first, last = start.tolist(), end.tolist()
    paths = list(itertools.product(range(K), repeat=len(positions)))
    scores = []
    for path in paths:
        score = first[path[0]] + last[path[-1]] if path else 0.0
        score += sum(kept[position][tag] for position, tag in enumerate(path))
        score += sum(step[i][j] for step, (i, j) in zip(steps, itertools.pairwise(path), strict=True))
        scores.append(score)
    return EveryPath(paths, torch.tensor(scores, dtype=torch.float64))
