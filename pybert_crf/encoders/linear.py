"""Linear maps on the CPU, by the library that uses all of the processor.

torch multiplies float32 matrices by MKL, which on a Zen 5 of AMD's goes no faster than AVX2 could, where the
processor does twice as much with AVX-512. torch's convolutions are oneDNN's, which takes it: there a linear
map goes as the convolution of an image with one row a pixel, in about half of the time, forwards and
backwards (measured on a Zen 5, and assumed of what follows it).
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

# With less to do oneDNN's preparations cost as much as it wins.
MIN_ROWS, MIN_WEIGHTS = 128, 1 << 16
ZEN_5 = 26  # the number of AMD's family


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x`` (…, K) by ``weight`` (N, K), plus ``bias`` (N,): (…, N), as ``F.linear``.

    The two ways differ by float32's rounding. It is ``F.linear`` in other dtypes, on other devices and
    processors, for small products, under autocast, ``torch.compile`` and ``torch.export``.
    """
    if not _goes_as_convolution(x, weight):
        return F.linear(x, weight, bias)
    N, K = weight.shape
    pixels = x.reshape(1, 1, -1, K).permute(0, 3, 1, 2)  # (1, K, 1, rows), channels last as it lies
    # One pixel cannot be dilated: it changes nothing, but that torch takes oneDNN with a single thread too.
    mapped = F.conv2d(pixels, weight[:, :, None, None], bias, dilation=2)  # (1, N, 1, rows)
    return mapped.permute(0, 2, 3, 1).reshape(*x.shape[:-1], N)


class Linear(nn.Linear):
    """``nn.Linear`` by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def _goes_as_convolution(x: Tensor, weight: Tensor) -> bool:
    if torch.compiler.is_compiling() or x.device.type != "cpu" or not convolution_is_faster():
        return False
    # Tensors of other types (sharded, quantised …) bring an F.linear of their own.
    plain = type(x) is Tensor and type(weight) in (Tensor, nn.Parameter)
    single = x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    much = weight.numel() >= MIN_WEIGHTS and x.numel() >= MIN_ROWS * weight.shape[1]
    return plain and single and much and bool(torch.backends.mkldnn.enabled)


@cache
def convolution_is_faster() -> bool:
    """Return whether this is a processor of which oneDNN uses more than MKL does."""
    backends: Any = torch.backends
    if not (backends.mkldnn.is_available() and backends.mkl.is_available()):
        return False
    return backends.cpu.get_cpu_capability() == "AVX512" and amd_family(_processor()) >= ZEN_5


def amd_family(processor: str) -> int:
    """Return the family in a processor's description (of /proc/cpuinfo, or of Windows), 0 if not AMD's."""
    family = re.search(r"family\s*:?\s*(\d+)", processor, re.IGNORECASE)
    return int(family[1]) if family and "AuthenticAMD" in processor else 0


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else platform.processor()
