"""Parquet; the new column holds lists of records. Needs the package pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from pybert_crf.text.corpora.formats.tables import arrow_faults, arrow_opener, require_pyarrow
from pybert_crf.text.corpora.lines import CorpusError, Source
from pybert_crf.text.text_tables.base import Columns, Rows, Spans, TextTable

ROWS = 512
"""Rows read, and written as one group, at a time."""

_FIELDS = {"start": "int64", "end": "int64", "label": "string", "text": "string", "score": "float64"}


def spans_type() -> Any:
    """Arrow's type of a list of `pybert_crf.Entity` as dictionaries."""
    import pyarrow

    fields = [(name, pyarrow.type_for_alias(kind)) for name, kind in _FIELDS.items()]
    return pyarrow.list_(pyarrow.struct(fields))


class ParquetTable(TextTable):
    """A Parquet file; arguments as of `TextTable`, of which encoding and `most` are not used."""

    def __init__(self, source: Source, columns: Columns, **rest: Any) -> None:
        super().__init__(source, columns, **rest)
        self._schema: Any = None
        self._writer: Any = None

    def rows(self) -> Iterator[Rows]:
        parquet = require_pyarrow(f"{self.name} is Parquet").parquet
        opened = arrow_opener(self.source)
        with (
            arrow_faults(self.name, "damaged, or no Parquet"),
            parquet.ParquetFile(opened(), buffer_size=1 << 20) as file,
        ):
            self._schema = self._wider(file.schema_arrow)
            done = 0
            for batch in file.iter_batches(batch_size=ROWS):
                batch.validate(full=True)
                texts = batch.column(batch.schema.names.index(self.columns.text)).to_pylist()
                for row, text in enumerate(texts, done + 1):
                    if text is not None and not isinstance(text, str):
                        told = f"row {row}: column {self.columns.text!r} holds {type(text).__name__}"
                        raise CorpusError(self.name, None, f"{told} instead of a text")
                done += len(texts)
                yield Rows(texts, batch)

    def _wider(self, schema: Any) -> Any:
        """The schema with one more column, also in what `datasets` has written about the columns."""
        import pyarrow

        self.columns.check(schema.names, self.name)
        metadata = dict(schema.metadata or {})
        if b"huggingface" in metadata:
            told = json.loads(metadata[b"huggingface"])
            fields = {key: {"dtype": kind, "_type": "Value"} for key, kind in _FIELDS.items()}
            told["info"]["features"][self.columns.added] = {"feature": fields, "_type": "List"}
            metadata[b"huggingface"] = json.dumps(told).encode()
        return schema.append(pyarrow.field(self.columns.added, spans_type())).with_metadata(metadata)

    def write(self, out: BinaryIO, rows: Rows, values: Sequence[Spans | None]) -> None:
        import pyarrow

        added = pyarrow.array(values, spans_type())
        batch = pyarrow.record_batch([*rows.given.columns, added], schema=self._schema)
        self._open(out).write_batch(batch)

    def close(self, out: BinaryIO) -> None:
        if self._schema is not None:
            self._open(out).close()

    def _open(self, out: BinaryIO) -> Any:
        if self._writer is None:
            import pyarrow.parquet

            self._writer = pyarrow.parquet.ParquetWriter(out, self._schema)
        return self._writer
