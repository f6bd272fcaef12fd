"""The problems that every contender solves: ragged batches of random scores."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

Shape = tuple[int, int, int]  # batch, time, tags

SHAPES: tuple[Shape, ...] = (
    (16, 256, 7),
    (32, 128, 7),
    (32, 128, 29),
    (8, 512, 29),
    (32, 128, 128),
    (1, 20000, 9),
    (256, 32, 9),
)
GPU_SHAPES = (*SHAPES[:5], (256, 32, 9), (64, 512, 7), (256, 256, 29), (16, 512, 256), (1, 2048, 9))
QUICK_SHAPES: tuple[Shape, ...] = ((3, 16, 5), (2, 8, 9))


class Problem(NamedTuple):
    """The inputs of a CRF layer, and its parameters."""

    emissions: Tensor  # (B, T, K)
    tags: Tensor  # (B, T) int64, in range everywhere: some peers look at masked positions too
    mask: Tensor  # (B, T) bool, padded on the right: the one form that all contenders take
    lengths: Tensor  # (B,) int64
    start: Tensor  # (K,)
    transitions: Tensor  # (K, K), from row to column
    end: Tensor  # (K,)

    @property
    def shape(self) -> Shape:
        batch, time, tags = self.emissions.shape
        return batch, time, tags

    @property
    def scores(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The scores that a loss is differentiated by."""
        return self.emissions, self.start, self.transitions, self.end

    def with_scores(self, emissions: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> Problem:
        """The same batch with other scores."""
        return self._replace(emissions=emissions, start=start, transitions=transitions, end=end)

    def double(self) -> Problem:
        """The same problem in float64."""
        return self.with_scores(*(part.double() for part in self.scores))

    def on(self, device: torch.device) -> Problem:
        """The same problem on a device."""
        return Problem(*(part.to(device) for part in self))

    def beginning(self, time: int) -> Problem:
        """The same rows, cut off after `time` positions."""
        cut = {name: getattr(self, name)[:, :time] for name in ("emissions", "tags", "mask")}
        return self._replace(lengths=self.lengths.clamp(max=time), **cut)


def problem(shape: Shape, seed: int = 0) -> Problem:
    """Float32 scores from N(0, 1) and lengths from T/4..T, the first T itself, all drawn from the seed."""
    B, T, K = shape
    generator = torch.Generator().manual_seed(seed)
    emissions, start, transitions, end = (
        torch.randn(*size, generator=generator) for size in ((B, T, K), (K,), (K, K), (K,))
    )
    tags = torch.randint(K, (B, T), generator=generator)
    lengths = torch.randint(max(1, T // 4), T + 1, (B,), generator=generator)
    lengths[0] = T
    mask = torch.arange(T) < lengths[:, None]
    return Problem(emissions, tags, mask, lengths, start, transitions, end)


def path_scores(case: Problem, tags: Tensor) -> Tensor:
    """The score (B,) of a path for each row, differentiable; tags (B, T) are in range everywhere."""
    unary = case.emissions.gather(2, tags[..., None])[..., 0]
    pairs = case.transitions[tags[:, :-1], tags[:, 1:]]
    last = tags.gather(1, case.lengths[:, None] - 1)[:, 0]
    inner = torch.where(case.mask, unary, 0).sum(1) + torch.where(case.mask[:, 1:], pairs, 0).sum(1)
    return case.start[tags[:, 0]] + inner + case.end[last]
