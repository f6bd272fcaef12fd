"""Sentences with their gold and predicted entities marked."""

from __future__ import annotations

from collections.abc import Sequence

from pybert_crf.report.analysis import Judged
from pybert_crf.report.words import Words
from pybert_crf.text.tagging.entity_spans import Span
from pybert_crf.text.tagging.schemes import type_name
from pybert_crf.web_page import Html, element

LONGEST = 400
"""Characters of a sentence that are shown at the most."""

_BEFORE = 80  # characters shown before the first error of a longer sentence


def sentence(judged: Judged, words: Words) -> Html:
    """A sentence: its place, and two lines, with the gold entities and with the predicted ones."""
    cut = _excerpt(judged)
    gold, predicted = set(judged.gold), set(judged.predicted)
    scores = dict(zip(judged.predicted, judged.scores, strict=True))
    told = f"{judged.place} · {words('n_errors', count=judged.errors)}"
    lines = (("gold", judged.gold, predicted), ("found", judged.predicted, gold))
    rows = (
        element(
            "div",
            element("span", words(key), class_="lead"),
            element("bdi", *_marked(judged, spans, other, scores, cut)),
        )
        for key, spans, other in lines
    )
    return element("div", element("small", told), *rows, class_="text")


def _excerpt(judged: Judged) -> tuple[int, int]:
    """The characters to show: all, or those from shortly before the first error."""
    if len(judged.text) <= LONGEST:
        return 0, len(judged.text)
    wrong = set(judged.gold) ^ set(judged.predicted) or set(judged.predicted)
    first = judged.offsets[min(span.start for span in wrong)][0] if wrong else 0
    begin = max(0, min(first - _BEFORE, len(judged.text) - LONGEST))
    return begin, begin + LONGEST


def _marked(
    judged: Judged,
    spans: Sequence[Span],
    other: set[Span],
    scores: dict[Span, float],
    cut: tuple[int, int],
) -> list[Html | str]:
    """The text within `cut`, with `spans` marked; dashed if they are not among the `other` ones."""
    begin, end = cut
    shown: list[Html | str] = ["…"] if begin else []
    at = begin
    is_gold = spans is judged.gold
    for span in spans:
        first, last = judged.offsets[span.start][0], judged.offsets[span.end - 1][1]
        start, stop = max(first, begin), min(last, end)
        if start >= stop:
            continue
        label = type_name(span.label)
        if not is_gold:
            label += f" {scores[span]:.2f}" if span in scores else ""
        name = "right" if span in other else "wrong"
        shown += [
            judged.text[at:start],
            element(
                "mark", element("bdi", judged.text[start:stop]), element("small", f" {label}"), class_=name
            ),
        ]
        at = stop
    return [*shown, judged.text[at:end], *(["…"] if end < len(judged.text) else [])]
