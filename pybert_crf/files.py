"""Atomic writing of files: to a temporary file in the same directory, which is then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to `path` if the block ends without an error.

    A reader sees the old file or the new one, never a part of it, even if the process is killed. After an
    error the old file is unchanged and the temporary one is deleted.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # by the umask: safetensors would make the file private
        yield temporary
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 with ``\\n`` line ends."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON in UTF-8."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
