"""What glibc does with memory that tensors no longer need; nothing elsewhere.

Left to itself it gives the end of the heap back to the system after nearly every batch, and takes new pages
for the next one: a tenth of the time of tagging. What is free further down stays, and grows in a long run.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_TENSOR, _KEPT = 32 << 20, 256 << 20  # bytes; glibc takes no more than the first


def keep_memory() -> None:
    """Keep freed memory for the next batch, but for blocks of 32 MB or more."""
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _TENSOR)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


def return_memory() -> None:
    """Give back to the system, once, all pages that nothing uses."""
    malloc_trim = _function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _function(name: str) -> Any:
    """One of the C library's functions; None if this is not glibc."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
