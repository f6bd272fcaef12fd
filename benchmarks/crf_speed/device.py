"""Timing on a device that works on while the host goes its way: three clocks, and what device it was.

``wall``: one call, from an idle device to an idle device again: Python, launches and kernels; what one waits.
``stream``: many calls one after the other without waiting, by events on the device's stream, a call's share:
    the longer of what the host and the device take.
``graph``: the same by a captured CUDA graph, replayed: the device alone, and nothing of Python.

On the CPU ``stream`` is many calls by the host's clock, and there are no graphs.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import torch

CLOCKS = ("wall", "stream", "graph")
ROUNDS = 5  # of a stream; a figure is the median of theirs
MOST = 1000  # calls in a round
SLOW = 0.2  # seconds: what takes longer is not called for the stream, which would say the same as the wall

Call = Callable[[], Any]


def waited(call: Call, device: torch.device) -> Call:
    """The call, and the wait until the device is done."""

    def run() -> None:
        call()
        synchronize(device)

    return run


def stream_times(
    call: Call, device: torch.device, a_call: float, seconds: float, rounds: int = ROUNDS
) -> list[float]:
    """Seconds a call of each round; `a_call` is about what one takes, `seconds` what all may."""
    number = max(1, min(MOST, int(seconds / rounds / a_call)))
    synchronize(device)
    return [_round(call, device, number) for _ in range(rounds)]


def graph_of(call: Call) -> Call:
    """The call's work on the device, captured: to be replayed.

    Raises:
        RuntimeError: the call cannot be captured (it waits for the device, say).
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # compiles and allocates
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe(device: torch.device) -> dict[str, Any]:
    """The device, its driver and CUDA; nothing for the CPU."""
    if device.type != "cuda":
        return {}
    major, minor = torch.cuda.get_device_capability(device)
    return {
        "device": torch.cuda.get_device_name(device),
        "compute capability": f"{major}.{minor}",
        "multiprocessors": torch.cuda.get_device_properties(device).multi_processor_count,
        "driver": _query(device, "driver_version"),
        "CUDA of torch": torch.version.cuda,
        "most SM MHz": _query(device, "clocks.max.sm"),
    }


def megahertz(device: torch.device, busy: Call) -> float | None:
    """The clock of the multiprocessors while `busy`, which must keep them so for some tenths of a second."""
    busy()
    now = _query(device, "clocks.sm")
    synchronize(device)
    return float(now) if now is not None and now.replace(".", "").isdigit() else None


def _round(call: Call, device: torch.device, number: int) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        for _ in range(number):
            call()
        return (time.perf_counter() - start) / number
    begun, done = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begun.record()
    for _ in range(number):
        call()
    done.record()
    done.synchronize()
    return begun.elapsed_time(done) / 1e3 / number


def _query(device: torch.device, field: str) -> str | None:
    """What nvidia-smi says of the device, if it is there."""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits", f"--id={_uuid(device)}"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def _uuid(device: torch.device) -> str:
    """nvidia-smi numbers the devices of the machine, torch those that it sees."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"
