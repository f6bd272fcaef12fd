"""The choice of a backend, its warnings and its errors."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from cases import problem

from pybert_crf import CRF, backends
from pybert_crf.crf import registry
from pybert_crf.crf.registry import BackendStatus


@pytest.fixture(autouse=True)
def _forget_choices(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.delenv(registry.VARIABLE, raising=False)
    registry._choose.cache_clear()
    yield
    registry._choose.cache_clear()


@pytest.mark.parametrize("device", ["cpu", "cuda", "xpu"])
def test_every_backend_has_a_status_with_a_reason(device: str) -> None:
    found = backends(device)
    assert list(found) == ["native", "numba", "reference"]
    assert found["reference"].usable
    assert all(status.reason for status in found.values())


def test_auto_is_the_fastest_usable_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_native_status", lambda: BackendStatus(True, "built"))
    assert registry.choose("auto", "cpu") == "native"
    registry._choose.cache_clear()
    monkeypatch.setattr(registry, "_native_status", lambda: BackendStatus(False, "no compiler"))
    assert registry.choose("auto", "cpu") == "numba"
    with pytest.raises(RuntimeError, match="'native' cannot be used: no compiler"):
        registry.choose("native", "cpu")


def test_the_variable_speaks_for_auto_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.VARIABLE, "reference")
    assert registry.choose("auto", "cpu") == "reference"
    assert registry.choose("numba", "cpu") == "numba"
    monkeypatch.setenv(registry.VARIABLE, "cuda9")
    with pytest.raises(ValueError, match="invalid CRF backend: 'cuda9'"):
        registry.choose("auto", "cpu")


def test_elsewhere_than_the_cpu_it_is_the_reference_with_one_warning() -> None:
    with pytest.warns(UserWarning, match="no fast backend for 'xpu'"):
        assert registry.choose("auto", "xpu") == "reference"
    assert registry.choose("auto", "xpu") == "reference"  # a second warning would be an error here
    with pytest.raises(ValueError, match="'numba' has no kernels for 'xpu'"):
        registry.choose("numba", "xpu")


def test_compiled_kernels_serve_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_native_cuda_status", lambda: BackendStatus(True, "here"))
    assert registry.choose("auto", "cuda") == "native"
    assert registry.choose("reference", "cuda") == "reference"


def test_without_a_fast_one_on_a_gpu_one_warning_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    no_cuda = BackendStatus(False, "compiled without CUDA")
    monkeypatch.setattr(registry, "_native_cuda_status", lambda: no_cuda)
    why = r"'cuda' tensors: .*native: compiled without CUDA; numba: Numba compiles for the CPU only"
    with pytest.warns(UserWarning, match=why):
        assert registry.choose("auto", "cuda") == "reference"
    assert registry.choose("auto", "cuda") == "reference"  # a second warning would be an error here
    with pytest.raises(RuntimeError, match="'numba' cannot be used: Numba compiles for the CPU only"):
        registry.choose("numba", "cuda")


def test_without_compiled_cuda_the_warning_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    native = pytest.importorskip("pybert_crf.crf.backends.native", exc_type=ImportError)
    monkeypatch.setattr(native, "_native", SimpleNamespace(cuda_build="no nvcc"))
    registry._native_cuda_status.cache_clear()
    try:
        with pytest.warns(UserWarning, match=r"install a wheel.*nvcc.*docs/install\.md"):
            assert registry.choose("auto", "cuda") == "reference"
    finally:
        registry._native_cuda_status.cache_clear()


def test_an_unknown_backend_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="invalid CRF backend: 'fast'"):
        CRF(3, backend="fast")


def test_reference_runs_without_entering_the_ops() -> None:
    case = problem(2, 5, 3)
    emissions = case.emissions.requires_grad_()
    log_z = CRF(3, True, backend="reference").log_partition(emissions)
    (gradient,) = torch.autograd.grad(log_z.sum(), emissions, create_graph=True)
    assert gradient.requires_grad
