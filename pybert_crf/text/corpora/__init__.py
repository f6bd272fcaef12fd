"""Corpora: every file format becomes the same sentences, and `read_corpus` is the one way in."""

from __future__ import annotations

from pybert_crf.text.corpora.columns import read_columns, write_columns
from pybert_crf.text.corpora.corpus import Corpus, Sentence, Statistics
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, numbered_lines
from pybert_crf.text.corpora.reading import converted, mended, read_corpus

__all__ = [
    "Corpus",
    "CorpusError",
    "Habits",
    "Sentence",
    "Statistics",
    "converted",
    "mended",
    "numbered_lines",
    "read_columns",
    "read_corpus",
    "write_columns",
]
