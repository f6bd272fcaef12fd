"""Dropout (Srivastava et al., 2014), fast on the CPU, where drawing random numbers takes most of the time.

``F.dropout`` draws one random number per element, which took two fifths of the time of a small encoder's
attention in training. Sixteen random bits per element are enough and one draw gives sixty-four, so that this
needs a quarter of the draws.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 1 << 16  # the probability is rounded to a multiple of 1 / 65,536


def dropout(x: Tensor, probability: float) -> Tensor:
    """Set each element of ``x`` (any shape) to 0 with ``probability`` in [0, 1), and scale the others up.

    The expectation is exactly ``x``: the scale matches the rounded probability. Random numbers come from
    torch's default generator, so that ``torch.manual_seed`` makes the result repeatable with any number of
    threads. ``F.dropout`` is used on other devices, in half precision (where a mask that contains the scale
    would round it) and under ``torch.compile`` (which has its own random numbers).
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
    """``dropout`` in training, the identity otherwise."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.probability) if self.training else x

    def extra_repr(self) -> str:
        return f"p={self.probability}"
