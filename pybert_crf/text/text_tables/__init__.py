"""Files with a column of texts, read row by row and written again with one more column."""

from __future__ import annotations

from pybert_crf.text.text_tables.base import Columns, Rows, TextTable
from pybert_crf.text.text_tables.kinds import KINDS, kind_of, open_table

__all__ = ["KINDS", "Columns", "Rows", "TextTable", "kind_of", "open_table"]
