"""How input is cut into parts, from the sizes of its files alone: the same input gives the same parts."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pybert_crf.cluster.job import Part, Piece
from pybert_crf.cluster.places import Place, State
from pybert_crf.reading import listed, shortened
from pybert_crf.text.corpora import CorpusError
from pybert_crf.text.corpora.lines import packing, unpacked_name

ENDINGS = {".parquet": "parquet", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
"""What files with these ends of their names are; others are text."""

# Encodings in which the byte of "\n" is always a "\n", and a line can be read without those before it.
_LINEWISE = (
    "ascii",
    "utf-8",
    "gb",
    "big5",
    "cp12",
    "cp93",
    "cp949",
    "cp950",
    "iso8859",
    "euc",
    "koi8",
    "shift",
)
_AT_ONCE = 16  # files whose beginnings or footers are read at once


class Layout(NamedTuple):
    """The input, laid out.

    Attributes:
        folder: of the input files.
        kind: ``"text"``, ``"json"`` or ``"parquet"``.
        files: names relative to the folder, in order, and their states.
        parts: in the order of the input.
        column: of Parquet, the one that holds the text; else as it was given.
        schema: of Parquet, Arrow's.
    """

    folder: Place
    kind: str
    files: Mapping[str, State]
    parts: Sequence[Part]
    column: str | None
    schema: Any


def lay_out(source: Place, kind: str | None, column: str | None, encoding: str | None, load: int) -> Layout:
    """Cut a file, or the files of a folder and its folders, into parts.

    Files whose names begin with ``.`` or ``_`` are left out, as Spark and Arrow do. A large file is cut;
    small ones are put together.

    Args:
        source: a file or folder.
        kind: of the files; None: what the ends of their names say.
        column: see `Job`.
        encoding: of text; in some no file can be cut.
        load: bytes of input of a part, of Parquet those of the text's column.

    Raises:
        FileNotFoundError: there is no such input, or the folder has no files.
        CorpusError: a Parquet file that is none, lacks the column, or has other columns than the first.
        ValueError: the folder has files of several kinds.
    """
    folder, files = _files_of(source)
    kind = kind or _kind_of(files, source)
    if kind == "parquet":
        from pybert_crf.cluster.parquet import cut_tables, text_column

        footers = _each(folder, files, _footer)
        schema = footers[0].schema.to_arrow_schema()
        column = text_column(schema, column, (folder / next(iter(files))).shown)
        pieces = cut_tables(folder, files, footers, column, load)
        return Layout(folder, kind, files, list(_grouped(pieces, load)), column, schema)
    cut = partial(_cut_text, whole=not _is_linewise(encoding))
    starts = _each(folder, files, _start)
    pieces = (
        piece
        for (name, state), start in zip(files.items(), starts, strict=True)
        for piece in cut(name, state, start, load)
    )
    return Layout(folder, kind, files, list(_grouped(pieces, load)), column, None)


def _files_of(source: Place) -> tuple[Place, dict[str, State]]:
    state = source.state()
    if state is not None:
        folder, name = source.split()
        return folder, {name: state}
    if not source.is_folder():
        raise FileNotFoundError(f"{source.shown}: no such file or folder")
    found = {name: each for name, each in source.listing().items() if not _is_hidden(name)}
    if not found:
        raise FileNotFoundError(f"{source.shown}: a folder without files (those named .… or _… do not count)")
    return source, found


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _kind_of(files: Mapping[str, State], source: Place) -> str:
    kinds: dict[str, str] = {}
    for name in files:
        ending = PurePosixPath(unpacked_name(name)).suffix.lower()
        kinds.setdefault(ENDINGS.get(ending, "text"), name)
    if len(kinds) > 1:
        told = listed([f"{name} ({kind})" for kind, name in kinds.items()])
        raise ValueError(f"{source.shown}: files of several kinds, such as {told}: give a folder of one kind")
    (kind,) = kinds
    return kind


def _each(folder: Place, files: Mapping[str, State], read: Any) -> list[Any]:
    """What `read` says of each file; of remote ones several at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda name: read(folder / name), files))


def _start(place: Place) -> bytes:
    with place.open() as file:
        return file.read(6)


def _footer(place: Place) -> Any:
    import pyarrow.parquet

    try:
        with place.open() as file:
            return pyarrow.parquet.read_metadata(file)
    except pyarrow.ArrowException as error:
        reason = shortened(" ".join(str(error).split()))
        raise CorpusError(place.shown, None, f"damaged, or no Parquet ({reason})") from error


def _is_linewise(encoding: str | None) -> bool:
    if encoding is None:
        return True
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        return False  # the reader says what is wrong with it
    return name.startswith(_LINEWISE) and name != "utf-8-sig"


def _cut_text(
    name: str, state: State, start: bytes, load: int, *, whole: bool
) -> Iterator[tuple[Piece, int]]:
    """Stretches of a file of about `load` bytes, or all of one that cannot be cut; and their weight."""
    count = 1 if whole or packing(start) is not None else -(-state.size // load)
    edges = [state.size * number // count for number in range(count + 1)] if state.size else []
    for begin, end in pairwise(edges):
        yield Piece(name, begin, end, state.size, state.modified), end - begin


def _grouped(pieces: Iterator[tuple[Piece, int]], load: int) -> Iterator[Part]:
    """Pieces put together in their order, as long as they do not weigh more than `load`."""
    held: list[Piece] = []
    heavy = number = 0
    for piece, weight in pieces:
        if held and heavy + weight > load:
            yield Part(number, tuple(held))
            held, heavy, number = [], 0, number + 1
        held.append(piece)
        heavy += weight
    if held:
        yield Part(number, tuple(held))
