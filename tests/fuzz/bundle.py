"""A directory as one string of bytes: names and sizes of its files, a blank line, their contents."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

_LINE = re.compile(rb"([A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}) (\d{1,7})")


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files, by name, as one string."""
    lines = "".join(f"{name} {len(content)}\n" for name, content in files.items())
    return lines.encode() + b"\n" + b"".join(files.values())


def pack_directory(directory: Path) -> bytes:
    """The files of a directory as one string."""
    return pack({path.name: path.read_bytes() for path in sorted(directory.iterdir())})


def unpack(data: bytes) -> dict[str, bytes]:
    """What `pack` packed; of any other string the files that it still tells, perhaps none."""
    head, _, body = data.partition(b"\n\n")
    files: dict[str, bytes] = {}
    for line in head.split(b"\n"):
        if match := _LINE.fullmatch(line):
            size = int(match[2])
            files[match[1].decode()], body = body[:size], body[size:]
    return files


def write(directory: Path, data: bytes) -> bool:
    """Make `directory` hold the files of a bundle and nothing else; whether there are any."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    files = unpack(data)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return bool(files)
