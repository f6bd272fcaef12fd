"""The files of a run, read and split into a training and a held-out part, before a tokenizer exists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from pybert_crf.options import PretrainOptions
from pybert_crf.text.corpora import CorpusError, Habits, numbered_lines
from pybert_crf.text.corpora.passages import (
    FORMAT_NAMES,
    Passage,
    count_empty_lines,
    detect_text_unit,
    mistaken_format,
    read_passages,
)


@dataclass(frozen=True)
class Source:
    """The passages of a run, read from their files at each use and not kept in memory.

    Attributes:
        unit: ``char`` or ``word``; mask_unit: ``piece``, ``char`` or ``word``.
        held_out: numbers of the held-out passages of `text`, counted over all files.
        notes: what the user should know about the text.
    """

    options: PretrainOptions
    unit: str
    mask_unit: str
    held_out: frozenset[int]
    notes: tuple[str, ...]

    def train(self) -> Iterator[Passage]:
        """The passages to learn from, read anew at each call."""
        passages = enumerate(self._read(self.options.files("text")))
        return (passage for number, passage in passages if number not in self.held_out)

    def dev(self) -> Iterator[Passage]:
        """The passages to evaluate on, read anew at each call."""
        if self.options.files("dev"):
            return self._read(self.options.files("dev"))
        passages = enumerate(self._read(self.options.files("text")))
        return (passage for number, passage in passages if number in self.held_out)

    def _read(self, paths: Iterable[str]) -> Iterator[Passage]:
        for path in paths:
            yield from read_passages(path, self.unit, Habits.of(self.options))


def open_source(options: PretrainOptions) -> Source:
    """Read the files of `options` once, to find their unit and what to hold out.

    Raises:
        CorpusError: a file that is not UTF-8, or no column file, or empty; by name and line.
        FileNotFoundError: a file is missing.
        ValueError: a mask unit that the text does not have; one line, of which nothing can be held out.
    """
    files = options.files("text") + options.files("dev")
    habits = Habits.of(options)
    unit = options.unit
    if unit == "auto":
        unit = detect_text_unit(options.files("text"), habits)
    mask_unit = _mask_unit(options, unit)
    surveys = {path: _survey(path, unit, habits) for path in files}
    lines = sum(surveys[path].lines for path in options.files("text"))
    held_out: frozenset[int] = frozenset()
    if not options.files("dev"):
        if lines < 2:
            raise ValueError(
                f"{', '.join(options.files('text'))}: only one line, so none can be held out; give a dev file"
            )
        count = min(lines - 1, max(1, round(lines * options.held_out)))
        held_out = frozenset(Random(options.seed).sample(range(lines), count))
    notes = [*_notes(options, files, habits)]
    if mask_unit == "word":
        notes += _word_notes(surveys)
    return Source(options, unit, mask_unit, held_out, tuple(notes))


class _Survey(NamedTuple):
    """The number of passages of a file, and of those whose several units are one word."""

    lines: int
    undivided: int


def _survey(path: str, unit: str, habits: Habits) -> _Survey:
    lines = undivided = 0
    for passage in read_passages(path, unit, habits):
        lines += 1
        undivided += len(passage.units) > 1 and passage.words[-1] == 0
    if not lines:
        raise CorpusError(path, None, "no text in this file")
    return _Survey(lines, undivided)


def _word_notes(surveys: dict[str, _Survey]) -> Iterator[str]:
    lines, undivided = (sum(column) for column in zip(*surveys.values(), strict=True))
    if lines == undivided:
        raise ValueError("mask_unit must be char or piece, got 'word': no line has spaces between words")
    if undivided:
        yield f"{undivided:,} lines have no space: each is taken for one word, and masked as a whole"


def _mask_unit(options: PretrainOptions, unit: str) -> str:
    if options.mask_unit == "auto":
        return unit
    if options.mask_unit == "char" and unit == "word":
        raise ValueError("mask_unit must be word or piece, got 'char': the text is read by word")
    if options.mask_unit == "word" and unit == "char" and options.format == "columns":
        raise ValueError(
            "mask_unit must be char or piece, got 'word': a column file of characters has no words"
        )
    return options.mask_unit


def _notes(options: PretrainOptions, files: tuple[str, ...], habits: Habits) -> Iterator[str]:
    if options.format != "auto":
        return
    empty = sum(count_empty_lines(path, habits) for path in files)
    if empty:
        yield f"{empty:,} empty lines are skipped"
    for path in files:
        looks = mistaken_format(line for _, line in numbered_lines(path, encoding=habits.encoding))
        if looks:
            told = f"looks like {FORMAT_NAMES[looks]} but is read as plain text, including its tags"
            yield f"{path} {told}: see --format {looks}"
