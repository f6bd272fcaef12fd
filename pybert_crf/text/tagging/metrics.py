"""Entity precision, recall and F1: a predicted entity is correct if its type and both its ends are.

Every report has both readings of the tags: conlleval's (lenient; the main figure, as in the literature) and
strict. The figures agree with seqeval's; a division by zero gives 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pybert_crf.text.tagging.entity_spans import Span, spans
from pybert_crf.text.tagging.schemes import PLAIN, type_name

READINGS = ("conlleval", "strict")


@dataclass(frozen=True)
class Score:
    """One row of a report; `support`, `predicted` and `correct` are numbers of entities."""

    precision: float
    recall: float
    f1: float
    support: int
    predicted: int
    correct: int

    @classmethod
    def of(cls, support: int, predicted: int, correct: int) -> Score:
        """Precision = correct / predicted, recall = correct / support, F1 is their harmonic mean."""
        precision, recall = _ratio(correct, predicted), _ratio(correct, support)
        return cls(
            precision, recall, _ratio(2 * precision * recall, precision + recall), support, predicted, correct
        )


@dataclass(frozen=True)
class Scores:
    """The scores of one reading: of each type, micro (over all entities), macro (mean over the types)."""

    types: dict[str, Score]
    micro: Score
    macro: Score

    def rows(self) -> list[tuple[str, Score]]:
        """(name, score) in the order of printing: types in alphabetical order, then the averages."""
        return [*self.types.items(), ("micro", self.micro), ("macro", self.macro)]


@dataclass(frozen=True)
class Report:
    """The scores that `evaluate` returns, under both readings.

    Of plain tags each is an entity of one unit: the scores are those of the tags, and the micro average is
    the accuracy.

    Attributes:
        unseen: of a word segmenter, the number of words that training had not seen, and how many are found.
    """

    conlleval: Scores
    strict: Scores
    scheme: str
    unseen: tuple[int, int] | None = None

    @property
    def unseen_recall(self) -> float | None:
        """The recall of words that training had not seen."""
        return None if self.unseen is None else _ratio(self.unseen[1], self.unseen[0])

    @property
    def average_name(self) -> str:
        """What the micro average is."""
        return "accuracy" if self.scheme == PLAIN else "micro"

    @property
    def f1(self) -> float:
        """Micro-averaged F1 under conlleval's reading: the figure that papers report."""
        return self.conlleval.micro.f1

    def to_dict(self) -> dict[str, Any]:
        """Dicts and numbers for JSON: reading → types / micro / macro → figure."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str, Score]]:
        """(reading, name, score), conlleval first."""
        return [(reading, *row) for reading in READINGS for row in getattr(self, reading).rows()]


def evaluate(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str) -> Report:
    """Score predicted tags against gold tags.

    Args:
        gold, predicted: one sequence of tags for each sentence, both in `scheme`.
        scheme: one of `schemes.SCHEMES`.

    Raises:
        ValueError: the numbers of sentences, or the lengths of a sentence, differ (the message names the
            sentence); or a tag is not one of the scheme's.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold sentences, but {len(predicted)} predicted ones")
    for number, (expected, given) in enumerate(zip(gold, predicted, strict=True)):
        if len(expected) != len(given):
            raise ValueError(f"sentence {number}: {len(expected)} gold tags, but {len(given)} predicted ones")
    return Report(
        conlleval=_scores(_entities(gold, scheme, False), _entities(predicted, scheme, False)),
        strict=_scores(_entities(gold, scheme, True), _entities(predicted, scheme, True)),
        scheme=scheme,
    )


def _entities(sentences: Iterable[Sequence[str]], scheme: str, strict: bool) -> set[tuple[int, Span]]:
    return {(number, span) for number, tags in enumerate(sentences) for span in spans(tags, scheme, strict)}


def _scores(gold: set[tuple[int, Span]], predicted: set[tuple[int, Span]]) -> Scores:
    support, proposed, correct = (
        Counter(span.label for _, span in entities) for entities in (gold, predicted, gold & predicted)
    )
    types = {
        type_name(label): Score.of(support[label], proposed[label], correct[label])
        for label in sorted(support | proposed)
    }
    totals = support.total(), proposed.total(), correct.total()
    macro = Score(
        precision=_mean([score.precision for score in types.values()]),
        recall=_mean([score.recall for score in types.values()]),
        f1=_mean([score.f1 for score in types.values()]),
        support=totals[0],
        predicted=totals[1],
        correct=totals[2],
    )
    return Scores(types, Score.of(*totals), macro)


def _mean(values: list[float]) -> float:
    return _ratio(sum(values), len(values))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0
