"""Ctrl-C and SIGTERM: a run ends after its current step, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """A run was ended by a signal, after its checkpoint was saved.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


class Interruption:
    """The signal that asks a run to end, if one has come."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @contextmanager
    def awaited(self, at_once: bool) -> Iterator[None]:
        """Note SIGINT and SIGTERM while the block lasts; a second signal interrupts it at once.

        Signals are left as they are outside the main thread, which alone may set their handlers.

        Args:
            at_once: whether the first signal interrupts too. Several processes cannot end after the same
                step, as each gets the signal at another time.
        """

        def note(number: int, frame: FrameType | None) -> None:
            if at_once or self.signal is not None:
                raise Interrupted(number)
            self.signal = number

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come."""
        if self.signal is not None:
            raise Interrupted(self.signal)
