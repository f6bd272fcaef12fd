"""Input as it arrives: before waiting for more, what is there is answered; a signal ends the input."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import BinaryIO

from pybert_crf.text.corpora.lines import read_chunks

_PIECE = 1 << 14  # bytes read from a pipe at once, as from a file
_CAN_WAIT = os.name == "posix"  # elsewhere `select` knows only sockets


class Stopped(Exception):  # noqa: N818 (no error: the input ends here)
    """SIGTERM or Ctrl-C has come, and all lines that had been read were given out.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


class Arriving:
    """The bytes of a file or pipe in pieces, as they come.

    Iteration raises `Stopped` in place of the next piece once SIGTERM or SIGINT has come; a second signal
    acts as it always does.

    Args:
        source: a file's path, or a pipe or terminal whose buffer is empty.
        before_waiting: called whenever a pipe has nothing to read, before waiting for it.
    """

    def __init__(self, source: str | BinaryIO, before_waiting: Callable[[], None]) -> None:
        self.name = source if isinstance(source, str) else "<stdin>"
        self._source = source
        self._before_waiting = before_waiting
        self._signal: int | None = None
        self._waker, self._wake = os.pipe() if _CAN_WAIT else (-1, -1)

    def __iter__(self) -> Iterator[bytes]:
        if isinstance(self._source, str):
            pieces = read_chunks(self._source)
        else:
            pieces = self._from_pipe(self._source.fileno())
        while True:
            if self._signal is not None:
                raise Stopped(self._signal)
            piece = next(pieces, b"")
            if not piece:
                return
            yield piece

    def _from_pipe(self, file: int) -> Iterator[bytes]:
        while True:
            if not (_CAN_WAIT and select.select([file], [], [], 0)[0]):
                self._before_waiting()
            if _CAN_WAIT:
                select.select([file, self._waker], [], [])
            if self._signal is not None:
                raise Stopped(self._signal)
            yield os.read(file, _PIECE)

    @contextmanager
    def until_a_signal(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT end the input while the block lasts (in the main thread alone)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def note(number: int, frame: FrameType | None) -> None:
            self._signal = number
            restore()
            if _CAN_WAIT:
                os.write(self._wake, b"!")

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            restore()
