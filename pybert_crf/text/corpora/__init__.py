"""Corpora: every file format becomes the same sentences, and `read_corpus` is the one way in."""

from __future__ import annotations

from pybert_crf.text.corpora.corpus import Corpus, CorpusStream, Sentence, Statistics
from pybert_crf.text.corpora.formats.columns import read_columns, write_columns
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, numbered_lines
from pybert_crf.text.corpora.reading import converted, joined, mended, open_corpus, read_corpus

__all__ = [
    "Corpus",
    "CorpusError",
    "CorpusStream",
    "Habits",
    "Sentence",
    "Statistics",
    "converted",
    "joined",
    "mended",
    "numbered_lines",
    "open_corpus",
    "read_columns",
    "read_corpus",
    "write_columns",
]
