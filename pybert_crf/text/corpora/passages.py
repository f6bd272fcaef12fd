"""Untagged text for pretraining, read from plain text or column files as passages of units."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from pybert_crf.text.corpora.habits import UNKNOWN, Habits
from pybert_crf.text.corpora.lines import numbered_lines
from pybert_crf.text.corpora.texts import looks_like_json, read_texts
from pybert_crf.text.tagging.schemes import SchemeError, detect_scheme
from pybert_crf.text.units import detect_unit, split_units

_UNIT_SAMPLE = 10_000  # passages examined to detect characters or words
_FORMAT_SAMPLE = 200  # lines examined to detect a column file


FORMAT_NAMES = {"columns": "a column file", "json": "JSON"}
"""What `mistaken_format` finds, in words."""


class Passage(NamedTuple):
    """The units of a line of text (or of a sentence in a column file) and the words that they belong to.

    Attributes:
        units: characters or words, without white space.
        words: for each unit the index of its word, ascending. In text read by character white space separates
            words; in text read by word, and in column files, each unit is a word.
    """

    units: list[str]
    words: list[int]


def read_passages(path: str | os.PathLike[str], unit: str, habits: Habits = UNKNOWN) -> Iterator[Passage]:
    """The passages of a file, as they are read: its non-blank lines, or the sentences of a column file.

    Args:
        path: the file; it may be compressed by gzip, xz or zstd.
        unit: ``"char"`` or ``"word"``, the units of a line (see `split_units`); not used for column files.
        habits: what is known about the file; of its format only text and tokens are read.

    Raises:
        CorpusError: not UTF-8, or not a column file, with file and line.
        OSError: the file cannot be read.
    """
    for text in read_texts(path, replace(habits, unit=unit)):
        if isinstance(text, list):
            yield Passage(text, list(range(len(text))))
        elif text and not text.isspace():
            yield _cut(text, unit)


def count_empty_lines(path: str | os.PathLike[str], habits: Habits = UNKNOWN) -> int:
    """The number of blank lines of a plain text file, which `read_passages` skips."""
    return sum(not line or line.isspace() for _, line in numbered_lines(path, encoding=habits.encoding))


def detect_text_unit(paths: Iterable[str | os.PathLike[str]], habits: Habits = UNKNOWN) -> str:
    """``"char"`` or ``"word"``, by the first passages of each file; see `detect_unit`.

    In plain text each Chinese character counts as a token, as in `split_units`.
    """
    passages = (islice(read_passages(path, "word", habits), _UNIT_SAMPLE) for path in paths)
    return detect_unit(passage.units for of_file in passages for passage in of_file)


def mistaken_format(lines: Iterable[str]) -> str:
    """``"columns"`` or ``"json"`` if lines that are read as plain text look like that; otherwise empty."""
    first = list(islice(lines, _FORMAT_SAMPLE))
    if looks_like_json(next((line for line in first if line), "")):
        return "json"
    return "columns" if _looks_like_columns(first) else ""


def _looks_like_columns(lines: Iterable[str]) -> bool:
    """Whether the lines each have a token and a tag of one scheme, unlike plain text."""
    filled = [row for row in map(str.split, lines) if row]
    if not filled or min(map(len, filled)) < 2:
        return False
    try:
        detect_scheme([[row[-1] for row in filled]])
    except (SchemeError, ValueError):
        return False
    return any(row[-1] != "O" for row in filled)


def _cut(line: str, unit: str) -> Passage:
    offsets = split_units(line, unit)
    units = [line[start:end] for start, end in offsets]
    if unit == "word":
        return Passage(units, list(range(len(units))))
    words, word, end = [], -1, -1
    for start, stop in offsets:  # every character except white space is a unit: a gap is white space
        word += start != end
        words.append(word)
        end = stop
    return Passage(units, words)
