"""Provenance of figures: the machine, the versions and the threads of a run."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "numpy", "numba", "transformers", "pybert-crf", "pytorch-crf", "bert4torch", "torbi")


def provenance() -> dict[str, Any]:
    """Date, machine and versions, for the head of a JSON file."""
    return {"date": datetime.date.today().isoformat(), "machine": machine(), "versions": versions()}


def machine() -> dict[str, Any]:
    """Hardware and settings that the figures depend on; nothing in it identifies the machine.

    The load is the number of processes that wanted a core in the last minute: near 0 on a quiet machine.
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(models, platform.processor()),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "instruction set of torch": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT"),
        "load at the start": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def versions() -> dict[str, str]:
    """Versions of Python and of those of `PACKAGES` that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Use this number of threads in torch and in every backend."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
