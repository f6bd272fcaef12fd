"""The tags that say that just these entities stand in a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pybert_crf.annotation.entities import Entity
from pybert_crf.reading import listed, quoted
from pybert_crf.text.tagging.entity_spans import Span, tags_from_spans
from pybert_crf.text.tagging.schemes import PLAIN, role, type_name


def tags_of_entities(
    entities: Iterable[Entity | tuple[int, int, str]],
    text: str,
    offsets: Sequence[tuple[int, int]],
    unit: str,
    labels: Sequence[str],
    scheme: str,
) -> list[str]:
    """A tag for each unit of a text.

    Args:
        entities: entities, or the half-open characters and the type of each.
        text: the text.
        offsets: the characters of its units.
        unit: what they are, ``"char"`` or ``"word"``.
        labels: the tags that a tagger has.
        scheme: their scheme.

    Raises:
        ValueError: an entity whose ends are not those of units, that overlaps another, or of a type that the
            tagger does not have; names it.
    """
    begins = {begin: number for number, (begin, _) in enumerate(offsets)}
    ends = {end: number + 1 for number, (_, end) in enumerate(offsets)}
    kinds = {type_name(kind): kind for tag in labels if (kind := role(tag, scheme)[1])}
    spans = []
    for each in entities:
        begin, end, label = each if isinstance(each, tuple) else (each.start, each.end, each.label)
        told = f"{label} at {begin}:{end} ({quoted(text[begin:end])})"
        if begin not in begins or end not in ends or begin >= end:
            raise ValueError(f"{told} does not begin and end with {unit}s of the text")
        if label not in kinds:
            raise ValueError(f"{told}: the tagger has no such type, but {listed(sorted(kinds))}")
        spans.append(Span(begins[begin], ends[end], kinds[label]))
    if scheme != PLAIN:
        tags = tags_from_spans(spans, len(offsets), scheme)
    else:
        tags = [label for start, end, label in sorted(spans) for _ in range(start, end)]
        if len(tags) != len(offsets):
            raise ValueError(f"{len(tags)} plain tags are given for {len(offsets)} {unit}s")
    missing = sorted(set(tags) - set(labels))
    if missing:
        raise ValueError(f"the tagger has no tag {listed(missing)}, which these entities take")
    return tags
