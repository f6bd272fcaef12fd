"""The lines of a UTF-8 file with their numbers, and the error that names a file and a line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

BOM = "\ufeff"

Source = str | os.PathLike[str] | BinaryIO
"""A path, or an open binary stream such as ``sys.stdin.buffer``, which is read as it comes."""


class CorpusError(ValueError):
    """A corpus file with a fault: ``path:line: message``.

    Attributes:
        path: the file's name.
        line: number of the line, counted from 1; None if the fault concerns the whole file.
    """

    def __init__(self, path: str | os.PathLike[str], line: int | None, message: str) -> None:
        self.path, self.line, self.message = os.fspath(path), line, message
        super().__init__(f"{self.path}: {message}" if line is None else f"{self.path}:{line}: {message}")


def source_name(source: Source) -> str:
    """The name of a file or stream in error messages."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "<stream>"))


def numbered_lines(source: Source) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file, without line ends and without a byte order mark, numbered from 1.

    Only ``\\n`` (or ``\\r\\n``) ends a line: U+0085 or U+2028 may stand in a token. Lines are decoded one by
    one, so that the file may be a pipe and an error knows its line.

    Raises:
        CorpusError: a line is not UTF-8.
        OSError: the file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as stream:
            yield from _decoded(stream, source_name(source))
    else:
        yield from _decoded(source, source_name(source))


def _decoded(stream: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(stream, start=1):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            at = f"byte {error.start + 1} of the line is {raw[error.start : error.start + 1].hex()}"
            raise CorpusError(name, number, f"not UTF-8 ({at}): {raw.rstrip()[:60]!r}") from None
        if number == 1:
            text = text.removeprefix(BOM)
        yield number, text.removesuffix("\n").removesuffix("\r")
