"""The facts of one file, gathered in one pass: a corpus of any size is never held."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pybert_crf.text.corpora import Corpus, CorpusStream, Sentence, Statistics
from pybert_crf.text.corpora.corpus import cut_alike
from pybert_crf.text.corpora.reading import in_scheme
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import PLAIN, illegal_positions, type_name
from pybert_crf.text.units import detect_unit

SAMPLE = 20_000
"""Sentences by which unit and cut, and with a model pieces and windows, are found out."""

SHORT = 4
"""Units of a sentence that may well occur twice ("Yes ."): such are not counted as repeated."""

_LISTED = 5  # lines that are named of each kind of fault

Hashes = NDArray[np.uint64]


@dataclass
class Repetition:
    """How many sentences there are of a kind, and the lines of the first."""

    count: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, line: int) -> None:
        """Count one more."""
        self.count += 1
        if len(self.lines) < _LISTED:
            self.lines.append(line)


@dataclass
class Part:
    """The facts of one file.

    Attributes:
        name: train, or dev and test, or the file's name.
        notes: what was found out about the file and taken for granted.
        sizes: numbers of sentences, units and entities.
        lengths: number of sentences by their number of units.
        tags: number of units by their tag.
        faults: illegal tags.
        repeated, contradictory: sentences that occur before, with the same tags or with others.
        cut_alike: of the first sentences, the share whose raw text is cut into just their units.
        sentences, entities: hashes of all sentences that are not short, and of surfaces and types, sorted.
        mentions: hashes of the surfaces and types of all entities, as often as they occur.
    """

    name: str
    path: Path
    notes: tuple[str, ...]
    scheme: str
    unit: str
    sizes: Statistics
    lengths: Counter[int]
    tags: Counter[str]
    faults: Repetition
    repeated: Repetition
    contradictory: Repetition
    cut_alike: float
    sentences: Hashes
    mentions: Hashes

    @classmethod
    def of(cls, name: str, corpus: Corpus | CorpusStream, scheme: str, unit: str = "auto") -> Part:
        """The facts of a corpus, read as `scheme`.

        Raises:
            CorpusError: its entities cannot be written in that scheme; by the line.
        """
        if unit == "auto":
            unit = detect_unit(s.tokens for s in islice(corpus.sentences, SAMPLE))
        gathered = _Gathered(corpus.scheme)
        sizes = Statistics.of(gathered.passing(_in_scheme(corpus, scheme), corpus.sentences), scheme)
        repeated, contradictory = gathered.repetitions()
        return cls(
            name=name,
            path=corpus.path,
            notes=corpus.notes,
            scheme=corpus.scheme,
            unit=unit,
            sizes=sizes,
            lengths=gathered.lengths,
            tags=gathered.tags,
            faults=gathered.faults,
            repeated=repeated,
            contradictory=contradictory,
            cut_alike=cut_alike(islice(corpus.sentences, SAMPLE), unit),
            sentences=np.unique(gathered.long_hashes()),
            mentions=np.sort(np.frombuffer(gathered.entities, dtype=np.uint64)),
        )


def _in_scheme(corpus: Corpus | CorpusStream, scheme: str) -> Iterator[Sentence]:
    for sentence in corpus.sentences:
        yield in_scheme(sentence, corpus.path, corpus.scheme, scheme)


def _hash(parts: Iterable[str]) -> int:
    return hash("\x1f".join(parts)) & 0xFFFF_FFFF_FFFF_FFFF


class _Gathered:
    """What is kept of sentences that pass by: counts, and 28 bytes a sentence."""

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.lengths: Counter[int] = Counter()
        self.tags: Counter[str] = Counter()
        self.faults = Repetition()
        self.entities = array("Q")
        self._tokens, self._tags, self._lines, self._sizes = array("Q"), array("Q"), array("Q"), array("L")

    def passing(self, converted: Iterable[Sentence], written: Iterable[Sentence]) -> Iterator[Sentence]:
        """The converted sentences, noted as they pass; faults are those of the tags as written."""
        for sentence, original in zip(converted, written, strict=True):
            self._note(sentence, original)
            yield sentence

    def _note(self, sentence: Sentence, original: Sentence) -> None:
        self.lengths[len(sentence.tokens)] += 1
        self.tags.update(sentence.tags)
        for position in illegal_positions(original.tags, self.scheme):
            self.faults.add(original.line_of(position))
        self._tokens.append(_hash(sentence.tokens))
        self._tags.append(_hash(sentence.tags))
        self._lines.append(sentence.line)
        self._sizes.append(len(sentence.tokens))
        if self.scheme != PLAIN:
            for start, end, label in spans(original.tags, self.scheme):
                self.entities.append(_hash([*sentence.tokens[start:end], type_name(label)]))

    def long_hashes(self) -> Hashes:
        """The hashes of the sentences that are not short."""
        return np.frombuffer(self._tokens, np.uint64)[self._long()]

    def _long(self) -> NDArray[np.bool_]:
        return np.frombuffer(self._sizes, np.dtype("L")) > SHORT

    def repetitions(self) -> tuple[Repetition, Repetition]:
        """Sentences that are not short and occur before: with the same tags, and with others."""
        long = self._long()
        tokens, tags, lines = (
            np.frombuffer(x, np.uint64)[long] for x in (self._tokens, self._tags, self._lines)
        )
        order = np.argsort(tokens, kind="stable")
        tokens, tags, lines = tokens[order], tags[order], lines[order]
        same = np.flatnonzero(tokens[1:] == tokens[:-1]) + 1
        repeated, contradictory = Repetition(), Repetition()
        for kind, chosen in (
            (repeated, same[tags[same] == tags[same - 1]]),
            (contradictory, same[tags[same] != tags[same - 1]]),
        ):
            kind.count = len(chosen)
            kind.lines = sorted(lines[chosen].tolist())[:_LISTED]
        return repeated, contradictory
