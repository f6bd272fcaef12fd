"""One door to the backends: which there are, which can be used, and which to use for given tensors."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import warnings
from types import ModuleType
from typing import NamedTuple

import torch

NAMES = ("native", "numba", "reference")  # fastest first: the order of preference on the CPU
VARIABLE = "PYBERT_CRF_BACKEND"


class BackendStatus(NamedTuple):
    """Whether a backend can be used on this machine, and in a sentence what it is or why not."""

    usable: bool
    reason: str


def backends() -> dict[str, BackendStatus]:
    """The status of every backend by name, fastest first. Nothing heavy is imported to find out."""
    return {"native": _native_status(), "numba": _numba_status(), "reference": _REFERENCE}


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def choose(backend: str, device: str) -> str:
    """The name of the backend for tensors on ``device`` (its type: "cpu", "cuda", ...).

    "auto" means what the environment variable ``PYBERT_CRF_BACKEND`` names; where that is unset or "auto"
    itself, the fastest usable one: native, then numba, then reference on the CPU; reference elsewhere, with
    one warning.

    Raises:
        ValueError: there is no such backend, or it has no kernels for this device.
        RuntimeError: the backend cannot be used on this machine; says why.
    """
    wanted = backend if backend != "auto" else os.environ.get(VARIABLE, "auto")
    return _choose(wanted, device)


@functools.cache
def _choose(wanted: str, device: str) -> str:
    if wanted == "auto":
        if device == "cpu":
            return next(name for name, status in backends().items() if status.usable)
        warnings.warn(
            f"the CRF has no fast backend for {device!r} tensors: using 'reference' (a loop over time)",
            stacklevel=2,
        )
        return "reference"
    check_name(wanted)
    status = backends()[wanted]
    if not status.usable:
        raise RuntimeError(f"CRF backend {wanted!r} cannot be used: {status.reason}")
    if wanted != "reference" and device != "cpu":
        raise ValueError(
            f"CRF backend {wanted!r} has no kernels for {device!r} tensors; use 'auto' or 'reference'"
        )
    return wanted


def check_name(backend: str) -> None:
    """Raise ValueError unless ``backend`` is "auto" or the name of one."""
    if backend not in ("auto", *NAMES):
        raise ValueError(f"invalid CRF backend: {backend!r}; expected one of auto, {', '.join(NAMES)}")


@functools.cache
def load(backend: str) -> ModuleType:
    """The module with a backend's functions: those that :mod:`pybert_crf.crf.ops` calls."""
    home = {"native": ".native", "numba": ".numba_backend", "reference": ".reference"}[backend]
    return importlib.import_module(home, __package__)


_REFERENCE = BackendStatus(True, "plain PyTorch, on any device")


@functools.cache
def _native_status() -> BackendStatus:
    try:
        load("native")
    except ImportError as error:
        return BackendStatus(False, str(error))
    return BackendStatus(True, "compiled C++, on the CPU")


@functools.cache
def _numba_status() -> BackendStatus:
    if importlib.util.find_spec("numba") is None:
        return BackendStatus(False, "the package numba is not installed")
    return BackendStatus(True, "compiled by Numba at first use, on the CPU")
