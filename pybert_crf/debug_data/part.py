"""The facts of one file, gathered in one pass: a corpus of any size is never held."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

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

_LISTED = 5  # places that are named of each kind of fault

Hashes = NDArray[np.uint64]


class Place(NamedTuple):
    """A line, and the file in which it is if that is not the part's own (see `Sentence.file`)."""

    file: str | None
    line: int


@dataclass
class Repetition:
    """How many sentences there are of a kind, and the places of the first."""

    count: int = 0
    places: list[Place] = field(default_factory=list)

    def add(self, sentence: Sentence, position: int) -> None:
        """Count one more, at a position in a sentence."""
        self.count += 1
        if len(self.places) < _LISTED:
            self.places.append(Place(sentence.file, sentence.line_of(position)))


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
        several: of a corpus by character, tokens of several code points, as emoji sequences are.
        longest: where the longest sentence begins.
        sentences: distinct hashes of all sentences that are not short, sorted.
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
    several: Repetition
    longest: Place
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
        gathered = _Gathered(corpus.scheme, unit)
        sizes = Statistics.of(gathered.passing(corpus, scheme), scheme)
        distinct, repeated, contradictory = gathered.repetitions()
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
            several=gathered.several,
            longest=gathered.longest,
            sentences=distinct,
            mentions=np.frombuffer(gathered.entities, np.uint64),
        )


def _hash(parts: Iterable[str]) -> int:
    return hash("\x1f".join(parts)) & 0xFFFF_FFFF_FFFF_FFFF


class _Gathered:
    """What is kept of sentences that pass by: counts, 20 bytes a sentence that is not short, 8 an entity."""

    def __init__(self, scheme: str, unit: str) -> None:
        self.scheme, self.unit = scheme, unit
        self.several = Repetition()
        self.longest, self._most_units = Place(None, 0), 0
        self.lengths: Counter[int] = Counter()
        self.tags: Counter[str] = Counter()
        self.faults = Repetition()
        self.entities = array("Q")
        self._tokens, self._tags, self._lines, self._files = array("Q"), array("I"), array("I"), array("I")
        self._file_numbers: dict[str | None, int] = {}

    def passing(self, corpus: Corpus | CorpusStream, scheme: str) -> Iterator[Sentence]:
        """The sentences in `scheme`, noted as they pass; faults are those of the tags as written."""
        for original in corpus.sentences:
            sentence = in_scheme(original, corpus.path, corpus.scheme, scheme)
            self._note(sentence, original)
            yield sentence

    def _note(self, sentence: Sentence, original: Sentence) -> None:
        self.lengths[len(sentence.tokens)] += 1
        if len(sentence.tokens) > self._most_units:
            self._most_units, self.longest = len(sentence.tokens), Place(original.file, original.line)
        self.tags.update(sentence.tags)
        for position in illegal_positions(original.tags, self.scheme):
            self.faults.add(original, position)
        if self.unit == "char":
            for position, token in enumerate(sentence.tokens):
                if len(token) > 1:
                    self.several.add(original, position)
        if len(sentence.tokens) > SHORT:
            self._tokens.append(_hash(sentence.tokens))
            self._tags.append(_hash(sentence.tags) & 0xFFFF_FFFF)
            self._lines.append(sentence.line)
            self._files.append(self._file_numbers.setdefault(original.file, len(self._file_numbers)))
        if self.scheme != PLAIN:
            for start, end, label in spans(original.tags, self.scheme):
                self.entities.append(_hash([*sentence.tokens[start:end], type_name(label)]))

    def repetitions(self) -> tuple[Hashes, Repetition, Repetition]:
        """The distinct hashes of sentences that are not short, and those that occur before.

        The latter with the same tags, and with others.
        """
        tokens = np.frombuffer(self._tokens, np.uint64)
        order = np.argsort(tokens, kind="stable")  # in the order of the file where they are equal
        tokens = tokens[order]
        is_same = tokens[1:] == tokens[:-1]
        same = np.flatnonzero(is_same) + 1
        tags = np.frombuffer(self._tags, np.uint32)
        alike = tags[order[same]] == tags[order[same - 1]]
        distinct = tokens[np.concatenate([np.ones(min(1, len(tokens)), bool), ~is_same])]
        return distinct, self._repetition(order[same[alike]]), self._repetition(order[same[~alike]])

    def _repetition(self, numbers: NDArray[np.intp]) -> Repetition:
        """Of sentences by their numbers, among those that are not short."""
        files = list(self._file_numbers)
        first = np.sort(numbers)[:_LISTED].tolist()
        return Repetition(len(numbers), [Place(files[self._files[n]], self._lines[n]) for n in first])
