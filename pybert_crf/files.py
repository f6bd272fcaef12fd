"""Atomic writing of files: to a temporary file in the same directory, which is then renamed."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPORARY = ".writing-"

# errno of a full disk, an exhausted quota and a file over its size limit, and what libraries in Rust and C++,
# whose errors carry no errno, say instead.
_FULL = {errno.ENOSPC, errno.EFBIG} | {getattr(errno, "EDQUOT", errno.ENOSPC)}
_FULL_WORDS = ("no space left", "storagefull", "filetoolarge", "file too large", "quota exceeded")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to `path` if the block ends without an error.

    A reader sees the old file or the new one, never a part of it, even if the process is killed or the
    machine loses power. After an error the old file is unchanged and the temporary one is deleted. The
    temporary file's name is random, and the file is created anew: an existing file or link is never followed.

    Raises:
        OSError: the file cannot be written; "no space left to write PATH" if the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}.tmp")
    mode = _create(temporary)  # by the umask: safetensors would make the file private
    try:
        yield temporary
        temporary.chmod(mode)
        with temporary.open("r+b") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except Exception as error:
        if _is_full(error):
            raise OSError(errno.ENOSPC, f"no space left to write {path}") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(directory: Path) -> None:
    """Delete what a killed process left half-written in `directory`, to which nobody else may be writing."""
    for path in directory.glob(f"{TEMPORARY}*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 with ``\\n`` line ends."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON in UTF-8, with null for a number that is infinite or NaN."""
    write_text(path, json.dumps(json_value(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def json_value(value: Any) -> Any:
    """`value` as JSON can hold it: JSON has no infinity and no NaN."""
    if isinstance(value, dict):
        return {name: json_value(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _create(path: Path) -> int:
    """Create an empty file where none is; its mode."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        return os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    """Make a rename in `directory` durable, where directories can be opened (not on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse it; the file itself is written
    finally:
        os.close(descriptor)


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return any(words in str(error).lower() for words in _FULL_WORDS)
