"""Compile kernels, and run them over the rows of a batch in Python threads.

The rows are dealt to chunks, as the batch alone decides, and the chunks' gradients are added in their order:
results do not depend on the number of threads, bit for bit. Kernels release the GIL, and no OpenMP is used,
so that a forked child (a DataLoader's worker) can call them, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

Reals = NDArray[np.floating[Any]]  # float32 or float64, as the emissions are
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Decorator = Callable[[Callable[..., Any]], Any]

CHUNKS = 16  # at most
ROWS = 4  # as many as a kernel takes together
WORTH_A_THREAD = 1 << 20  # operations; for fewer, handing work to a thread takes longer than doing it

_pool: ThreadPoolExecutor


def kernel(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function at its first call, and keep the machine code on disk if a folder can be written.

    Numba compiles it again if its own file has changed, and looks at no other: that file must hold all the
    compiled functions, constants and options that the kernel uses.
    """
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # neither the package's nor the user's cache folder can be written
        return numba.njit(nogil=True, **options)(function)


def run(kernel: Callable[..., None], count: int, operations: int, *arguments: Any) -> None:
    """Call ``kernel(first, step, *arguments)`` in threads, for chunks or rows first, first + step, ..."""
    threads = 1 if operations < WORTH_A_THREAD else max(1, min(torch.get_num_threads(), count))
    others = [_pool.submit(kernel, first, threads, *arguments) for first in range(1, threads)]
    kernel(0, threads, *arguments)
    for other in others:
        other.result()


def _renew_pool() -> None:
    global _pool
    _pool = ThreadPoolExecutor(CHUNKS, thread_name_prefix="pybert-crf")  # which start when they are needed


_renew_pool()
if hasattr(os, "register_at_fork"):  # a forked child has none of the threads
    os.register_at_fork(after_in_child=_renew_pool)
