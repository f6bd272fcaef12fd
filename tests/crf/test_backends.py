"""Which backend is chosen, and what is said where one cannot be."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import torch
from cases import problem

from pybert_crf.crf import CRF, BackendStatus, backends

door = importlib.import_module("pybert_crf.crf.backends")  # the package's own `backends` is the function


@pytest.fixture(autouse=True)
def _forget_choices(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.delenv(door.VARIABLE, raising=False)
    door._choose.cache_clear()
    yield
    door._choose.cache_clear()


def test_every_backend_has_a_status_with_a_reason() -> None:
    found = backends()
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
