"""What the processes of one run need of each other: what the first has read, shares of it, word of a death.

With one process all of it is plain calls. Processes, their group and its timeouts are Accelerate's and
torchrun's; objects travel by `torch.distributed`, pickled, between processes of the same run only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from pybert_crf.reading import shortened

T = TypeVar("T")

_SIGNS = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")
"""Words in what torch raises when another process has gone; of gloo's errors the type is RuntimeError."""


class ProcessLostError(RuntimeError):
    """Another process of the run has died, or has not answered for `RunOptions.timeout` seconds."""


class FirstProcessError(RuntimeError):
    """The first process could not do what all of them wait for; its own error says why."""


def is_first() -> bool:
    """Whether this is the process that reads and writes files: rank 0 of a torchrun, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def place() -> tuple[int, int]:
    """Number of this process, and of all processes."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def in_first(compute: Callable[[], T]) -> T:
    """What `compute` returns in the first process, given to all; in the others it is not called.

    Raises:
        FirstProcessError: in the others, if it raises an error.
    """
    rank, world = place()
    if world == 1:
        return compute()
    told: list[Any] = [None, None]
    if rank == 0:
        try:
            told[0] = compute()
        except Exception as error:
            torch.distributed.broadcast_object_list([None, shortened(str(error))])
            raise
    torch.distributed.broadcast_object_list(told)
    result, failure = told
    if failure is not None:
        raise FirstProcessError(f"process {rank} ends, because process 0 could not go on: {failure}")
    return result  # type: ignore[no-any-return]


def dealt(hand: Callable[[int, int], T]) -> T:
    """This process's part of what the first has: ``hand(rank, world)``, computed there and sent."""
    rank, world = place()
    if world == 1:
        return hand(0, 1)
    if rank == 0:
        for other in range(1, world):
            torch.distributed.send_object_list([hand(other, world)], dst=other)
        return hand(0, world)
    received: list[Any] = [None]
    torch.distributed.recv_object_list(received, src=0)
    return received[0]  # type: ignore[no-any-return]


def gathered(own: T) -> list[T]:
    """What every process gives, in the order of the processes, in all of them."""
    _, world = place()
    if world == 1:
        return [own]
    found: list[Any] = [None] * world
    torch.distributed.all_gather_object(found, own)
    return found


@contextmanager
def losses_told(has_checkpoint: Callable[[], bool]) -> Iterator[None]:
    """Say what has happened if another process is lost while the block lasts, and how to go on.

    Raises:
        ProcessLostError: instead of what the backend of `torch.distributed` raises.
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_loss(error):
            raise
        way = "nothing had been saved yet, so start again"
        if has_checkpoint():
            way = "the same command with --resume goes on from the last checkpoint"
        rank, world = place()
        raise ProcessLostError(
            f"process {rank} of {world}, counted from 0, ends: another one has died or does not answer "
            f"({_reason(error)}); {way}"
        ) from error


def _is_loss(error: RuntimeError) -> bool:
    known = getattr(torch.distributed, "DistError", None)
    if known is not None and isinstance(error, known):
        return True
    return place()[1] > 1 and any(sign in str(error) for sign in _SIGNS)


def _reason(error: RuntimeError) -> str:
    """What gloo says, without its place in a source file and its good wishes; or the error's first line."""
    line = str(error).partition("\n")[0]
    return shortened(re.sub(r"^\[\S+\] ", "", line).partition(". This ")[0])
