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


class Problem(NamedTuple):
    """A batch as a model hands it to its CRF layer, and the layer's parameters."""

    emissions: Tensor  # (B, T, K)
    tags: Tensor  # (B, T) int64, in range everywhere: some peers look at masked positions too
    mask: Tensor  # (B, T) bool, padded on the right: what all contenders take
    lengths: Tensor  # (B,) int64, at least 2: torch-struct loses a lone position's emission
    start: Tensor  # (K,)
    transitions: Tensor  # (K, K), from row to column
    end: Tensor  # (K,)

    @property
    def shape(self) -> Shape:
        batch, time, tags = self.emissions.shape
        return batch, time, tags

    def to(self, dtype: torch.dtype) -> Problem:
        """The same problem with scores of another precision."""
        return Problem(*(part.to(dtype) if part.is_floating_point() else part for part in self))

    def on(self, device: torch.device) -> Problem:
        """The same problem on a device."""
        return Problem(*(part.to(device) for part in self))

    def beginning(self, time: int) -> Problem:
        """The same rows, cut off after `time` positions."""
        cut = {name: getattr(self, name)[:, :time] for name in ("emissions", "tags", "mask")}
        return self._replace(lengths=self.lengths.clamp(max=time), **cut)


def problem(shape: Shape, seed: int = 0) -> Problem:
    """Scores from N(0, 1) and lengths from T/4..T, the first T itself, all drawn from the seed; float32."""
    B, T, K = shape
    generator = torch.Generator().manual_seed(seed)
    emissions, start, transitions, end = (
        torch.randn(*size, generator=generator) for size in ((B, T, K), (K,), (K, K), (K,))
    )
    tags = torch.randint(K, (B, T), generator=generator)
    lengths = torch.randint(max(2, T // 4), T + 1, (B,), generator=generator)
    lengths[0] = T
    mask = torch.arange(T) < lengths[:, None]
    return Problem(emissions, tags, mask, lengths, start, transitions, end)


def path_scores(case: Problem, tags: Tensor) -> Tensor:
    """The score (B,) of a path for each row, differentiable; tags (B, T) are in range everywhere."""
    emissions, _, mask, lengths, start, transitions, end = case
    unary = emissions.gather(2, tags[..., None])[..., 0]
    pairs = transitions[tags[:, :-1], tags[:, 1:]]
    last = tags.gather(1, lengths[:, None] - 1)[:, 0]
    inner = torch.where(mask, unary, 0).sum(1) + torch.where(mask[:, 1:], pairs, 0).sum(1)
    return start[tags[:, 0]] + inner + end[last]
