"""What an error about an input must be like."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def scratch() -> Path:
    """A new directory, in memory if there is such a place, which is deleted when Python ends."""
    memory = Path("/dev/shm")  # on a disk thousands of small files wait to be written each
    directory = tempfile.mkdtemp(prefix="fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)


def assert_good_refusal(error: Exception, named: object, longest: int = 1500) -> None:
    """An error's message names a file or directory, and is not as long as the input may be."""
    message = str(error)
    assert str(named) in message, f"{named} is not named: {message}"
    assert len(message) <= longest, f"{len(message)} characters: {message[:300]}"
