"""What every corpus format is read into: sentences of tagged units, and a corpus of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pybert_crf.text.corpora.lines import CorpusError
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import (
    OUTSIDE,
    PLAIN,
    UNTYPED,
    illegal_positions,
    split_tag,
    type_name,
)
from pybert_crf.text.units import join_units, split_units


class Sentence(NamedTuple):
    """Tokens, one tag for each, and where they came from.

    Attributes:
        tokens, tags: of equal length.
        line: of the first token in its file, counted from 1; 0 if the sentence comes from no file.
        one_line: whether the whole sentence stands in that line, instead of a token in each.
        document: number of its document in the file, from 1; 0 if it is of none that the file tells apart.
        text, offsets: where a file has texts, the text and the half-open characters of each token in it.
        lines: of the tokens, where they do not stand in one line or in lines one after another.
        file: in which the lines are, if it is not the corpus's own (of several files, or of brat's).
    """

    tokens: list[str]
    tags: list[str]
    line: int = 0
    one_line: bool = False
    document: int = 0
    text: str | None = None
    offsets: list[tuple[int, int]] | None = None
    lines: list[int] | None = None
    file: str | None = None

    def line_of(self, position: int) -> int:
        """The line of the tag at a position; of the last one for a position after it."""
        position = min(position, len(self.tags) - 1)
        if self.lines is not None:
            return self.lines[position]
        return self.line if self.one_line else self.line + position

    def located(self, unit: str) -> tuple[str, list[tuple[int, int]]]:
        """The text and the half-open characters of each token; joined by `unit` if the file has none."""
        if self.text is not None and self.offsets is not None:
            return self.text, self.offsets
        return join_units(self.tokens, unit)

    def fault(self, path: str | os.PathLike[str], position: int, message: str) -> CorpusError:
        """The error about a token or its tag, in a corpus of this name."""
        return CorpusError(self.file or path, self.line_of(position), message)


def lines_of(rows: Sequence[tuple[int, str, str]]) -> list[int] | None:
    """`Sentence.lines` of rows that begin with their line."""
    return None if rows[-1][0] - rows[0][0] == len(rows) - 1 else [line for line, *_ in rows]


@dataclass(frozen=True)
class Statistics:
    """Size of a corpus: numbers of sentences, of tokens and of entities by type, and its longest sentence."""

    sentences: int
    tokens: int
    entities: dict[str, int]
    longest: int

    @classmethod
    def of(cls, sentences: Iterable[Sentence], scheme: str) -> Statistics:
        """The counts of these sentences."""
        entities: Counter[str] = Counter()
        number = tokens = longest = 0
        for sentence in sentences:
            number += 1
            entities.update(type_name(span.label) for span in spans(sentence.tags, scheme))
            tokens += len(sentence.tokens)
            longest = max(longest, len(sentence.tokens))
        return cls(number, tokens, dict(sorted(entities.items())), longest)

    def rows(self) -> list[tuple[str, int]]:
        """(name, count) in the order of printing."""
        counts = [("sentences", self.sentences), ("tokens", self.tokens), ("longest sentence", self.longest)]
        counts.append(("entities", sum(self.entities.values())))
        return counts + [(f"entities {label}", count) for label, count in self.entities.items()]


@dataclass(frozen=True)
class Corpus:
    """The sentences of one file and the scheme of their tags, which `illegal_lines` may violate.

    Attributes:
        notes: what was found out about the file and taken for granted, a line each.
    """

    path: Path
    sentences: list[Sentence]
    scheme: str
    notes: tuple[str, ...] = ()

    @cached_property
    def labels(self) -> list[str]:
        """All tags of the corpus, sorted, after O.

        O is always included, unless all tags are plain or, as in word segmentation, have no type.
        """
        seen = {tag for sentence in self.sentences for tag in sentence.tags}
        needless = self.scheme == PLAIN or all(split_tag(tag)[1] == UNTYPED for tag in seen)
        return sorted(seen) if needless else [OUTSIDE, *sorted(seen - {OUTSIDE})]

    @property
    def has_documents(self) -> bool:
        """Whether any sentence is of a document that is known."""
        return any(sentence.document for sentence in self.sentences)

    def place(self, sentence: Sentence) -> str:
        """Where a sentence stands: ``file:line``."""
        return f"{Path(sentence.file or self.path).name}:{sentence.line}"

    @cached_property
    def illegal_lines(self) -> list[int]:
        """Lines whose tag is illegal there; `schemes.convert` to the same scheme repairs them."""
        return [
            sentence.line_of(position)
            for sentence in self.sentences
            for position in illegal_positions(sentence.tags, self.scheme)
        ]

    @cached_property
    def statistics(self) -> Statistics:
        """Counts for printing; types in alphabetical order."""
        return Statistics.of(self.sentences, self.scheme)


@dataclass(frozen=True)
class CorpusStream:
    """A corpus too large to be held: its sentences are read from the file whenever they are asked for."""

    path: Path
    sentences: Iterable[Sentence]
    scheme: str
    notes: tuple[str, ...] = ()


CUT_ALIKE = 0.9
"""The share of sentences whose raw text must be cut as their tokens are, for texts to be tagged as well."""


def cut_alike(sentences: Iterable[Sentence], unit: str) -> float:
    """The share of sentences whose raw text is cut into just their tokens."""
    number = alike = 0
    for sentence in sentences:
        text, offsets = sentence.located(unit)
        number += 1
        alike += offsets == split_units(text, unit)
    return alike / max(1, number)


def words_of(corpus: Corpus) -> frozenset[str]:
    """The words of a corpus for word segmentation; none of another."""
    if corpus.scheme == PLAIN or any(split_tag(tag)[1] not in ("", UNTYPED) for tag in corpus.labels):
        return frozenset()
    found = set()
    for tokens, tags, *_ in corpus.sentences:
        found |= {"".join(tokens[start:end]) for start, end, _ in spans(tags, corpus.scheme)}
    return frozenset(word for word in found if not any(map(str.isspace, word)))
