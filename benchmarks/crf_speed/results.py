"""The figures of a run, and what they say of the machine and the versions they were taken with."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch

from crf_speed.contenders import OURS
from crf_speed.peers import PEERS
from crf_speed.problem import Shape
from crf_speed.timing import Timing

# What an operation of ours is compared with in pytorch-crf, whose decode is the only one that it has.
BASE = "pytorch-crf"
BASE_OPERATION = {"viterbi": "decode", "forward_backward": "loss_backward"}


@dataclasses.dataclass
class Results:
    """All figures of a run; times are in seconds."""

    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    missing: dict[str, str] = dataclasses.field(default_factory=dict)  # contender: why it took no part
    skipped: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # contender, shape, reason
    errors: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # found by the proof, in float32
    timings: list[Timing] = dataclasses.field(default_factory=list)
    memory: dict[str, Any] = dataclasses.field(default_factory=dict)
    imports: dict[str, float] = dataclasses.field(default_factory=dict)
    training: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # steps of BERT, on a device
    steps: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # of one long row, on a device

    @classmethod
    def begin(cls) -> Results:
        """No figures yet, and where they will be from."""
        return cls(datetime.date.today().isoformat(), machine(), versions())

    @classmethod
    def read(cls, path: Path) -> Results:
        """The figures of an earlier run, from its JSON."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        shaped = [*fields["timings"], *fields["errors"], *fields["skipped"], fields["memory"]]
        for row in filter(None, shaped):
            row["shape"] = tuple(row["shape"])  # JSON has no tuples
        fields["timings"] = [Timing(**row) for row in fields["timings"]]
        return cls(
            **{field.name: fields[field.name] for field in dataclasses.fields(cls) if field.name in fields}
        )

    def write(self, path: Path, **more: Any) -> None:
        """As JSON, with `more` beside; whole or not at all."""
        fields = {**dataclasses.asdict(self), **more, "timings": [row._asdict() for row in self.timings]}
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(path)

    def median(
        self, shape: Shape, threads: int, operation: str, contender: str, clock: str = "wall"
    ) -> float | None:
        """Seconds a call, or None if it was not measured."""
        wanted = (shape, threads, operation, contender)
        found = (row.median for row in self.timings if row[:4] == wanted and row.clock == clock)
        return next(found, None)

    def faster(
        self, shape: Shape, threads: int, operation: str, contender: str, clock: str = "wall"
    ) -> float | None:
        """How many times faster than pytorch-crf by the same clock; None if either was not measured."""
        ours = self.median(shape, threads, operation, contender, clock)
        base = self.median(shape, threads, BASE_OPERATION.get(operation, operation), BASE, clock)
        return base / ours if base is not None and ours is not None else None

    def shapes(self) -> list[Shape]:
        return list(dict.fromkeys(row.shape for row in self.timings))

    def threads(self) -> list[int]:
        return sorted({row.threads for row in self.timings})

    def contenders(self, operation: str | None = None) -> list[str]:
        """Those measured, in the order of the tables."""
        measured = {row.contender for row in self.timings if operation in (None, row.operation)}
        return [kind.name for kind in (*OURS, *PEERS) if kind.name in measured]


def machine() -> dict[str, Any]:
    """What the figures depend on, and nothing that tells whose machine it is."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "instruction set of torch": torch.backends.cpu.get_cpu_capability(),
        **_native_instruction_set(),
        "system": platform.system(),
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT"),
        **_load(),
    }


def versions() -> dict[str, str]:
    """Of Python and every package that takes part, as far as installed."""
    packages = dict.fromkeys(["torch", "numpy", "numba", *(kind.package for kind in (*OURS, *PEERS))])
    found = {package: _version(package) for package in packages}
    return {"python": platform.python_version()} | {name: each for name, each in found.items() if each}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _load() -> dict[str, float]:
    """How many processes wanted a core in the last minute: near 0 on a quiet machine."""
    return {"load at the start": round(os.getloadavg()[0], 2)} if hasattr(os, "getloadavg") else {}


def _native_instruction_set() -> dict[str, str]:
    try:
        from pybert_crf.crf.backends import native
    except ImportError:
        return {}
    return {"instruction set of native": native.instruction_set()}
