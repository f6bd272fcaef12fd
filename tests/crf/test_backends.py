"""Which backend is chosen, and what is said where one cannot be."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import torch
from cases import USABLE, problem

from pybert_crf.crf import CRF, BackendStatus, backends

door = importlib.import_module("pybert_crf.crf.backends")  # the package's own `backends` is the function


@pytest.fixture(autouse=True)
def _forget_choices(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.delenv(door.VARIABLE, raising=False)
    door._choose.cache_clear()
    yield
    door._choose.cache_clear()


@pytest.mark.parametrize("device", ["cpu", "cuda", "xpu"])
def test_every_backend_has_a_status_with_a_reason(device: str) -> None:
    found = backends(device)
    assert list(found) == ["native", "numba", "reference"]
    assert found["reference"].usable
    assert all(status.reason for status in found.values())


def test_auto_is_the_fastest_usable_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_native_status", lambda: BackendStatus(True, "built"))
    assert door.choose("auto", "cpu") == "native"
    door._choose.cache_clear()
    monkeypatch.setattr(door, "_native_status", lambda: BackendStatus(False, "no compiler"))
    assert door.choose("auto", "cpu") == "numba"
    with pytest.raises(RuntimeError, match="'native' cannot be used: no compiler"):
        door.choose("native", "cpu")


def test_the_variable_speaks_for_auto_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(door.VARIABLE, "reference")
    assert door.choose("auto", "cpu") == "reference"
    assert door.choose("numba", "cpu") == "numba"
    monkeypatch.setenv(door.VARIABLE, "cuda9")
    with pytest.raises(ValueError, match="invalid CRF backend: 'cuda9'"):
        door.choose("auto", "cpu")


def test_elsewhere_than_the_cpu_it_is_the_reference_with_one_warning() -> None:
    with pytest.warns(UserWarning, match="no fast backend for 'xpu'"):
        assert door.choose("auto", "xpu") == "reference"
    assert door.choose("auto", "xpu") == "reference"  # a second warning would be an error here
    with pytest.raises(ValueError, match="'numba' has no kernels for 'xpu'"):
        door.choose("numba", "xpu")


NO, YES = BackendStatus(False, "not here"), BackendStatus(True, "here")


@pytest.mark.parametrize(
    ("native", "numba", "chosen"), [(YES, YES, "native"), (NO, YES, "numba"), (YES, NO, "native")]
)
def test_the_fastest_usable_one_on_a_gpu(
    native: BackendStatus, numba: BackendStatus, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_native_cuda_status", lambda: native)
    monkeypatch.setattr(door, "_numba_cuda_status", lambda: numba)
    assert door.choose("auto", "cuda") == chosen
    assert door.choose("reference", "cuda") == "reference"


def test_without_a_fast_one_on_a_gpu_one_warning_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_native_cuda_status", lambda: BackendStatus(False, "compiled without CUDA"))
    monkeypatch.setattr(door, "_numba_cuda_status", lambda: BackendStatus(False, "no NVVM"))
    why = r"'cuda' tensors: .*native: compiled without CUDA; numba: no NVVM"
    with pytest.warns(UserWarning, match=why):
        assert door.choose("auto", "cuda") == "reference"
    assert door.choose("auto", "cuda") == "reference"  # a second warning would be an error here
    with pytest.raises(RuntimeError, match="'numba' cannot be used: no NVVM"):
        door.choose("numba", "cuda")


@pytest.fixture
def _a_gpu(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    door._numba_cuda_status.cache_clear()
    yield
    door._numba_cuda_status.cache_clear()


@pytest.mark.usefixtures("_a_gpu")
@pytest.mark.skipif("numba" not in USABLE, reason="numba is not usable here")
@pytest.mark.parametrize("is_available", [True, False])
def test_numba_on_a_gpu_is_what_numba_cuda_says(is_available: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.cuda.is_available", lambda: is_available)
    status = backends("cuda")["numba"]
    assert status.usable == is_available
    assert ("numba-cuda[cu13]" in status.reason) != is_available


@pytest.mark.usefixtures("_a_gpu")
@pytest.mark.skipif("numba" not in USABLE, reason="numba is not usable here")
def test_a_broken_numba_cuda_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba.cuda", None)
    assert "numba.cuda cannot be imported" in backends("cuda")["numba"].reason


def test_numba_sends_each_device_to_its_own_kernels() -> None:
    pytest.importorskip("numba")
    assert door.load("numba", "cpu").__name__ == "pybert_crf.crf.numba_backend"
    assert door.load("numba", "cuda").__name__ == "pybert_crf.crf.numba_cuda_backend"


def test_an_unknown_backend_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="invalid CRF backend: 'fast'"):
        CRF(3, backend="fast")


def test_reference_runs_without_entering_the_ops() -> None:
    case = problem(2, 5, 3)
    emissions = case.emissions.requires_grad_()
    log_z = CRF(3, True, backend="reference").log_partition(emissions)
    (gradient,) = torch.autograd.grad(log_z.sum(), emissions, create_graph=True)
    assert gradient.requires_grad


def test_numba_is_not_imported_before_it_is_used() -> None:
    code = (
        "import sys, pybert_crf; pybert_crf.CRF(3); pybert_crf.backends(); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
