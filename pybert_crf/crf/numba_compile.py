"""How the Numba backend's functions are compiled, and the names of their arrays' types.

All arrays are C-contiguous; ``Reals`` are float32 or float64, as the caller's emissions are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numba.extending
import numpy as np
from numpy.typing import NDArray

NEG_INF = -np.inf

Reals = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Tags = NDArray[np.int64]


Pointer = Any  # to float32, float64, int64 or bool: numba_lanes.pointer makes it of an address
Lanes = Any  # pybert_crf.crf.numba_lanes.Lanes


def compiled(function: Callable[..., Any]) -> Any:
    """Compile at the first call, to run without the GIL; keep the machine code on disk where that can be.

    Sums may be added up in any order, but infinities and NaN stay what they are.
    """
    return _compiled(function, fastmath={"contract", "reassoc", "nsz"})


def compiled_kernel(function: Callable[..., Any]) -> Any:
    """:func:`compiled`, for what is made of lanes: sums are added up as they are written."""
    return _compiled(function, fastmath={"contract"})


def compiled_lanes(function: Callable[..., Any]) -> Any:
    """:func:`compiled_kernel`, for what only such kernels call, and holds no code of its own on disk."""
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(error_model="numpy", fastmath={"contract"}, **options)(function)


def _compiled(function: Callable[..., Any], fastmath: set[str]) -> Any:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's nor the user's cache folder can be written
        return numba.njit(**options)(function)


def shared(function: Callable[..., Any]) -> Any:
    """A function of Python that compiled code can call, too."""
    return numba.extending.register_jitable(function)


def intrinsic(typed: Callable[..., Any]) -> Any:
    """A function of compiled code, of what gives its signature and what makes its LLVM instructions."""
    return numba.extending.intrinsic(typed)
