"""Ctrl-C and SIGTERM: a run ends after its current step, in all its processes, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator


class Interrupted(KeyboardInterrupt):
    """A run was ended by a signal, after its checkpoint was saved.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


class Interruption:
    """The signal that asks a run to end, if one has come to any of its processes."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator, self._several = accelerator, accelerator.num_processes > 1
        self._noted = 0  # number of the signal that came to this process
        self._agreed = 0  # of one that all processes know of

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Note SIGINT and SIGTERM while the block lasts; a second signal interrupts it at once.

        With several processes a second signal changes nothing: a process that left alone would let the others
        wait for it, and a launcher such as torchrun may send its own after the user's. Signals are left as
        they are outside the main thread, which alone may set their handlers.
        """

        def note(number: int, frame: FrameType | None) -> None:
            if self._noted and not self._several:
                raise Interrupted(number)
            self._noted = number

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)

    def has_come(self) -> bool:
        """Whether a signal has come to any process.

        All processes must ask after the same step, and all get the same answer: each gets the signal at
        another time, or only one gets it.
        """
        self._agreed = self._noted
        if self._several:
            noted = torch.tensor([self._noted], device=self._accelerator.device)
            self._agreed = int(self._accelerator.gather(noted).max())
        return self._agreed != 0

    def check(self) -> None:
        """Raise `Interrupted` in all processes if a signal has come to any; see `has_come`."""
        if self.has_come():
            raise Interrupted(self._agreed)
