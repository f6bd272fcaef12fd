"""The directory of a run, which only one run at a time may write into."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pybert_crf.files import remove_temporaries

_LOCK = ".run.lock"


@contextmanager
def reserve(out: Path) -> Iterator[None]:
    """Hold `out` for this run while the block lasts, and clear away half-written files of a killed one.

    The lock belongs to the process, not to the file: it ends with the process, however that ends. Of the
    processes of a torchrun the first one holds it. On a file system without locks none is held.

    Raises:
        FileExistsError: another run is writing into `out`.
        NotADirectoryError: `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file; --out must name a directory")
    if int(os.environ.get("RANK", "0")) != 0:
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    descriptor = _open_locked(out)
    try:
        remove_temporaries(out)
        yield
    finally:
        with suppress(OSError):  # Windows deletes no open file, and then leaves this empty one
            (out / _LOCK).unlink()
        os.close(descriptor)
        with suppress(OSError):
            out.rmdir()  # if nothing was written


def _open_locked(out: Path) -> int:
    """An open, locked file in `out`."""
    flags = os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    while True:
        descriptor = os.open(out / _LOCK, flags, 0o666)
        try:
            _lock(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise FileExistsError(
                f"another run is writing into {out}: wait until it ends, or choose another --out"
            ) from None
        # The run before may have deleted the file between opening and locking it.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), (out / _LOCK).stat()):
                return descriptor
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a file system without locks
