"""Dropout that costs a CPU little: the random bits, not the arithmetic, are what is expensive there.

Srivastava et al. (2014). ``F.dropout`` draws one random number an element, which took two fifths of the time
of a small encoder's attention in training. Sixteen bits decide an element well enough, and one draw of the
generator has sixty-four: a quarter of the draws.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 1 << 16  # the probability is rounded to a multiple of 1 / 65,536


def dropout(x: Tensor, probability: float) -> Tensor:
    """Set each element of ``x`` (any shape) to 0 with ``probability`` in [0, 1), and scale the others up.

    The expectation is ``x`` exactly: the scale is that of the rounded probability. Draws from torch's default
    generator, so ``torch.manual_seed`` makes it repeatable, whatever the number of threads. On other devices
    than the CPU, in half precision (where a mask that carries the scale would round it) and under
    ``torch.compile`` (which has its own random numbers), it is ``F.dropout``.
    """
    if probability == 0.0:
        return x
    other = x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64)
    if other or torch.compiler.is_compiling():
        return F.dropout(x, probability)
    dropped = min(round(probability * _LEVELS), _LEVELS - 1)
    draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
    bits = draws.view(torch.int16)[: x.numel()].view(x.shape)  # uniform in [-32768, 32767]
    kept = bits >= dropped - _LEVELS // 2
    return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))


class Dropout(nn.Module):
    """``dropout`` in training, nothing otherwise."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.probability) if self.training else x

    def extra_repr(self) -> str:
        return f"p={self.probability}"
