"""What a tagger did on a corpus: figures, confusion, calibration, and the sentences that went worst."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from pybert_crf.annotation.annotator import Annotator
from pybert_crf.annotation.examples import make_example
from pybert_crf.evaluation import TaggedCorpus
from pybert_crf.report.calibration import Bin, bins_of
from pybert_crf.report.confusion import Confusion, pairs
from pybert_crf.text.tagging.entity_spans import Span, spans
from pybert_crf.text.tagging.metrics import Report

WRONG, UNCERTAIN = 30, 10
"""Sentences shown at the most: wrong ones, and right ones with an entity of a low score."""


class Judged(NamedTuple):
    """A sentence and what was found in it.

    Attributes:
        place: its file and line.
        text, offsets: the text, and the half-open characters of each unit.
        gold, predicted: entities, in order; `scores` are those of the predicted ones.
        errors: gold entities that were not found just so, and predicted ones that are not gold.
    """

    place: str
    text: str
    offsets: list[tuple[int, int]]
    gold: list[Span]
    predicted: list[Span]
    scores: list[float]
    errors: int

    @property
    def lowest(self) -> float:
        """The lowest score; 1 if nothing is predicted."""
        return min(self.scores, default=1.0)


@dataclass(frozen=True)
class Analysis:
    """The analysis of one part.

    Attributes:
        report: its figures.
        confusion: of entities, by type and by kind of error.
        bins: of the predicted entities, by score.
        uncalibrated: the same at temperature 1, if the tagger has another one and they are known.
        lengths: sentences by their number of units.
        windows: sentences by the number of windows in which the encoder read them.
        wrong: the sentences with most errors, and of equal ones those of lowest score.
        uncertain: the sentences without errors whose entities have the lowest scores.
        wrong_in_all: number of sentences with errors, shown or not.
    """

    report: Report
    confusion: Confusion
    bins: list[Bin]
    uncalibrated: list[Bin] | None
    lengths: Counter[int]
    windows: Counter[int]
    wrong: list[Judged]
    uncertain: list[Judged]
    wrong_in_all: int

    @property
    def sentences(self) -> int:
        """Number of sentences."""
        return self.lengths.total()


def analyse(tagger: Annotator, tagged: TaggedCorpus, uncalibrated: list[Bin] | None = None) -> Analysis:
    """Compare gold and predicted entities, read as conlleval reads them, sentence by sentence.

    Args:
        tagger: by which the corpus was tagged, with scores.
        tagged: the corpus and what was found.
        uncalibrated: see `Analysis`.
    """
    confusion, judged = Confusion(), []
    windows: Counter[int] = Counter()
    corpus = tagged.corpus
    for sentence, tagging in zip(corpus.sentences, tagged.taggings, strict=True):
        gold = spans(sentence.tags, corpus.scheme)
        found = pairs(gold, tagging.spans)
        confusion.add(found)
        known = set(gold)
        right = [span in known for span in tagging.spans]
        text, offsets = sentence.located(tagger.unit)
        errors = len(known) + len(right) - 2 * sum(right)
        place = corpus.place(sentence)
        judged.append(Judged(place, text, offsets, gold, tagging.spans, tagging.scores, errors))
        windows[len(make_example(tagger.tokenizer.encode(sentence.tokens), tagger.layout).windows)] += 1
    wrong = [each for each in judged if each.errors]
    unsure = (each for each in judged if not each.errors and each.scores)
    return Analysis(
        report=tagged.report(tagger.words),
        confusion=confusion,
        bins=bins_of(tagged),
        uncalibrated=uncalibrated,
        lengths=Counter(len(sentence.tokens) for sentence in corpus.sentences),
        windows=windows,
        wrong=heapq.nsmallest(WRONG, wrong, key=lambda each: (-each.errors, each.lowest)),
        uncertain=heapq.nsmallest(UNCERTAIN, unsure, key=lambda each: each.lowest),
        wrong_in_all=len(wrong),
    )
