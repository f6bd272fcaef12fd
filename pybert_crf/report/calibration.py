"""Whether entities are as often right as their scores say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pybert_crf.evaluation import TaggedCorpus
from pybert_crf.text.tagging.entity_spans import spans

BINS = 10


class Bin(NamedTuple):
    """Entities with scores from `low` to below `high`: how many, their mean score, how many are right."""

    low: float
    high: float
    size: int
    mean: float
    correct: int

    @property
    def share(self) -> float:
        """The share of right ones."""
        return self.correct / self.size


def bins(scored: Iterable[tuple[float, bool]]) -> list[Bin]:
    """The bins of equal width that are not empty; an entity is given by its score and whether it is right.

    A score of 1 is in the last one.
    """
    filled: dict[int, list[tuple[float, bool]]] = {}
    for score, right in scored:
        filled.setdefault(min(max(int(score * BINS), 0), BINS - 1), []).append((score, right))
    return [
        Bin(
            i / BINS,
            (i + 1) / BINS,
            len(members),
            sum(score for score, _ in members) / len(members),
            sum(right for _, right in members),
        )
        for i, members in sorted(filled.items())
    ]


def bins_of(tagged: TaggedCorpus) -> list[Bin]:
    """The bins of what a tagger found in a corpus, with scores."""
    found = zip(tagged.corpus.sentences, tagged.taggings, strict=True)
    gold = ((set(spans(sentence.tags, tagged.corpus.scheme)), tagging) for sentence, tagging in found)
    return bins(
        (score, span in right)
        for right, tagging in gold
        for span, score in zip(tagging.spans, tagging.scores, strict=True)
    )


def calibration_error(of: list[Bin]) -> float | None:
    """Expected calibration error (Guo et al., 2017, equation 3); None without entities.

    The mean distance, over all entities, between the mean score of a bin and its share of right ones.
    """
    total = sum(each.size for each in of)
    if not total:
        return None
    return sum(each.size * abs(each.share - each.mean) for each in of) / total
