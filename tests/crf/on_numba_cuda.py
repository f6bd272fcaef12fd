"""A pytest plugin: the CRF's "numba" backend is that of the GPU, for CPU tensors in Numba's simulator.

    NUMBA_ENABLE_CUDASIM=1 PYTHONPATH=tests/crf pytest -p on_numba_cuda tests/crf/test_masks.py -k numba

runs the tests of a file through the GPU's kernels. Of those that are about the numbers some take minutes.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import numba

from pybert_crf.crf import library, ops

if not numba.config.ENABLE_CUDASIM:
    raise RuntimeError("set NUMBA_ENABLE_CUDASIM=1: without a simulator CPU tensors have no GPU kernels")

sys.setswitchinterval(1e-5)  # the simulator's threads wait for one another all the time
_load = importlib.import_module(
    "pybert_crf.crf.backends"
).load  # the package's own `backends` is the function


def _load_for_gpu(backend: str, _device: str) -> ModuleType:
    module: ModuleType = _load(backend, "cuda")
    return module


for _room in (ops, library):
    _room.load = _load_for_gpu  # type: ignore[attr-defined]
