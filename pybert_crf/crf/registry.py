"""The registry of backends: which there are, which can be used here, and which to use for given tensors."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import warnings
from typing import NamedTuple, cast

from pybert_crf.crf.backends.base import Backend
from pybert_crf.reading import quoted

NAMES = ("native", "numba", "reference")  # fastest first: the order of preference
VARIABLE = "PYBERT_CRF_BACKEND"
_DEVICES = ("cpu", "cuda")  # those with kernels


class BackendStatus(NamedTuple):
    """Whether a backend can be used for tensors on a device, and what it is or why it cannot be used."""

    usable: bool
    reason: str


def backends(device: str = "cpu") -> dict[str, BackendStatus]:
    """The status of every backend by name, fastest first, for tensors on ``device`` ("cpu", "cuda", ...).

    Nothing heavy is imported to find out.
    """
    if device == "cpu":
        return {"native": _native_status(), "numba": _numba_status(), "reference": _REFERENCE}
    if device == "cuda":
        return {"native": _native_cuda_status(), "numba": _NUMBA_ON_A_GPU, "reference": _REFERENCE}
    nothing = BackendStatus(False, f"no kernels for {device!r} tensors")
    return {"native": nothing, "numba": nothing, "reference": _REFERENCE}


def choose(backend: str, device: str) -> str:
    """The name of the backend for tensors on ``device`` (its type: "cpu", "cuda", ...).

    "auto" means the backend that the environment variable ``PYBERT_CRF_BACKEND`` names; if that is unset or
    "auto" itself, the fastest usable one: native, then numba, then reference. If that is reference on another
    device than the CPU, one warning says why, and for CUDA how to get the compiled kernels.

    Raises:
        ValueError: the backend is unknown, or it has no kernels for this device.
        RuntimeError: the backend cannot be used on this machine; says why.
    """
    wanted = backend if backend != "auto" else os.environ.get(VARIABLE, "auto")
    return _choose(wanted, device)


# What `torch.compiler.assume_constant_result` sets; that imports torch._dynamo, which takes as long as torch.
choose._dynamo_marked_constant = True  # type: ignore[attr-defined]


@functools.cache
def _choose(wanted: str, device: str) -> str:
    check_name(wanted)
    found = backends(device)
    if wanted == "auto":
        name = next(name for name, status in found.items() if status.usable)
        if name == "reference" and device != "cpu":
            why = "; ".join(
                f"{other}: {status.reason}" for other, status in found.items() if not status.usable
            )
            warnings.warn(
                f"the CRF has no fast backend for {device!r} tensors: using 'reference' (a loop over time); "
                f"{why}",
                stacklevel=2,
            )
        return name
    if not found[wanted].usable:
        if device not in _DEVICES:
            raise ValueError(
                f"CRF backend {quoted(wanted)} has no kernels for {device!r} tensors; "
                "use 'auto' or 'reference'"
            )
        raise RuntimeError(f"CRF backend {quoted(wanted)} cannot be used: {found[wanted].reason}")
    return wanted


def check_name(backend: str) -> None:
    """Raise ValueError unless ``backend`` is "auto" or the name of a backend."""
    if backend not in ("auto", *NAMES):
        raise ValueError(f"invalid CRF backend: {quoted(backend)}; expected one of auto, {', '.join(NAMES)}")


@functools.cache
def load(backend: str) -> Backend:
    """The module of a backend, imported at first use."""
    return cast(Backend, importlib.import_module(f"pybert_crf.crf.backends.{backend}"))


_REFERENCE = BackendStatus(True, "plain PyTorch, on any device")
_NUMBA_ON_A_GPU = BackendStatus(False, "Numba compiles for the CPU only")


@functools.cache
def _native_status() -> BackendStatus:
    try:
        load("native")
    except ImportError as error:
        return BackendStatus(False, str(error))
    return BackendStatus(True, "compiled C++, on the CPU")


@functools.cache
def _native_cuda_status() -> BackendStatus:
    if not _native_status().usable:
        return _native_status()
    return BackendStatus(*importlib.import_module("pybert_crf.crf.backends.native").cuda_status())


@functools.cache
def _numba_status() -> BackendStatus:
    if importlib.util.find_spec("numba") is None:
        return BackendStatus(False, "the package numba is not installed")
    return BackendStatus(True, "compiled by Numba at first use, on the CPU")
