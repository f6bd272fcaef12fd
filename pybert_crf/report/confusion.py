"""Which entities are taken for which: a sentence's gold and predicted entities, paired by their places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pybert_crf.text.tagging.entity_spans import Span
from pybert_crf.text.tagging.schemes import type_name

KINDS = ("correct", "type", "boundaries", "both", "missed", "spurious")
"""What can become of an entity: found; found with another type, with other boundaries, with both; not found;
found where none is."""

Pair = tuple[Span | None, Span | None]


def pairs(gold: Sequence[Span], predicted: Sequence[Span]) -> list[Pair]:
    """Each gold entity with the predicted one that stands for it, one to one; None if there is none.

    Entities with the same boundaries are paired first, and of the rest those that overlap, in the order of
    the units that they share, most first. Equal ones are paired from the left.
    """
    ranked = sorted(
        ((_rank(g, p), i, j) for i, g in enumerate(gold) for j, p in _overlapping(g, predicted)),
        key=lambda each: (-each[0], *each[1:]),
    )
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in ranked:
        if i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
    found: list[Pair] = [(g, predicted[partner[i]] if i in partner else None) for i, g in enumerate(gold)]
    return found + [(None, p) for j, p in enumerate(predicted) if j not in taken]


def _overlapping(span: Span, others: Sequence[Span]) -> Iterable[tuple[int, Span]]:
    return ((j, o) for j, o in enumerate(others) if o.start < span.end and span.start < o.end)


def _rank(one: Span, other: Span) -> float:
    if one[:2] == other[:2]:
        return float("inf")
    return min(one.end, other.end) - max(one.start, other.start)


def kind(gold: Span | None, predicted: Span | None) -> str:
    """The one of `KINDS` that a pair is."""
    if gold is None:
        return "spurious"
    if predicted is None:
        return "missed"
    same_place, same_type = gold[:2] == predicted[:2], gold.label == predicted.label
    if same_place:
        return "correct" if same_type else "type"
    return "boundaries" if same_type else "both"


@dataclass
class Confusion:
    """Counts of pairs.

    Attributes:
        cells: by gold and predicted type; ``None`` stands for no entity.
        kinds: by `KINDS`.
    """

    cells: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, found: Iterable[Pair]) -> None:
        """Count the pairs of a sentence."""
        for gold, predicted in found:
            names = (each and type_name(each.label) for each in (gold, predicted))
            self.cells[tuple(names)] += 1  # type: ignore[index]
            self.kinds[kind(gold, predicted)] += 1

    def types(self) -> list[str]:
        """All types, the most frequent first."""
        often: Counter[str] = Counter()
        for cell, count in self.cells.items():
            often.update({name: count for name in set(cell) if name is not None})
        return [name for name, _ in sorted(often.items(), key=lambda each: (-each[1], each[0]))]
