"""Column files, line by line: what separates lines, columns and sentences, and nothing about tags.

Only ``\\n`` ends a line and only spaces and tabs separate columns, so that U+0085, U+00A0, U+2028 or U+3000
may be tokens. Lines are decoded one at a time: a file may be a pipe, and an error knows its line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

BOM = "\ufeff"
DOCSTART = "-DOCSTART-"
_SEPARATOR = re.compile(r"[ \t]+")
_ASCII_WHITESPACE = " \t\r\v\f"

Row = tuple[int, list[str]]  # 1-based line number, columns


class CorpusError(ValueError):
    """A file that does not hold what it should: ``path:line: message``.

    Attributes:
        path: the file's name. line: 1-based; None where the fault is the whole file's.
    """

    def __init__(self, path: str | os.PathLike[str], line: int | None, message: str) -> None:
        self.path, self.line, self.message = os.fspath(path), line, message
        super().__init__(f"{self.path}: {message}" if line is None else f"{self.path}:{line}: {message}")


def sentence_rows(source: str | os.PathLike[str] | BinaryIO, needed: int) -> Iterator[list[Row]]:
    """The non-empty sentences of a column file, one list of rows each.

    A blank line ends a sentence (only ASCII whitespace, or a byte order mark, is blank too); so does a line
    whose first column is ``-DOCSTART-``, which is itself skipped.

    Args:
        source: a path, or an open binary stream (read as it comes).
        needed: how many columns a line must have at least.

    Raises:
        CorpusError: a line is not UTF-8, has too few columns, begins with a separator, or holds a lone CR.
    """
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as stream:
            yield from _sentences(stream, os.fspath(source), needed)
    else:
        yield from _sentences(source, str(getattr(source, "name", "<stream>")), needed)


def read_columns(source: str | os.PathLike[str] | BinaryIO) -> Iterator[list[str]]:
    """The tokens of each sentence, the first of one or more columns; sentence by sentence as they come.

    Args:
        source: a path, or an open binary stream such as ``sys.stdin.buffer``.

    Raises:
        CorpusError: as `sentence_rows`. An empty file is no error: it yields nothing.
    """
    for rows in sentence_rows(source, needed=1):
        yield [columns[0] for _, columns in rows]


def _sentences(stream: Iterable[bytes], name: str, needed: int) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for number, text in numbered_lines(stream, name):
        columns = None if text.strip(_ASCII_WHITESPACE) in ("", BOM) else _split(text, name, number, needed)
        if columns is not None and columns[0] != DOCSTART:
            rows.append((number, columns))
        elif rows:
            yield rows
            rows = []
    if rows:
        yield rows


def numbered_lines(stream: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file, without their ends and without a byte order mark, counted from 1.

    Raises:
        CorpusError: a line is not UTF-8.
    """
    for number, raw in enumerate(stream, start=1):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            at = f"byte {error.start + 1} of the line is {raw[error.start : error.start + 1].hex()}"
            raise CorpusError(name, number, f"not UTF-8 ({at}): {raw.rstrip()[:60]!r}") from None
        if number == 1:
            text = text.removeprefix(BOM)
        yield number, text.removesuffix("\n").removesuffix("\r")


def _split(text: str, name: str, number: int, needed: int) -> list[str]:
    expected = "'token … tag'" if needed > 1 else "a token"
    if "\r" in text:
        raise CorpusError(name, number, f"a carriage return inside the line: {text!r}")
    if text[0] in " \t":
        raise CorpusError(name, number, f"the token column is empty (expected {expected}): {text!r}")
    columns = _SEPARATOR.split(text.rstrip(" \t"))
    if len(columns) < needed and columns[0] != DOCSTART:
        count = "one column" if len(columns) == 1 else f"{len(columns)} columns"
        raise CorpusError(name, number, f"{count}, expected {expected} separated by spaces or tabs: {text!r}")
    return columns
