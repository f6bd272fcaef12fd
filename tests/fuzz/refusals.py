"""What an error about an input must be like."""

from __future__ import annotations

import tempfile
from pathlib import Path


def scratch() -> Path:
    """A new directory, in memory if that is possible."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))


def assert_good_refusal(error: Exception, named: object, longest: int = 1500) -> None:
    """An error's message names a file or directory, and is not as long as the input may be."""
    message = str(error)
    assert str(named) in message, f"{named} is not named: {message}"
    assert len(message) <= longest, f"{len(message)} characters: {message[:300]}"
