"""What is measured in processes of its own: peak memory, and the time of imports."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from crf_speed.contenders import OURS
from crf_speed.peers import PEERS
from crf_speed.problem import Shape, problem

IMPORTS = {
    "torch": "import torch",
    "torch, pybert_crf": "import torch, pybert_crf",
    "torch, CRF": "import torch, pybert_crf; from pybert_crf import CRF",
}
_TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def peak_memory(contender: str, shape: Shape, threads: int) -> float:
    """Peak memory of loss + backward beyond its inputs, in multiples of the emissions' size.

    In a process of its own, so that the allocator has nothing to give back: everything is warmed up on a tiny
    problem with as many tags, the real inputs are made, the kernel's high-water mark of resident memory is
    set back (Linux), and loss + backward runs once. What counts is the mark less the memory resident before:
    messages, gradients, saved tensors and temporaries, and not the emissions themselves.

    Raises:
        OSError: the system has no such mark, or does not let it be set back.
        subprocess.CalledProcessError: the process failed; its words are on stderr.
    """
    if not os.access("/proc/self/clear_refs", os.W_OK):
        raise OSError("peak memory needs Linux's /proc/self/clear_refs, and leave to write it")
    command = [sys.executable, "-m", "crf_speed.process", contender, str(threads), *map(str, shape)]
    return float(_output(command, Path(__file__).parents[1]))


def import_times(repeats: int) -> dict[str, float]:
    """Median seconds of each of `IMPORTS`, in fresh processes by turns; the first of each is left out.

    All modules are compiled to bytecode in the first, as they are once a package has been used.
    """
    taken: dict[str, list[float]] = {name: [] for name in IMPORTS}
    with tempfile.TemporaryDirectory() as elsewhere:  # not where a source tree shadows the installed package
        for _ in range(repeats + 1):
            for name, statement in IMPORTS.items():
                command = [sys.executable, "-c", _TIMED.format(statement)]
                taken[name].append(float(_output(command, Path(elsewhere), PYTHONDONTWRITEBYTECODE="")))
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def _output(command: list[str], folder: Path, **environment: str) -> str:
    run = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True, text=True
    )
    return run.stdout


def _resident(field: str) -> int:
    """Bytes: VmRSS is resident now, VmHWM the most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def _measure_peak(name: str, shape: Shape) -> float:
    kind = next(each for each in (*OURS, *PEERS) if each.name == name)
    kind(problem((2, 4, shape[2]))).loss_backward()
    contender = kind(problem(shape))
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    contender.loss_backward()
    emissions = contender.case.emissions
    return (_resident("VmHWM") - before) / (emissions.numel() * emissions.element_size())


if __name__ == "__main__":
    _, name, number, *sizes = sys.argv
    torch.set_num_threads(int(number))
    batch, length, tags = map(int, sizes)
    print(_measure_peak(name, (batch, length, tags)))
