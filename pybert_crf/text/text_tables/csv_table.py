"""CSV and TSV with a header; the new column holds JSON.

In TSV a quotation mark is a character like others; in CSV it quotes a field.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from pybert_crf.reading import quoted
from pybert_crf.text.corpora.lines import CorpusError, Source, numbered_lines
from pybert_crf.text.text_tables.base import Columns, Rows, Spans, TextTable

_DELIMITERS = "\t,;"
_USUAL_FIELD = 131072  # the limit of Python's module, which is for all of its readers


class CsvTable(TextTable):
    """A file of rows, the first of which names the columns; arguments as of `TextTable`."""

    def __init__(self, source: Source, columns: Columns, **rest: Any) -> None:
        super().__init__(source, columns, **rest)
        self._header: list[str] | None = None
        self._delimiter, self._end = ",", "\n"

    def rows(self) -> Iterator[Rows]:
        csv.field_size_limit(max(_USUAL_FIELD, self.most or _USUAL_FIELD))
        # A line that cannot be read breaks the rows after it: it is an error whatever `fault` does.
        lines = (
            text for _, text in numbered_lines(self.source, most=self.most, encoding=self.encoding, ends=True)
        )
        first = next(lines, "")
        header = self._read_header(first)
        place = self.columns.check(header, self.name, 1)
        self._header = header
        reader = csv.reader(lines, **self._dialect())
        while True:
            line = reader.line_num + 2
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise CorpusError(self.name, line, f"not CSV: {error}") from None
            if row is None:
                return
            if row and len(row) != len(header):
                told = f"{len(row)} fields, but the header has {len(header)}: {quoted(row)}"
                self.fault(CorpusError(self.name, line, told))
            else:
                yield Rows([row[place]] if row else [], row)

    def _read_header(self, line: str) -> list[str]:
        """The names of the columns, by the delimiter that separates the column of texts."""
        self._end = "\r\n" if line.endswith("\r\n") else "\n"
        found = {}
        for self._delimiter in _DELIMITERS:
            try:
                found[self._delimiter] = next(csv.reader([line.rstrip("\r\n")], **self._dialect()), [])
            except csv.Error as error:
                raise CorpusError(self.name, 1, f"not CSV: {error}") from None
            if self.columns.text in found[self._delimiter]:
                return found[self._delimiter]
        self._delimiter = max(found, key=lambda delimiter: len(found[delimiter]))
        return found[self._delimiter]

    def _dialect(self) -> dict[str, Any]:
        if self._delimiter == "\t":
            return {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
        return {"delimiter": self._delimiter, "strict": True}

    def write(self, out: BinaryIO, rows: Rows, values: Sequence[Spans | None]) -> None:
        self._write_header(out)
        added = [json.dumps(value, ensure_ascii=False) for value in values]
        out.write(self._line([*rows.given, *added]))

    def close(self, out: BinaryIO) -> None:
        self._write_header(out)

    def _write_header(self, out: BinaryIO) -> None:
        if self._header is not None:
            out.write(self._line([*self._header, self.columns.added]))
            self._header = None

    def _line(self, row: Sequence[str]) -> bytes:
        if self._delimiter == "\t" or not row:
            return ("\t".join(row) + self._end).encode()
        text = io.StringIO()
        csv.writer(text, delimiter=self._delimiter, lineterminator=self._end).writerow(row)
        return text.getvalue().encode()
