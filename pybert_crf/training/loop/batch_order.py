"""Which examples make a batch in each epoch, and the order of the batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from random import Random

from pybert_crf.annotation.examples import cut


class BatchOrder:
    """The batches of each training epoch: near-equal lengths together, order drawn from seed and epoch.

    Sorting by length leaves about 8 % padding, file order about half. Lengths are jittered by up to a tenth,
    so that a batch differs from epoch to epoch. Each of several processes has an order of its own, over its
    share of the examples.

    Args:
        lengths: encoder positions of each example.
        budget: positions in a batch, padding counted.
        seed: of the order.
    """

    def __init__(self, lengths: Sequence[int], budget: int, seed: int) -> None:
        self.lengths = lengths
        self.budget = budget
        self.seed = seed

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches of `epoch`, as lists of indices."""
        random = Random(f"{self.seed}/{epoch}")
        keys = [length * (1 + 0.1 * random.random()) for length in self.lengths]
        batches = list(cut(self.lengths, sorted(range(len(keys)), key=keys.__getitem__), self.budget))
        random.shuffle(batches)
        return batches


def repeated(batches: list[list[int]], count: int) -> list[list[int]]:
    """`count` batches, of which the first come again at the end if there are fewer.

    All processes so take equally many: none waits for a step that another does not take, and nothing is left
    out.
    """
    return list(islice(cycle(batches), count))
