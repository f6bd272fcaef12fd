"""Linear maps on the CPU, by oneDNN where it is faster than MKL.

torch multiplies float32 matrices with MKL, which on AMD's Zen 5 is no faster than AVX2 allows, although the
processor is twice as fast with AVX-512. torch's convolutions run on oneDNN, which uses AVX-512 there. A
linear map computed as a convolution, of an image with one row of the input per pixel, takes about half of
the time, forward and backward (measured on a Zen 5, assumed of its successors).
"""

from __future__ import annotations

import platform
import re
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# For smaller products oneDNN's set-up costs as much as it saves.
MIN_ROWS, MIN_WEIGHTS = 128, 1 << 16
ZEN_5 = 26  # AMD's family number


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x`` (…, K) times ``weight``ᵀ, weight (N, K), plus ``bias`` (N,): (…, N), as ``F.linear``.

    The convolution differs from ``F.linear`` by rounding in float32. ``F.linear`` is used for other dtypes,
    on other devices and processors, for small products, under autocast, ``torch.compile`` and
    ``torch.export``.
    """
    if not _use_convolution(x, weight):
        return F.linear(x, weight, bias)
    N, K = weight.shape
    pixels = x.reshape(1, 1, -1, K).permute(0, 3, 1, 2)  # (1, K, 1, rows), channels last in memory
    # Dilation does not affect a 1 × 1 kernel, but with it torch uses oneDNN even with a single thread.
    mapped = F.conv2d(pixels, weight[:, :, None, None], bias, dilation=2)  # (1, N, 1, rows)
    return mapped.permute(0, 2, 3, 1).reshape(*x.shape[:-1], N)


class Linear(nn.Linear):
    """``nn.Linear`` computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def _use_convolution(x: Tensor, weight: Tensor) -> bool:
    if torch.compiler.is_compiling() or x.device.type != "cpu" or not convolution_is_faster():
        return False
    # Subclasses of Tensor (sharded, quantised …) have their own F.linear.
    plain = type(x) is Tensor and type(weight) in (Tensor, nn.Parameter)
    single = x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    much = weight.numel() >= MIN_WEIGHTS and x.numel() >= MIN_ROWS * weight.shape[1]
    return plain and single and much and bool(torch.backends.mkldnn.enabled)


@cache
def convolution_is_faster() -> bool:
    """Return whether oneDNN is faster than MKL on this processor: AMD's from Zen 5 on, with AVX-512."""
    backends: Any = torch.backends
    if not (backends.mkldnn.is_available() and backends.mkl.is_available()):
        return False
    return backends.cpu.get_cpu_capability() == "AVX512" and amd_family(_processor()) >= ZEN_5


def amd_family(processor: str) -> int:
    """Return the family number in a processor's description (/proc/cpuinfo or Windows), 0 if not AMD's."""
    family = re.search(r"family\s*:?\s*(\d+)", processor, re.IGNORECASE)
    return int(family[1]) if family and "AuthenticAMD" in processor else 0


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else platform.processor()
