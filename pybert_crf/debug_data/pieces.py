"""What the tokenizer of a model makes of a corpus: pieces, unknown units, windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from pybert_crf.text.corpora import Sentence
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.windows import place, plan_windows, usual_overlap


@dataclass(frozen=True)
class Pieces:
    """Counts over the first sentences of a part.

    Attributes:
        units, pieces: their numbers.
        unknown, frequent: units whose first piece the vocabulary lacks, and the most frequent of them.
        longest: pieces of the longest sentence.
        windowed: sentences that are longer than one window.
        split: entities whose units are taken from two windows.
    """

    units: int
    pieces: int
    unknown: int
    frequent: list[str]
    longest: int
    windowed: int
    split: int


def count_pieces(
    sentences: Iterable[Sentence], scheme: str, tokenizer: UnitTokenizer, positions: int
) -> Pieces:
    """The counts of these sentences, with an encoder of so many positions."""
    units = pieces = longest = windowed = split = 0
    unknown: Counter[str] = Counter()
    capacity = positions - len(tokenizer.before) - len(tokenizer.after)
    for sentence in sentences:
        encoded = tokenizer.encode(sentence.tokens)
        units += len(sentence.tokens)
        pieces += len(encoded.ids)
        longest = max(longest, len(encoded.ids))
        for token, first in zip(sentence.tokens, encoded.first, strict=True):
            if encoded.ids[first] == tokenizer.unk_id:
                unknown[token] += 1
        if len(encoded.ids) > capacity:
            windowed += 1
            windows = plan_windows(len(encoded.ids), capacity, usual_overlap(capacity))
            taken = [window for window, _ in place(encoded.first, windows)]
            changes = {i for i, (a, b) in enumerate(pairwise(taken), 1) if a != b}
            split += sum(
                any(start < i < end for i in changes) for start, end, _ in spans(sentence.tags, scheme)
            )
    frequent = [token[:20] for token, _ in unknown.most_common(10)]
    return Pieces(units, pieces, unknown.total(), frequent, longest, windowed, split)
