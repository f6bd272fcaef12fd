"""Which kind of table a file is, by its name or by `--format`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pybert_crf.text.corpora.lines import CorpusError, Source, source_name, unpacked_name
from pybert_crf.text.text_tables.base import Columns, TextTable
from pybert_crf.text.text_tables.csv_table import CsvTable
from pybert_crf.text.text_tables.json_table import JsonTable
from pybert_crf.text.text_tables.parquet_table import ParquetTable

KINDS: dict[str, type[TextTable]] = {"csv": CsvTable, "json": JsonTable, "datasets": ParquetTable}
"""The kinds, by the names of `--format`."""

_ENDINGS = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "json"),
    **dict.fromkeys((".parquet", ".pq"), "datasets"),
}


def kind_of(name: str, format: str = "auto") -> str:
    """The kind of the table `name`, by `format` or by how the name ends.

    Raises:
        CorpusError: neither tells.
    """
    if format in KINDS:
        return format
    ending = Path(unpacked_name(name)).suffix.lower()
    if format != "auto" or ending not in _ENDINGS:
        told = f"--format {format} is no table" if format != "auto" else "its name tells no kind of table"
        raise CorpusError(name, None, f"{told}: --format csv (TSV too), json (lines) or datasets (Parquet)")
    return _ENDINGS[ending]


def open_table(source: Source, columns: Columns, format: str = "auto", **rest: Any) -> TextTable:
    """The table of a file or stream.

    Args:
        source, columns, rest: as of `TextTable`.
        format: one of KINDS; ``"auto"`` goes by the name.

    Raises:
        CorpusError: the kind is unknown.
    """
    return KINDS[kind_of(source_name(source), format)](source, columns, **rest)
