"""What is wrong with a corpus, or worth knowing, told from the facts of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from pybert_crf.debug_data.part import Hashes, Part, Place, Repetition
from pybert_crf.debug_data.pieces import Pieces
from pybert_crf.reading import listed
from pybert_crf.text.corpora.corpus import CUT_ALIKE
from pybert_crf.text.tagging.schemes import OUTSIDE, PLAIN

ERROR, WARNING, NOTE = "error", "warning", "note"

_RARE = 10  # entities of a type, too few to learn it
_LONG = 5000  # units of a sentence that is probably several


class Finding(NamedTuple):
    """One finding.

    Attributes:
        level: ``"error"``: training would go wrong; ``"warning"``: look at it; ``"note"``.
        part: whose it is.
        text: in words.
    """

    level: str
    part: str
    text: str


def findings(parts: Sequence[Part], pieces: Mapping[str, Pieces]) -> list[Finding]:
    """The findings about each part, and about the later ones held against the first, which is trained on."""
    found = [finding for part in parts for finding in _alone(part)]
    found += [
        finding for part in parts if part.name in pieces for finding in _pieces(part, pieces[part.name])
    ]
    train, *others = parts
    found += _trained_on(train)
    for other in others:
        found += _compared(train, other)
    return sorted(found, key=lambda finding: (ERROR, WARNING, NOTE).index(finding.level))


def _alone(part: Part) -> Iterator[Finding]:
    sentences = max(1, part.sizes.sentences)
    if part.faults.count:
        yield Finding(WARNING, part.name, f"{_many(part.faults, 'tag')} illegal in {part.scheme}")
    if part.contradictory.count:
        level = ERROR if part.contradictory.count > 0.01 * sentences else WARNING
        told = f"{_many(part.contradictory, 'sentence')} repeated with other tags: which are right?"
        yield Finding(level, part.name, told)
    if part.repeated.count:
        level = WARNING if part.repeated.count > 0.05 * sentences else NOTE
        yield Finding(level, part.name, f"{_many(part.repeated, 'sentence')} repeated, with the same tags")
    if part.several.count:
        told = f"{_many(part.several, 'token')} of several characters, as emoji sequences"
        yield Finding(NOTE, part.name, f"{told}: raw text is cut into single ones")
    if part.sizes.longest >= _LONG:
        told = f"a sentence of {part.sizes.longest:,} units at {_named([part.longest])}"
        yield Finding(WARNING, part.name, f"{told}: is what ends a sentence missing?")


def _trained_on(train: Part) -> Iterator[Finding]:
    if train.cut_alike < CUT_ALIKE:
        share = f"{1 - train.cut_alike:.1%}"
        told = f"the raw text of {share} of its sentences is not cut into their {train.unit}s"
        yield Finding(WARNING, train.name, f"{told}: predict sees other ones, unless given columns")
    if len(train.tags) == 1:
        yield Finding(ERROR, train.name, f"all units have the one tag {next(iter(train.tags))!r}")
    elif train.scheme != PLAIN and not train.sizes.entities:
        yield Finding(ERROR, train.name, "no entity to learn from")
    rare = [f"{kind} ({count})" for kind, count in train.sizes.entities.items() if count < _RARE]
    if rare:
        yield Finding(NOTE, train.name, f"seen less than {_RARE} times, too rarely to learn: {listed(rare)}")


def _compared(train: Part, other: Part) -> Iterator[Finding]:
    if other.unit != train.unit:
        told = f"looks tagged by {other.unit}, but {train.name} by {train.unit}: --unit settles it"
        yield Finding(WARNING, other.name, told)
    if train.sizes.entities and not other.sizes.entities:
        yield Finding(WARNING, other.name, "no entity")
    unseen = sorted(set(other.tags) - set(train.tags) - {OUTSIDE})
    if unseen:
        told = f"tags that {train.name} never shows, so they cannot be found: {listed(unseen)}"
        yield Finding(WARNING, other.name, told)
    if len(other.sentences):
        shared = int(np.isin(other.sentences, train.sentences, assume_unique=True).sum())
        share = shared / len(other.sentences)
        level = ERROR if share > 0.1 else WARNING if share > 0.01 else NOTE
        if shared:
            told = f"{shared:,} of its {len(other.sentences):,} different sentences ({share:.1%})"
            yield Finding(level, other.name, f"{told} stand in {train.name} too: figures will flatter")
    if len(other.mentions):
        known = _share(other.mentions, train.mentions)
        yield Finding(
            NOTE, other.name, f"{known:.1%} of its entities stand in {train.name}, by text and type"
        )


def _share(mentions: Hashes, known: Hashes) -> float:
    return float(np.isin(mentions, np.unique(known)).mean())


def _pieces(part: Part, pieces: Pieces) -> Iterator[Finding]:
    share = pieces.unknown / max(1, pieces.units)
    if share > 0.001:
        level = ERROR if share > 0.1 else WARNING if share > 0.01 else NOTE
        told = f"{share:.1%} of its {part.unit}s are unknown to the vocabulary: {listed(pieces.frequent)}"
        yield Finding(level, part.name, told)
    if pieces.windowed:
        told = f"{pieces.windowed:,} sentences are longer than a window and are read in overlapping ones"
        yield Finding(NOTE, part.name, f"{told}; {pieces.split:,} entities are taken from two windows")


def _many(repetition: Repetition, what: str) -> str:
    """``3 tags (lines 5, 9, 12) are``."""
    several = repetition.count != 1
    more = ", …" if repetition.count > len(repetition.places) else ""
    places = f" ({_named(repetition.places)}{more})" if any(p.line for p in repetition.places) else ""
    return f"{repetition.count:,} {what}{'s' if several else ''}{places} {'are' if several else 'is'}"


def _named(places: Sequence[Place]) -> str:
    """``lines 5, 9, 12``, or by file where there are several: ``a.txt: lines 5, 9; b.txt: line 12``."""
    told = []
    for file, group in groupby(places, key=lambda place: place.file):
        lines = [str(place.line) for place in group]
        told.append(f"{file}: " * (file is not None) + f"line{'s' * (len(lines) > 1)} {', '.join(lines)}")
    return "; ".join(told)


def worst(found: Iterable[Finding]) -> str:
    """The highest level among findings; ``"note"`` if there are none."""
    levels = {finding.level for finding in found}
    return next((level for level in (ERROR, WARNING) if level in levels), NOTE)
