"""What all tables with a column of texts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from pybert_crf.reading import listed, quoted
from pybert_crf.text.corpora.lines import CorpusError, Fault, Source, refuse, source_name

Spans = list[dict[str, Any]]
"""The value of the new column in one row: plain dictionaries, such as those of `Entity.to_dict`."""


class Rows(NamedTuple):
    """Some rows: the text of each, None where it is missing, and what writing them takes."""

    texts: list[str | None]
    given: Any


@dataclass(frozen=True)
class Columns:
    """The names of the column of texts and of the one that is added."""

    text: str
    added: str

    def check(self, names: Sequence[str], file: str, line: int | None = None) -> int:
        """The place of the column of texts among the names of a table.

        Raises:
            CorpusError: it is missing or there twice, or the one to be added is there.
        """
        if self.text not in names:
            told = f"no column {quoted(self.text)}: --text-column must be one of {listed(names)}"
            raise CorpusError(file, line, told)
        if names.count(self.text) > 1:
            raise CorpusError(file, line, f"{names.count(self.text)} columns are called {quoted(self.text)}")
        if self.added in names:
            told = f"there is a column {quoted(self.added)} already: --answer-column names the new one"
            raise CorpusError(file, line, told)
        return names.index(self.text)


class TextTable(ABC):
    """A table that is read in order and written again, each row with one more value.

    Args:
        source: a path, or a stream of bytes.
        columns: the names of the column of texts, and of the one to add.
        encoding: of a text file; UTF-8 if None.
        most: characters that a line may have.
        fault: is called with the error of a row that cannot be read, which is left out if it returns.
    """

    def __init__(
        self,
        source: Source,
        columns: Columns,
        *,
        encoding: str | None = None,
        most: int | None = None,
        fault: Fault = refuse,
    ) -> None:
        self.source, self.columns, self.encoding, self.most = source, columns, encoding, most
        self.fault, self.name = fault, source_name(source)

    @abstractmethod
    def rows(self) -> Iterator[Rows]:
        """The rows, a few at a time, as they are read.

        Raises:
            CorpusError: the table has not the column, or is damaged; with file and row.
            OSError: the file cannot be read.
        """

    @abstractmethod
    def write(self, out: BinaryIO, rows: Rows, values: Sequence[Spans | None]) -> None:
        """Write rows with the value of the new column of each; None where it is missing."""

    @abstractmethod
    def close(self, out: BinaryIO) -> None:
        """Write what follows the rows, and what precedes them if there are none."""
