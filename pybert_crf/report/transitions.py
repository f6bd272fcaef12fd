"""A tagger's transition scores as plain numbers."""

from __future__ import annotations

from typing import NamedTuple

from pybert_crf.taggers.ensemble import Ensemble
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.schemes import OUTSIDE, PLAIN, is_legal


class Transitions(NamedTuple):
    """Scores of a CRF, None where the scheme forbids the transition.

    Attributes:
        labels: the K tags.
        start, end: K scores each.
        table: K rows of K scores; at [i][j] that of tag j after tag i.
    """

    labels: tuple[str, ...]
    start: list[float | None]
    end: list[float | None]
    table: list[list[float | None]]


def transitions_of(tagger: Tagger) -> Transitions | None:
    """The scores of a tagger's CRF; None of an ensemble, whose members have one each."""
    if isinstance(tagger, Ensemble):
        return None
    crf, labels, scheme = tagger.model.crf, tagger.labels, tagger.scheme
    start, end = crf.start_transitions.tolist(), crf.end_transitions.tolist()
    table = crf.transitions.tolist()

    def legal(score: float, before: str, after: str) -> float | None:
        return score if scheme == PLAIN or is_legal(before, after, scheme) else None

    return Transitions(
        labels,
        [legal(score, OUTSIDE, label) for score, label in zip(start, labels, strict=True)],
        [legal(score, label, OUTSIDE) for score, label in zip(end, labels, strict=True)],
        [
            [legal(score, before, after) for score, after in zip(row, labels, strict=True)]
            for row, before in zip(table, labels, strict=True)
        ],
    )
