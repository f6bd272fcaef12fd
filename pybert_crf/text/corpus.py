"""Tagged corpora in column files: the first column is the token, the last its tag (CoNLL's shape)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pybert_crf.files import write_text
from pybert_crf.text.columns import BOM, DOCSTART, CorpusError, Row, read_columns, sentence_rows
from pybert_crf.text.schemes import (
    OUTSIDE,
    UNTYPED,
    SchemeError,
    check_scheme,
    detect_scheme,
    illegal_positions,
    split_tag,
)
from pybert_crf.text.spans import spans

__all__ = ["Corpus", "CorpusError", "Sentence", "Statistics", "read_columns", "read_corpus", "write_columns"]


class Sentence(NamedTuple):
    """Tokens and as many tags, and the line of the first in its file, counted from 1 (0: of no file)."""

    tokens: list[str]
    tags: list[str]
    line: int = 0


@dataclass(frozen=True)
class Statistics:
    """What a corpus holds: counts of sentences, tokens and entities per type, and its longest sentence."""

    sentences: int
    tokens: int
    entities: dict[str, int]
    longest: int

    def rows(self) -> list[tuple[str, int]]:
        """(name, count) in the order of printing."""
        counts = [("sentences", self.sentences), ("tokens", self.tokens), ("longest sentence", self.longest)]
        counts.append(("entities", sum(self.entities.values())))
        return counts + [(f"entities {label}", count) for label, count in self.entities.items()]


@dataclass(frozen=True)
class Corpus:
    """The sentences of one file and the scheme that their tags fit (faults within it: `illegal_lines`)."""

    path: Path
    sentences: list[Sentence]
    scheme: str

    @cached_property
    def labels(self) -> list[str]:
        """Every tag seen, sorted, behind O, which is always there: a tagger must be able to say it."""
        seen = {tag for sentence in self.sentences for tag in sentence.tags}
        return [OUTSIDE, *sorted(seen - {OUTSIDE})]

    @cached_property
    def illegal_lines(self) -> list[int]:
        """The lines whose tag may not stand there; `schemes.convert` to the same scheme would mend them."""
        return [
            sentence.line + min(position, len(sentence.tags) - 1)
            for sentence in self.sentences
            for position in illegal_positions(sentence.tags, self.scheme)
        ]

    @cached_property
    def statistics(self) -> Statistics:
        """Counts for printing; types in alphabetical order."""
        entities = Counter(span.label for s in self.sentences for span in spans(s.tags, self.scheme))
        lengths = [len(sentence.tokens) for sentence in self.sentences]
        return Statistics(len(lengths), sum(lengths), dict(sorted(entities.items())), max(lengths, default=0))


def read_corpus(path: str | os.PathLike[str], scheme: str | None = None) -> Corpus:
    """Read a UTF-8 column file (see `columns` for what ends a line, a column and a sentence).

    Args:
        path: the file.
        scheme: what the tags must fit; None finds it out. Give the training part's when reading dev
            and test: a small file can fit several.

    Raises:
        CorpusError: not UTF-8, a malformed line, a malformed tag, tags that fit no scheme (or not the one
            named), or no sentence at all; with file and line.
        OSError: the file cannot be read.
    """
    sentences = [_tagged(rows, path) for rows in sentence_rows(path, needed=2)]
    if not sentences:
        raise CorpusError(path, None, "no sentence in this file; expected lines 'token … tag'")
    _demand_types(sentences, path)
    tags = [sentence.tags for sentence in sentences]
    try:
        if scheme is None:
            scheme = detect_scheme(tags)
        else:
            check_scheme(tags, scheme)
    except SchemeError as error:
        sentence = sentences[error.sentence]
        # A tag that needs a successor is found out after the last one: name the line that lacks it.
        line = sentence.line + min(error.position, len(sentence.tags) - 1)
        raise CorpusError(path, line, str(error)) from None
    return Corpus(Path(path), sentences, scheme)


def write_columns(path: str | Path, sentences: Iterable[Sentence]) -> None:
    """Write ``token TAB tag`` lines, a blank line after each sentence, so that `read_corpus` reads the same.

    The file appears whole or not at all.

    Raises:
        ValueError: a sentence is empty or its tags are not as many as its tokens, or a token cannot stand in
            a column file (empty, holding a space, tab, CR or LF, or ``-DOCSTART-``).
    """
    text = "".join(_written(number, sentence) for number, sentence in enumerate(sentences))
    if text.startswith(BOM):  # a token, which a reader would take for the file's byte order mark
        text = BOM + text
    write_text(path, text)


def _tagged(rows: list[Row], path: str | os.PathLike[str]) -> Sentence:
    tags = [columns[-1] for _, columns in rows]
    for (line, columns), tag in zip(rows, tags, strict=True):
        try:
            split_tag(tag)
        except ValueError as error:  # noqa: PERF203 (the error must name the line)
            raise CorpusError(path, line, f"{error}: {' '.join(columns)!r}") from None
    return Sentence([columns[0] for _, columns in rows], tags, rows[0][0])


def _demand_types(sentences: list[Sentence], path: str | os.PathLike[str]) -> None:
    """Prefixes stand alone in all tags or in none: one among typed ones has lost its type."""
    labels = {split_tag(tag)[1] for sentence in sentences for tag in sentence.tags} - {""}
    if UNTYPED not in labels or len(labels) == 1:
        return
    for sentence in sentences:
        for line, tag in enumerate(sentence.tags, start=sentence.line):
            if split_tag(tag)[1] == UNTYPED:
                raise CorpusError(path, line, f"tag {tag!r} has no type, but other tags of the file have one")


def _written(number: int, sentence: Sentence) -> str:
    if not sentence.tokens or len(sentence.tokens) != len(sentence.tags):
        sizes = f"{len(sentence.tokens)} tokens and {len(sentence.tags)} tags"
        raise ValueError(f"sentence {number} has {sizes}: a column file needs as many of each, and some")
    for value in (*sentence.tokens, *sentence.tags):
        if not value or value == DOCSTART or not set(value).isdisjoint(" \t\r\n"):
            raise ValueError(f"sentence {number}: {value!r} cannot stand in a column file")
    lines = [f"{token}\t{tag}\n" for token, tag in zip(sentence.tokens, sentence.tags, strict=True)]
    return "".join(lines) + "\n"
