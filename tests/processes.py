"""Runs of several processes, each started by itself, as on a host of its own: no launcher ends the others."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TRAIN = ["-m", "pybert_crf", "train"]


def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(rank: int, world: int, address: str, port: int) -> dict[str, str]:
    """What torchrun sets for one process a host."""
    own = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
    shared = {"MASTER_ADDR": address, "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return os.environ | {name: str(value) for name, value in (own | shared | paths).items()}


def start(
    arguments: Sequence[str],
    world: int,
    *,
    folders: Sequence[Path] | None = None,
    address: str = "127.0.0.1",
    before: Sequence[Sequence[str]] | None = None,
) -> list[subprocess.Popen[str]]:
    """Start Python with these arguments in `world` processes.

    Args:
        folders: of each process.
        address: of the first process, for the others.
        before: words before each process's command.
    """
    port = free_port()
    return [
        subprocess.Popen(
            [*(before[rank] if before else []), sys.executable, *arguments],
            env=environment(rank, world, address, port),
            cwd=folders[rank] if folders else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]


def ended(processes: Sequence[subprocess.Popen[str]], timeout: float = 300) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of each; whatever still runs after `timeout` seconds is killed."""
    found = []
    try:
        for process in processes:
            output, errors = process.communicate(timeout=timeout)
            found.append((process.returncode, output, errors))
    finally:
        for process in processes:
            process.kill()
    return found
