"""A table with a column of texts, written again with a column of their entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from pybert_crf.cli.arriving import Arriving
from pybert_crf.cli.prediction.waiting import Prediction
from pybert_crf.options import PredictOptions
from pybert_crf.text.corpora import CorpusError
from pybert_crf.text.text_tables import Columns, Rows, TextTable, kind_of, open_table

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator


class TablePrediction(Prediction):
    """The rows of a CSV, TSV, Parquet or JSON lines file or stream."""

    left_out = "their rows are left out"

    def __init__(self, tagger: Annotator, options: PredictOptions, out: TextIO, file: str) -> None:
        super().__init__(tagger, options, out)
        self.waiting: list[Rows] = []
        self._table: TextTable | None = None
        assert options.text_column is not None
        self._columns = Columns(options.text_column, options.answer_column)
        kind = kind_of("<stdin>" if file == "-" else file, options.format)
        if kind == "datasets" and out.isatty():
            raise ValueError("Parquet is not for a terminal: name a file, OUT, or send it on by >")

    def read(self, source: Arriving) -> None:
        options = self.options
        rest = {"encoding": options.encoding, "most": options.max_line, "fault": self.fault}
        self._table = open_table(source, self._columns, options.format, **rest)
        for rows in self._table.rows():
            self.waiting.append(rows)
            self.count(len(rows.texts), sum(len(text) for text in rows.texts if text))

    def begin(self) -> None:
        pass  # a table's header is known when it has been read

    def skip(self, error: CorpusError) -> None:
        pass

    def write(self) -> None:
        waiting, self.waiting = self.waiting, []
        texts = [text for rows in waiting for text in rows.texts if text is not None]
        annotations = self.tagger.annotate(texts, self.options.batch_tokens)
        for rows in waiting:
            values = [
                None if text is None else [entity.to_dict() for entity in next(annotations).entities]
                for text in rows.texts
            ]
            assert self._table is not None
            self._table.write(self.out.buffer, rows, values)

    def end(self) -> None:
        self.answer()
        if self._table is not None:
            self._table.close(self.out.buffer)
