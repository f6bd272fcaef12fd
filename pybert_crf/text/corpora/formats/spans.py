"""Texts with entities as character spans, and the tagged units that they become."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

from pybert_crf.reading import quoted
from pybert_crf.text.corpora.corpus import Sentence
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError
from pybert_crf.text.tagging.schemes import OUTSIDE
from pybert_crf.text.units import detect_unit, split_units


class Entity(NamedTuple):
    """An entity as a file gives it.

    Attributes:
        start, end: as written, in a convention to be found out.
        label: its type.
        surface: its characters, if the file gives them.
    """

    start: int
    end: int
    label: str
    surface: str | None = None


class Record(NamedTuple):
    """A text and its entities, the line that they stand in, and the name of its document, if it has one."""

    text: str
    entities: list[Entity]
    line: int
    document: str = ""


class Convention(NamedTuple):
    """What the ends and offsets of a file mean, in words and as half-open code points."""

    words: str
    place: Callable[[str, int, int], tuple[int, int]]


def _from_utf16(text: str, offset: int) -> int:
    """The code point at an offset in UTF-16 units."""
    units = text.encode("utf-16-le")
    return len(units[: 2 * offset].decode("utf-16-le", errors="ignore"))


CONVENTIONS = (
    Convention("half-open character offsets", lambda text, start, end: (start, end)),
    Convention("inclusive ends", lambda text, start, end: (start, end + 1)),
    Convention(
        "half-open offsets in UTF-16 units",
        lambda text, start, end: (_from_utf16(text, start), _from_utf16(text, end)),
    ),
)


def find_convention(
    records: Iterable[Record], name: str, conventions: Sequence[Convention] = CONVENTIONS
) -> Convention:
    """The first convention by which every span has its surface; without surfaces, the first.

    Raises:
        CorpusError: a span fits no convention, or not the one that most others fit; by its line.
    """
    known = 0
    faults = [0] * len(conventions)
    first: list[tuple[Record, Entity] | None] = [None] * len(conventions)
    for record in records:
        for entity in record.entities:
            known += entity.surface is not None
            for i, convention in enumerate(conventions):
                if entity.surface is not None and not _fits(record, entity, convention):
                    faults[i] += 1
                    first[i] = first[i] or (record, entity)
    best = faults.index(min(faults))
    fault = first[best]
    if fault is not None:
        record, entity = fault
        given = f"{quoted(entity.start)} to {quoted(entity.end)}"
        told = f"the span {given} does not hold {quoted(entity.surface)}"
        by = f" by {conventions[best].words}, as the others do" if faults[best] < known else ""
        raise CorpusError(name, record.line, told + by)
    return conventions[best]


def _fits(record: Record, entity: Entity, convention: Convention) -> bool:
    start, end = convention.place(record.text, entity.start, entity.end)
    return end <= len(record.text) and record.text[start:end] == entity.surface


def unit_of(records: Iterable[Record], habits: Habits) -> str:
    """``"char"`` or ``"word"``: what carries a tag in these texts, found out from the first if not known."""
    if habits.unit != "auto":
        return habits.unit
    texts = (record.text for record in islice(records, _SAMPLE))
    return detect_unit([text[a:b] for a, b in split_units(text, "word")] for text in texts)


_SAMPLE = 10_000  # texts by which the unit is found out


def told_changes(readers: Sequence[SpanReader]) -> list[str]:
    """What these readers changed, in words."""
    left_out, cut = sum(each.left_out for each in readers), sum(each.cut for each in readers)
    told = [f"{left_out} overlapping entities left out"] if left_out else []
    return told + ([f"{cut} {readers[0].unit}s cut at the border of an entity"] if cut else [])


class SpanReader:
    """Makes tagged sentences of records, and counts what it changed.

    Args:
        unit: ``"char"`` or ``"word"``, what carries a tag.
        overlaps: ``"refuse"``, or which of two overlapping entities is kept: ``"longest"`` or ``"first"``.
    """

    def __init__(self, name: str, convention: Convention, unit: str, overlaps: str) -> None:
        self.name, self.convention, self.unit, self.overlaps = name, convention, unit, overlaps
        self.left_out = self.cut = 0

    def sentence(self, record: Record) -> Sentence:
        """The units of a text, with tags of BIO.

        Raises:
            CorpusError: a span that is not within the text or holds nothing, or overlaps another.
        """
        spans = self._without_overlaps(record, [self._span(record, entity) for entity in record.entities])
        borders = sorted({at for start, end, _ in spans for at in (start, end)})
        offsets = self._cut_at(split_units(record.text, self.unit), borders)
        tags = [OUTSIDE] * len(offsets)
        first = {start: i for i, (start, _) in enumerate(offsets)}
        for start, end, label in spans:
            i = first[start]
            tags[i] = f"B-{label}"
            while i + 1 < len(offsets) and offsets[i + 1][0] < end:
                i += 1
                tags[i] = f"I-{label}"
        tokens = [record.text[start:end] for start, end in offsets]
        return Sentence(tokens, tags, record.line, one_line=True, text=record.text, offsets=offsets)

    def _span(self, record: Record, entity: Entity) -> tuple[int, int, str]:
        start, end = self.convention.place(record.text, entity.start, entity.end)
        if not 0 <= start < end <= len(record.text):
            given = f"{quoted(entity.start)} to {quoted(entity.end)}"
            length = f"the text has {len(record.text)} characters"
            raise CorpusError(self.name, record.line, f"no span: {given}; {length}")
        surface = record.text[start:end]
        start, end = end - len(surface.lstrip()), start + len(surface.rstrip())
        if start >= end:
            raise CorpusError(self.name, record.line, f"only white space from {entity.start} to {entity.end}")
        return start, end, entity.label

    def _without_overlaps(
        self, record: Record, spans: list[tuple[int, int, str]]
    ) -> list[tuple[int, int, str]]:
        if self.overlaps == "longest":
            spans = sorted(spans, key=lambda span: span[0] - span[1])
        elif self.overlaps == "first":
            spans = sorted(spans)
        kept: list[tuple[int, int, str]] = []  # ascending
        for start, end, label in spans:
            at = bisect_left(kept, (start, end, label))
            neighbours = kept[max(0, at - 1) : at + 1]
            other = next((span for span in neighbours if span[0] < end and start < span[1]), None)
            if other is None:
                kept.insert(at, (start, end, label))
            elif self.overlaps == "refuse":
                both = f"{quoted(record.text[slice(*other[:2])])} and {quoted(record.text[start:end])}"
                told = f"the entities {both} overlap: --overlaps longest or first keeps one of them"
                raise CorpusError(self.name, record.line, told)
            else:
                self.left_out += 1
        return kept

    def _cut_at(self, offsets: list[tuple[int, int]], borders: list[int]) -> list[tuple[int, int]]:
        """The units, those around one of the ascending `borders` cut there: entities are whole units."""
        cut: list[tuple[int, int]] = []
        for start, end in offsets:
            inside = borders[bisect_right(borders, start) : bisect_left(borders, end)]
            self.cut += len(inside)
            cut += pairwise([start, *inside, end])
        return cut
