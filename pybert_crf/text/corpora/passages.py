"""Untagged text, from plain or column files, as passages of units: what an encoder is pretrained on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from pybert_crf.text.corpora.columns import read_columns
from pybert_crf.text.corpora.lines import numbered_lines
from pybert_crf.text.tagging.schemes import SchemeError, detect_scheme
from pybert_crf.text.units import detect_unit, split_units

_ENOUGH = 10_000  # passages that show whether a text is to be read by character or by word
_LOOK = 200  # lines that show whether a file is a column file


class Passage(NamedTuple):
    """The units of a line (or of a column file's sentence), and where words begin.

    Attributes:
        units: characters or words, without white space.
        words: for each unit the number of its word, ascending. A unit that is a word, or a column file's
            token, is one by itself; in text by character a word is what stands between white space.
    """

    units: list[str]
    words: list[int]


def read_passages(path: str | os.PathLike[str], unit: str, *, columns: bool = False) -> Iterator[Passage]:
    """The passages of a file, as they come: lines that hold more than white space, or sentences.

    Args:
        path: a UTF-8 file.
        unit: ``"char"`` or ``"word"``: how a line is cut (see `split_units`); a column file is cut already.
        columns: whether the file is a column file; its tokens are read, what else it holds is passed over.

    Raises:
        CorpusError: not UTF-8, or no column file, with file and line.
        OSError: the file cannot be read.
    """
    if columns:
        for tokens in read_columns(path):
            yield Passage(tokens, list(range(len(tokens))))
        return
    for _, line in numbered_lines(path):
        if line and not line.isspace():
            yield _cut(line, unit)


def count_empty_lines(path: str | os.PathLike[str]) -> int:
    """How many lines of a plain text file hold nothing but white space, so that they are no passages."""
    return sum(not line or line.isspace() for _, line in numbered_lines(path))


def detect_text_unit(paths: Iterable[str | os.PathLike[str]], *, columns: bool = False) -> str:
    """``"char"`` or ``"word"``, by the first passages of all files; see `detect_unit`.

    In plain text a Chinese character counts as a token of its own, as `split_units` cuts it.
    """
    passages = (
        p.units for path in paths for p in islice(read_passages(path, "word", columns=columns), _ENOUGH)
    )
    return detect_unit(passages)


def looks_like_columns(path: str | os.PathLike[str]) -> bool:
    """Whether a file's first lines are each a token and a tag of one scheme, so that it is no plain text."""
    rows = [line.split() for _, line in islice(numbered_lines(path), _LOOK)]
    filled = [row for row in rows if row]
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
    for start, stop in offsets:  # every character but white space is a unit: a gap is white space
        word += start != end
        words.append(word)
        end = stop
    return Passage(units, words)
