"""JSON lines: an object a line; what it holds stays as it is written, and a member is added."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from pybert_crf.reading import quoted
from pybert_crf.text.corpora.formats.json_files import parsed
from pybert_crf.text.corpora.lines import CorpusError, numbered_lines
from pybert_crf.text.text_tables.base import Rows, Spans, TextTable


class JsonTable(TextTable):
    """A file of objects, one a line; arguments as of `TextTable`."""

    def rows(self) -> Iterator[Rows]:
        lines = numbered_lines(self.source, most=self.most, fault=self.fault, encoding=self.encoding)
        for number, line in lines:
            if not line or line.isspace():
                yield Rows([], line)
                continue
            try:
                text = self._text(parsed(line, self.name, number), number)
            except CorpusError as error:
                self.fault(error)
            else:
                yield Rows([text], line)

    def _text(self, value: Any, number: int) -> str | None:
        if not isinstance(value, dict):
            told = f"an object a line is expected, such as {{{self.columns.text!r}: …}}: {quoted(value)}"
            raise CorpusError(self.name, number, told)
        self.columns.check(list(value), self.name, number)
        text = value[self.columns.text]
        if text is None or isinstance(text, str):
            return text
        told = f"column {self.columns.text!r} holds {quoted(text)} instead of a text"
        raise CorpusError(self.name, number, told)

    def write(self, out: BinaryIO, rows: Rows, values: Sequence[Spans | None]) -> None:
        line: str = rows.given
        for value in values:
            added = json.dumps({self.columns.added: value}, ensure_ascii=False)
            line = f"{line.rstrip().removesuffix('}')}, {added[1:]}"
        out.write(f"{line}\n".encode())

    def close(self, out: BinaryIO) -> None:
        pass
