"""The tests of this folder on another device than the CPU: `PYBERT_CRF_TEST_DEVICE=cuda pytest tests/crf`.

There every tensor is made on that device, and a test runs with each backend that has kernels for it. Tests of
the CPU alone are skipped, with the reason. `backends/test_device.py` holds a GPU's own tests. `-m reduced` is
a small selection, every operation at tiny sizes, for tools that slow a program down (compute-sanitizer).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import DEVICE
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

FOLDER = Path(__file__).parent
REDUCED = "reduced: a small selection with every operation, for compute-sanitizer"

# Files, and tests as FILE::FUNCTION, with the reason.
CPU_ONLY = {
    "backends/test_registry.py": "what is chosen for tensors on the CPU",
    "backends/test_native_bound.py": "the CPU's kernels: its instruction sets, and which rows they scale",
    "backends/test_native_calls.py": "the CPU's kernels called directly: threads, fork, memory",
    "backends/test_numba.py": "the CPU's Numba kernels called directly: threads, fork",
    "on_numpy/test_numpy.py": "arrays are on the CPU",
    "on_numpy/test_numpy_calls.py": "arrays are on the CPU",
    "test_onnx.py": "onnxruntime runs on the CPU here",
    "test_workers.py::test_workers_after_a_parallel_call": "a device cannot be used in a forked process",
    "test_errors.py::test_a_tag_out_of_range_is_named_with_its_place": "an assertion there: test_device.py",
    "library/test_compile.py::test_the_reference_compiles_for_the_sizes_it_is_given": "plain PyTorch",
}

# These run under torch.compile, which is not to see `MadeOnDevice`: they name the device themselves.
COMPILED_FILES = ("library/test_compile.py",)

if DEVICE.type == "cpu":
    collect_ignore = ["backends/test_device.py"]


class MadeOnDevice(TorchFunctionMode):
    """Puts the tensors that tests make on DEVICE, and leaves those that the package makes where it puts them.

    (torch.set_default_device would hide that the package forgot to.)
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function in _device_constructors() and "device" not in kwargs:
            caller = Path(sys._getframe(1).f_code.co_filename)
            if FOLDER in caller.parents:
                kwargs["device"] = DEVICE
        return function(*args, **kwargs)


def _name(path: Path) -> str:
    """A path in this folder, as the tables above name it."""
    return path.relative_to(FOLDER).as_posix() if FOLDER in path.parents else ""


def _made_on_device(path: Path) -> contextlib.AbstractContextManager[Any]:
    plain = DEVICE.type == "cpu" or _name(path) in COMPILED_FILES
    return contextlib.nullcontext() if plain else MadeOnDevice()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    with _made_on_device(collector.path):  # tensors of modules, and of parameters
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _made_on_device(item.path):
        return (yield)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", REDUCED)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if DEVICE.type == "cpu":
        return
    for item in items:
        if FOLDER not in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="PYBERT_CRF_TEST_DEVICE is for tests/crf"))
            continue
        function = getattr(item, "originalname", item.name)
        file = _name(item.path)
        reason = CPU_ONLY.get(file) or CPU_ONLY.get(f"{file}::{function}")
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"not on {DEVICE}: {reason}"))
