"""How the Numba backend's functions are compiled, and the names of their arrays' types.

All arrays are C-contiguous; ``Reals`` are float32 or float64, as the caller's emissions are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

NEG_INF = -np.inf

Reals = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Tags = NDArray[np.int64]


def compiled(function: Callable[..., Any]) -> Any:
    """Compile at the first call, to run without the GIL; keep the machine code on disk where that can be.

    Sums may be added up in any order, but infinities and NaN stay what they are.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"contract", "reassoc", "nsz"},
    }
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's nor the user's cache folder can be written
        return numba.njit(**options)(function)
