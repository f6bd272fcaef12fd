"""Shards: the answers to a part, as JSON lines or Parquet, in a file that appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

from pybert_crf.annotation.entities import Annotation
from pybert_crf.cluster.chunks import Chunk, shows_text
from pybert_crf.cluster.job import Job
from pybert_crf.cluster.layout import Layout
from pybert_crf.cluster.places import Place
from pybert_crf.files import json_value
from pybert_crf.reading import listed
from pybert_crf.text.corpora import CorpusError
from pybert_crf.text.text_tables.parquet_table import spans_type

Answer = Annotation | CorpusError

_ROW_GROUP = 10_000  # rows that Parquet compresses together


class Writer(Protocol):
    """Writes the answers to one chunk after another."""

    def write(self, chunk: Chunk, answers: Sequence[Answer]) -> None:
        """The answers to the rows of `chunk`, in order."""


@contextmanager
def shard(place: Place, job: Job) -> Iterator[Writer]:
    """The writer of a shard, which is there once the block has ended without an error.

    Raises:
        OSError: it cannot be written.
    """
    with place.writing() as stream:
        if job.to == "jsonl":
            yield _Lines(stream, job)
        else:
            table = _Table(stream, job)
            yield table
            table.close()


class _Lines:
    def __init__(self, stream: BinaryIO, job: Job) -> None:
        self._stream, self._job = stream, job

    def write(self, chunk: Chunk, answers: Sequence[Answer]) -> None:
        # JSON has no NaN, which stands for a missing number in Parquet that pandas wrote.
        records = chunk.records if chunk.table is None else json_value(chunk.table.to_pylist())
        lines = (
            json.dumps(self._record(record, answer), ensure_ascii=False)
            for record, answer in zip(records, answers, strict=True)
        )
        self._stream.write("".join(f"{line}\n" for line in lines).encode())

    def _record(self, record: dict[str, Any], answer: Answer) -> dict[str, Any]:
        job = self._job
        text = None if isinstance(answer, CorpusError) else answer.text
        shown = {} if shows_text(record, job) else {"text": text}
        if isinstance(answer, CorpusError):
            return {**record, **shown, job.answers: [], "error": str(answer)}
        return {**record, **shown, job.answers: [entity.to_dict() for entity in answer.entities]}


class _Table:
    """Columns of the input; ``text`` if none of them is the text; entities; errors, if lines are skipped."""

    def __init__(self, stream: BinaryIO, job: Job) -> None:
        self._stream, self._job = stream, job
        self._writer: Any = None
        self._batches: list[Any] = []

    def write(self, chunk: Chunk, answers: Sequence[Answer]) -> None:
        import pyarrow

        columns: dict[str, Any] = {}
        if chunk.table is not None:
            columns = dict(zip(chunk.table.schema.names, chunk.table.columns, strict=True))
        if adds_text(chunk.table and chunk.table.schema, self._job):
            texts = [None if isinstance(each, CorpusError) else each.text for each in answers]
            columns["text"] = pyarrow.array(texts, pyarrow.string())
        found = [
            [] if isinstance(each, CorpusError) else [entity.to_dict() for entity in each.entities]
            for each in answers
        ]
        columns[self._job.answers] = pyarrow.array(found, spans_type())
        if self._job.skip:
            told = [str(each) if isinstance(each, CorpusError) else None for each in answers]
            columns["error"] = pyarrow.array(told, pyarrow.string())
        self._batches.append(pyarrow.RecordBatch.from_pydict(columns))
        if sum(batch.num_rows for batch in self._batches) >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.Table.from_batches(self._batches)
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._stream, table.schema)
        self._writer.write_table(table)
        self._batches = []

    def close(self) -> None:
        """Write what is held, and the footer."""
        if not self._batches and self._writer is None:  # no line begins in the part
            self.write(Chunk(), [])
        if self._batches:
            self._flush()
        self._writer.close()


def adds_text(schema: Any, job: Job) -> bool:
    """Whether a column ``text`` is added: of text files, and of lists of tokens, which have no offsets."""
    import pyarrow.types as types

    if schema is None:
        return True
    kind = schema.field(job.column).type
    return bool(types.is_list(kind) or types.is_large_list(kind))


def check_columns(layout: Layout, job: Job) -> None:
    """Refuse an output that cannot hold all that stands beside the texts.

    Raises:
        ValueError: JSON lines as Parquet; columns that JSON cannot hold; or one that is there already.
    """
    if job.kind == "json" and job.to == "parquet":
        raise ValueError("JSON lines have fields of no fixed type, which Parquet needs: --to jsonl")
    if layout.schema is None:
        return
    added = [job.answers, *["text"] * adds_text(layout.schema, job), *["error"] * job.skip]
    if both := [name for name in added if name in layout.schema.names]:
        told = f"the input has a column {both[0]} already, which is for the answer"
        raise ValueError(f"{told}: --answer-column names another for the entities")
    if job.to == "jsonl":
        odd = [f"{field.name} ({field.type})" for field in layout.schema if not _is_json(field.type)]
        if odd:
            raise ValueError(f"JSON lines cannot hold {listed(odd)}: --to parquet")


def _is_json(kind: Any) -> bool:
    """Whether values of a type of Arrow's are what JSON has."""
    import pyarrow.types as types

    if types.is_nested(kind):
        if types.is_map(kind) or types.is_union(kind):
            return False
        return all(_is_json(kind.field(index).type) for index in range(kind.num_fields))
    if types.is_dictionary(kind):
        return _is_json(kind.value_type)
    plain = (types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_boolean)
    return any(test(kind) for test in (*plain, types.is_null, types.is_float64, types.is_float32))
