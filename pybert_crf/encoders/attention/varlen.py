"""Attention of packed rows on a GPU: one call of torch's flash attention for sequences of unequal length.

``torch.nn.attention.varlen`` (Dao, 2023, "FlashAttention-2") takes the pieces of all rows one after the
other (`packing`), lets each row attend to itself and skips what is out of a window's sight. It knows neither
dropout nor float32: `kernel_for` says where it serves. Packing reads the mask, which waits for the device,
once for each batch. Shapes: T pieces in R rows, H heads of d units.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple, cast

import torch
from torch import Tensor

from pybert_crf.encoders.attention.heads import Angles, turn
from pybert_crf.encoders.attention.packing import Packing

Kernel = Callable[..., Tensor]
MAX_HEAD_SIZE = 256  # of flash attention


class Rows(NamedTuple):
    """The rows of a batch, as the kernel reads them."""

    kernel: Kernel
    starts: Tensor  # (R + 1,) int32: the first piece of each row, and T
    longest: int  # pieces of the longest row
    reach: int | None  # how far a piece sees to either side; None: its whole row

    def within(self, reach: int) -> Rows:
        """Return the same rows, of which each piece sees ``reach`` pieces to either side."""
        return self._replace(reach=reach if reach + 1 < self.longest else None)


def kernel_for(device: torch.device, dtype: torch.dtype, head_size: int, probability: float) -> Kernel | None:
    """Return the kernel, or None where it does not serve: another device, dtype, width of heads, dropout."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16) or probability > 0:
        return None
    if head_size % 8 or head_size > MAX_HEAD_SIZE:
        return None
    # A mask cannot be read while a CUDA graph is captured.
    if torch.cuda.get_device_capability(device) < (8, 0) or torch.cuda.is_current_stream_capturing():
        return None
    return _torch_kernel() if torch.backends.cuda.is_flash_attention_available() else None


@functools.cache
def _torch_kernel() -> Kernel | None:
    """Return ``varlen_attn`` if torch has it, with windows."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    known = "window_size" in inspect.signature(varlen_attn).parameters
    return cast("Kernel", varlen_attn) if known else None


def computing_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype of products with ``x``: that of autocast, if it is on for GPUs, or its own."""
    return torch.get_autocast_dtype("cuda") if x.is_cuda and torch.is_autocast_enabled("cuda") else x.dtype


def rows_of(packing: Packing, kernel: Kernel, device: torch.device) -> Rows | None:
    """Return the rows of a batch; None if one has a gap, where windows would count pieces, not positions."""
    starts = torch.tensor([0, *accumulate(packing.lengths)], dtype=torch.int32, device=device)
    if packing.places is not None:
        first, last = packing.places[starts[:-1]], packing.places[starts[1:] - 1]
        if bool((last - first >= starts.diff()).any()):
            return None
    return Rows(kernel, starts, max(packing.lengths), None)


def attend_varlen(qkv: Tensor, angles: Angles, rows: Rows) -> Tensor:
    """Return the attended values, (T, D); queries and keys of ``qkv``, (T, 3, H, d), are turned first."""
    query, key = turn(qkv[:, :2].transpose(0, 1), *angles).unbind()
    window = (-1, -1) if rows.reach is None else (rows.reach, rows.reach)
    starts, longest = rows.starts, rows.longest
    attended = rows.kernel(query, key, qkv[:, 2], starts, starts, longest, longest, window_size=window)
    return attended.flatten(1)
