"""The Numba backend's GPU kernels: in Numba's simulator, on the GPU where there is one, through the compiler.

The simulator must be asked for before Numba is imported, so the tests of numba_cuda_suite.py run in a process
of their own. It knows no types: that the kernels compile is a test by itself, which needs NVVM and no GPU.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pybert_crf.crf import backends

pytest.importorskip("numba")


HERE = Path(__file__).parent


def run(*arguments: str, **environment: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "PYBERT_CRF_TEST_DEVICE": "cpu", **environment}
    done = subprocess.run(command, env=environment, timeout=600, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]


def test_in_the_simulator() -> None:
    files = [str(HERE / name) for name in ("numba_cuda_suite.py", "test_masks.py", "test_enumeration.py")]
    run("-p", "on_numba_cuda", *files, "-k", "numba", NUMBA_ENABLE_CUDASIM="1")


@pytest.mark.skipif(not backends("cuda")["numba"].usable, reason="numba.cuda has no GPU here")
def test_on_the_gpu() -> None:
    run(str(HERE / "numba_cuda_suite.py"), NUMBA_ENABLE_CUDASIM="0")


class Recorded:
    """A kernel that remembers how it was launched, and warns as Numba does."""

    def __init__(self) -> None:
        self.configurations: list[Any] = []
        self.arguments: list[Any] = []

    def __getitem__(self, configuration: Any) -> Callable[..., None]:
        from numba.core.errors import NumbaPerformanceWarning

        warnings.warn(NumbaPerformanceWarning("Grid size 2"), stacklevel=2)
        self.configurations.append(configuration)
        return lambda *arguments: self.arguments.append(arguments)


def test_a_launch_is_on_torchs_stream_and_the_tensors_device(monkeypatch: pytest.MonkeyPatch) -> None:
    from pybert_crf.crf import numba_cuda_launch

    entered = []

    class Gpus:
        def __getitem__(self, index: int) -> contextlib.nullcontext[None]:
            entered.append(index)
            return contextlib.nullcontext()

    fake = SimpleNamespace(
        gpus=Gpus(),
        external_stream=lambda handle: ("stream", handle),
        as_cuda_array=lambda tensor, sync: (tensor.data_ptr(), tensor.requires_grad, sync),
    )
    monkeypatch.setattr(numba_cuda_launch, "cuda", fake)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: SimpleNamespace(cuda_stream=100 + index))
    tensor = torch.zeros(3, requires_grad=True)
    kernel = numba_cuda_launch.Kernel(Recorded(), Recorded())
    for _ in range(2):
        numba_cuda_launch.launch(kernel, (2,), 256, 5, True, tensor)
    numba_cuda_launch.launch(kernel, (0, 4), 256, 5, True, tensor)
    numba_cuda_launch.launch(kernel, (2,), 257, 5, True, tensor)
    index = tensor.get_device()
    stream = ("stream", 100 + index)
    assert entered == [index] * 3
    assert kernel.few.configurations == [((2,), 256, stream, 40)]  # once for two launches, none for no blocks
    assert kernel.many.configurations == [((2,), 257, stream, 40)]
    assert kernel.few.arguments == [(True, (tensor.data_ptr(), False, False))] * 2


def signatures(real: Any, layout: str) -> dict[str, tuple[Any, ...]]:
    """The kernels' arguments for emissions of a type, inputs of a layout."""
    from numba import types

    def array(of: Any, axes: int, layout: str = "C") -> Any:
        return types.Array(of, axes, layout)

    emissions, mask, tags = (
        array(real, 3, layout),
        array(types.boolean, 2, layout),
        array(types.int64, 2, layout),
    )
    vector, moves = array(real, 1, layout), array(real, 2, layout)
    rows, wide2, wide3 = array(real, 1), array(types.float64, 2), array(types.float64, 3)
    path = (types.boolean, tags)
    return {
        "sums.forward_rows": (
            *(emissions, mask, vector, moves, vector, wide2, array(types.float64, 1), *path),
            *(array(types.boolean, 1), rows, rows, wide3),
        ),
        "gradient.marginal_rows": (
            *(vector, *path, mask, moves, vector, wide2, wide2, wide3, rows),
            *(array(real, 3), wide3, wide3, wide3),
        ),
        "gradient.count_pairs": (vector, *path, mask, moves, wide2, wide3, rows, wide3, wide3, wide3),
        "paths.viterbi_rows": (
            *(emissions, mask, vector, wide2, vector),
            *(array(types.int16, 3), array(types.int64, 2), rows),
        ),
        "paths.k_best_rows": (
            *(emissions, mask, vector, wide2, vector, array(types.float64, 4), array(types.int32, 4)),
            *(wide2, array(types.int64, 2), array(types.int64, 3), array(real, 2)),
        ),
        "paths.sample_rows": (
            *(array(types.float64, 3, layout), mask, moves, vector, wide3, rows),
            array(types.int64, 3),
        ),
    }


@pytest.mark.parametrize(("dtype", "layout"), [("float32", "A"), ("float64", "C")])
def test_the_kernels_compile(dtype: str, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import cuda, types

    nvvm = importlib.import_module("numba.cuda.cudadrv.nvvm")
    if not nvvm.is_available():
        pytest.skip("no NVVM: it comes with a CUDA toolkit, or with numba-cuda[cu13]")
    device = SimpleNamespace(compute_capability=(7, 5))  # asked for by the functions that the kernels call
    monkeypatch.setattr("numba.cuda.dispatcher.get_current_device", lambda: device)
    for name, signature in signatures(getattr(types, dtype), layout).items():
        room, kernel = name.split(".")
        compiled = getattr(importlib.import_module(f"pybert_crf.crf.numba_cuda_{room}"), kernel)
        ptx, returned = cuda.compile_ptx(compiled.few.py_func, signature, cc=(7, 5))
        assert returned == types.void
        assert ".visible .entry" in ptx
        assert not re.search(
            r"^\s*(atom|red)\.", ptx, re.MULTILINE
        )  # atomic sums: of another order every time
