"""A text cut into its sentences to be tagged one by one, and what was found put together again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from pybert_crf.annotation.entities import Tagging
from pybert_crf.annotation.sentence_reader import Offsets
from pybert_crf.text.sentences import sentence_ends
from pybert_crf.text.tagging.entity_spans import Span, tags_from_spans
from pybert_crf.text.tagging.schemes import PLAIN


def cut(text: str, offsets: Offsets) -> Iterator[tuple[str, Offsets]]:
    """The sentences of a text that have units, each with the characters of its units in itself."""
    starts = [start for start, _ in offsets]
    first = 0
    for end in sentence_ends(text):
        after = bisect_left(starts, end, lo=first)
        if after > first:
            begin = offsets[first][0]
            own = [(a - begin, b - begin) for a, b in offsets[first:after]]
            yield text[begin : offsets[after - 1][1]], own
            first = after


def joined(taggings: Sequence[Tagging], scheme: str) -> Tagging:
    """The tagging of a text from those of its sentences, in order."""
    if len(taggings) == 1:
        return taggings[0]
    tags: list[str] = []
    spans: list[Span] = []
    scores: list[float] = []
    log_probability: float | None = 0.0
    for each in taggings:
        spans += [Span(start + len(tags), end + len(tags), label) for start, end, label in each.spans]
        tags += each.tags
        scores += each.scores
        known = log_probability is not None and each.log_probability is not None
        log_probability = log_probability + each.log_probability if known else None  # type: ignore[operator]
    if scheme != PLAIN:  # in IOB1 and IOE1 a tag also says what its neighbour is
        tags = tags_from_spans(spans, len(tags), scheme)
    return Tagging(tags, spans, scores, log_probability)
