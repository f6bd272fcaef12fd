"""The lines of a text file or stream with their numbers, and the error that names a file and a line."""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

BOM = "\ufeff"

Source = str | os.PathLike[str] | BinaryIO | Iterable[bytes]
"""A path; an open binary stream such as ``sys.stdin.buffer``; or its bytes, in pieces of any length."""

_CHUNK = 1 << 14  # bytes read at once: what is read is still answered after a signal, so it is not too much


DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
"""What the reading of a damaged compressed file raises."""

_PACKED_NAME = re.compile(r"\.(gz|xz|zst)$", re.IGNORECASE)
_PACKINGS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class CorpusError(ValueError):
    """A corpus file with a fault: ``path:line: message``.

    Attributes:
        path: the file's name.
        line: number of the line, counted from 1; None if the fault concerns the whole file.
    """

    def __init__(self, path: str | os.PathLike[str], line: int | None, message: str) -> None:
        self.path, self.line, self.message = os.fspath(path), line, message
        super().__init__(f"{self.path}: {message}" if line is None else f"{self.path}:{line}: {message}")


Fault = Callable[[CorpusError], None]
"""What is done about a line that cannot be read; if it returns, reading goes on after the line."""


def refuse(error: CorpusError) -> None:
    """Raise `error`: a `Fault` that ends the reading."""
    raise error


def source_name(source: Source) -> str:
    """The name of a file or stream in error messages."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "<stream>"))


def numbered_lines(
    source: Source,
    *,
    most: int | None = None,
    fault: Fault = refuse,
    encoding: str | None = None,
    ends: bool = False,
) -> Iterator[tuple[int, str]]:
    """The lines of a text file, without a byte order mark, numbered from 1.

    Only ``\\n`` (or ``\\r\\n``) ends a line: U+0085 or U+2028 may stand in a token. Lines are given as they
    come, and no more of the source is asked for while a whole line is there.

    Args:
        source: what is read.
        most: characters that a line may have; of a longer one no more than its beginning is kept in memory.
        fault: called with the error of a line that is not UTF-8 or too long.
        encoding: of the file, as Python names it; UTF-8 if None.
        ends: whether the lines keep their ends.

    Raises:
        CorpusError: a line is not UTF-8 or too long (by `refuse`), or the file is not in `encoding`.
        OSError: the file cannot be read.
    """
    name = source_name(source)
    chunks = read_chunks(source)
    if encoding is not None:
        chunks = _recoded(chunks, encoding, name)
    for number, raw in enumerate(_raw_lines(chunks, most), start=1):
        try:
            text = _decode(raw, name, number, most)
        except CorpusError as error:  # noqa: PERF203 (each line has its own)
            fault(error)
        else:
            yield number, text if ends else text.removesuffix("\n").removesuffix("\r")


def whole_text(source: Source, encoding: str | None = None) -> str:
    """The text of a source with its line ends, without a byte order mark.

    Raises:
        CorpusError, OSError: as `numbered_lines`.
    """
    name = source_name(source)
    chunks = read_chunks(source)
    data = b"".join(chunks if encoding is None else _recoded(chunks, encoding, name))
    try:
        return data.decode().removeprefix(BOM)
    except UnicodeDecodeError:
        for number, raw in enumerate(_raw_lines([data], None), start=1):
            _decode(raw, name, number, None)
        raise


def read_chunks(source: Source) -> Iterator[bytes]:
    """The bytes of a source as they come; of a file, decompressed if it begins as gzip, xz or zstd do.

    Raises:
        CorpusError: a compressed file is damaged.
        OSError: the file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        try:
            with _opened(Path(source)) as stream:
                yield from read_chunks(stream)
        except DAMAGED as error:
            raise CorpusError(source, None, f"compressed, but damaged: {error}") from error
    elif isinstance(source, io.BufferedIOBase):
        while chunk := source.read1(_CHUNK):
            yield chunk
    else:
        yield from source


def first_bytes(source: Source) -> bytes:
    """The bytes with which a source begins, decompressed; those of an open stream are gone from it then."""
    return next(iter(read_chunks(source)), b"")


def _opened(path: Path) -> BinaryIO:
    """The file, decompressed if it begins as a gzip, xz or zstd file does."""
    with path.open("rb") as stream:
        packed = packing(stream.read(6))
    return path.open("rb") if packed is None else unpacked(path, packed, str(path))


def unpacked_name(name: str) -> str:
    """A file's name without the ending that says that it is compressed."""
    return _PACKED_NAME.sub("", name)


def packing(start: bytes) -> str | None:
    """How a file is compressed that begins so: ``"gzip"``, ``"xz"``, ``"zstd"``; None if it is not."""
    return next((name for magic, name in _PACKINGS.items() if start.startswith(magic)), None)


def unpacked(file: Path | BinaryIO, packing: str, name: str) -> BinaryIO:
    """The content of a compressed file.

    Raises:
        ImportError: the package of zstd is missing.
    """
    if packing == "gzip":
        return cast(BinaryIO, gzip.open(file))
    if packing == "xz":
        return cast(BinaryIO, lzma.open(file))
    try:
        import zstandard
    except ImportError as error:
        raise ImportError(f"{name} is compressed by zstd: pip install 'pybert-crf[zstd]'") from error
    return cast(BinaryIO, io.BufferedReader(zstandard.open(file, "rb")))


def _recoded(chunks: Iterable[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """The bytes of a text in another encoding, in UTF-8."""
    if not _is_text_encoding(encoding):
        raise CorpusError(name, None, f"--encoding {encoding[:40]}: Python knows no such encoding")
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        reason = getattr(error, "reason", str(error))
        raise CorpusError(name, None, f"not {encoding}, as --encoding says: {reason}") from None


def _is_text_encoding(name: str) -> bool:
    """Whether Python knows an encoding of text by this name, unlike ``hex`` or ``rot13``."""
    try:
        b"a".decode(name)
    except UnicodeError:  # the one byte is no text
        return True
    except (LookupError, ValueError):
        return False
    return True


def _raw_lines(chunks: Iterable[bytes], most: int | None) -> Iterator[bytes]:
    """The lines with ``\\n``; of one that is surely longer than `most` characters only its beginning."""
    enough = None if most is None else 4 * most + len("\r\n") + len(BOM.encode()) + 1  # bytes in UTF-8
    rest: list[bytes] = []  # of the line that no chunk has ended yet
    length = 0
    for chunk in chunks:
        first, newline, others = chunk.partition(b"\n")
        if enough is None or length < enough:
            rest.append(first)
            length += len(first)
        if newline:
            yield b"".join(rest) + newline
            *lines, last = others.split(b"\n")
            for line in lines:
                yield line + b"\n"
            rest, length = [last], len(last)
    if any(rest):
        yield b"".join(rest)


def _decode(raw: bytes, name: str, number: int, most: int | None) -> str:
    if most is not None and len(raw) > most:  # else it cannot have more characters
        length = len(raw.decode("utf-8", errors="ignore").removesuffix("\n").removesuffix("\r"))
        if length - (number == 1 and raw.startswith(BOM.encode())) > most:
            raise CorpusError(
                name, number, f"a line of more than {most:,} characters; --max-line allows longer ones"
            )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        at = f"byte {error.start + 1} of the line is {raw[error.start : error.start + 1].hex()}"
        told = f"not UTF-8 ({at}): {raw.rstrip()[:60]!r}{_looks_like(raw)}"
        raise CorpusError(name, number, told) from None
    if number == 1:
        text = text.removeprefix(BOM)
    return text


def _looks_like(raw: bytes) -> str:
    """What encoding the bytes of a line are probably in, and the option that reads it; empty if unknown."""
    if packing(raw) is not None:
        return "; looks compressed: give the file by its name, or decompress it"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "; looks like UTF-16: --encoding utf-16"
    other = "; --encoding names another encoding, such as cp1252"
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return other
    beyond = [character for character in text if character > "\x7f"]
    chinese = sum(
        "\u4e00" <= character <= "\u9fff" or character in "，。、：；？！“”（）《》" for character in beyond
    )
    return "; looks like GB18030: --encoding gb18030" if chinese > 0.7 * len(beyond) else other
