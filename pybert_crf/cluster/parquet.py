"""Parquet: rows of a file cut into stretches, with their texts and all other columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pybert_crf.annotation.annotator import LOOK_AHEAD
from pybert_crf.cluster.chunks import Chunk
from pybert_crf.cluster.job import Job, Piece
from pybert_crf.cluster.places import Place, State
from pybert_crf.reading import listed, quoted, shortened
from pybert_crf.text.corpora import CorpusError
from pybert_crf.text.corpora.texts import Text

_BUFFER = 1 << 20  # with a buffer the pages of a column are read one after another, not a row group's at once


def text_column(schema: Any, given: str | None, name: str) -> str:
    """The column that holds the texts, or the tokens: the given one, ``text``, or the only one that can.

    Raises:
        CorpusError: there is none, there are several, or the given one holds something else.
    """
    able = [field.name for field in schema if _holds_texts(field.type)]
    column = given
    if column is None:
        column = "text" if "text" in able else able[0] if len(able) == 1 else None
    if column is not None and column in able:
        return column
    columns = listed([f"{field.name} ({field.type})" for field in schema])
    if given is None:
        raise CorpusError(name, None, f"which column holds the texts? --text-column names one of {columns}")
    told = "is there no column of texts" if given not in schema.names else "no texts are in the column"
    raise CorpusError(name, None, f"{told} {quoted(given)} (--text-column): the columns are {columns}")


def _holds_texts(kind: Any) -> bool:
    """Whether values of a type of Arrow's are strings, or lists of strings."""
    import pyarrow.types as types

    if types.is_dictionary(kind) or types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def cut_tables(
    folder: Place, files: Mapping[str, State], footers: Sequence[Any], column: str, load: int
) -> Iterator[tuple[Piece, int]]:
    """Stretches of rows whose texts have about `load` bytes, and their weight.

    Raises:
        CorpusError: a file has other columns than the first.
    """
    first = footers[0].schema.to_arrow_schema()
    for (name, state), footer in zip(files.items(), footers, strict=True):
        schema = footer.schema.to_arrow_schema()
        if not schema.equals(first):
            told = f"its columns are {_told(schema)}, those of {next(iter(files))} {_told(first)}"
            raise CorpusError((folder / name).shown, None, f"{told}: all files must have the same")
        weight = sum(_weight(footer.row_group(group), column) for group in range(footer.num_row_groups))
        count = min(footer.num_rows, max(1, -(-weight // load)))
        edges = [footer.num_rows * number // count for number in range(count + 1)] if count else []
        for begin, end in pairwise(edges):
            yield Piece(name, begin, end, state.size, state.modified), weight // count


def _told(schema: Any) -> str:
    return listed([f"{field.name} ({field.type})" for field in schema])


def _weight(group: Any, column: str) -> int:
    """Uncompressed bytes of a column in a row group."""
    chunks = (group.column(index) for index in range(group.num_columns))
    return sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.partition(".")[0] == column)


def table_chunks(place: Place, piece: Piece, job: Job) -> Iterator[Chunk]:
    """The rows of a piece.

    Raises:
        CorpusError: the file is damaged, or by its row, counted from 1: no text, or too long a one.
    """
    import pyarrow
    import pyarrow.parquet

    row = piece.start
    try:
        with place.open() as stream, pyarrow.parquet.ParquetFile(stream, buffer_size=_BUFFER) as file:
            for table in _rows(file, piece.start, piece.end):
                table.validate(full=True)  # offsets beyond the data of a foreign file, or no UTF-8
                cells = table.column(job.column).to_pylist()
                items = [_item(cell, place.shown, row + at, job) for at, cell in enumerate(cells, start=1)]
                yield Chunk(items, table=table)
                row += len(items)
    except pyarrow.ArrowException as error:
        reason = shortened(" ".join(str(error).split()))
        raise CorpusError(place.shown, None, f"damaged, or no Parquet ({reason})") from error
    if row != piece.end:
        raise CorpusError(
            place.shown, None, f"{row - piece.start:,} rows instead of {piece.end - piece.start:,}"
        )


def _rows(file: Any, start: int, end: int) -> Iterator[Any]:
    """Batches of the rows from `start` to `end`, of the row groups that hold them."""
    groups: list[int] = []
    at = first = 0
    for index in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(index).num_rows
        if at < end and at + rows > start:
            first = at if not groups else first
            groups.append(index)
        at += rows
    at = first
    for batch in file.iter_batches(batch_size=LOOK_AHEAD, row_groups=groups):
        begin, stop = max(start - at, 0), min(end - at, batch.num_rows)
        if begin < stop:
            yield batch.slice(begin, stop - begin)
        at += batch.num_rows
        if at >= end:
            return


def _item(cell: Any, name: str, row: int, job: Job) -> Text | CorpusError:
    told = None
    if cell is None or (isinstance(cell, list) and not all(token and not token.isspace() for token in cell)):
        told = f"no text in column {job.column}" if cell is None else f"an empty token in column {job.column}"
    elif sum(map(len, cell)) > job.most:
        told = f"a text of more than {job.most:,} characters; --max-line allows longer ones"
    if told is None:
        return cell  # type: ignore[no-any-return]
    if not job.skip:
        raise CorpusError(name, row, f"{told}; --errors skip goes on after it")
    return CorpusError(name, row, told)
