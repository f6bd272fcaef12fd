"""Which examples make a batch in each epoch, and the order of the batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle, islice
from random import Random

from pybert_crf.annotation.examples import cut


class BatchOrder:
    """The batches of each training epoch: near-equal lengths together, order drawn from seed and epoch.

    Sorting by length leaves about 8 % padding, file order about half. Lengths are jittered by up to a tenth,
    so that a batch differs from epoch to epoch. With several processes each one gets every `world`-th batch,
    and the first batches are repeated so that all have equally many: no process waits for a step that another
    does not take, and no sentence is dropped.

    Args:
        lengths: encoder positions of each example.
        budget: positions in a batch, padding counted.
        seed: of the order.
        rank, world: number of this process, and of all processes.
    """

    def __init__(self, lengths: Sequence[int], budget: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.lengths = lengths
        self.budget = budget
        self.seed = seed
        self.rank = rank
        self.world = world

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches, as lists of indices, that this process takes in `epoch`."""
        random = Random(f"{self.seed}/{epoch}")
        keys = [length * (1 + 0.1 * random.random()) for length in self.lengths]
        batches = list(cut(self.lengths, sorted(range(len(keys)), key=keys.__getitem__), self.budget))
        random.shuffle(batches)
        steps = math.ceil(len(batches) / self.world)
        return list(islice(cycle(batches), self.rank, steps * self.world, self.world))
