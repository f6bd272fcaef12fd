"""Results of a tagger: entities, and the annotated text that contains them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pybert_crf.annotation import rendering
from pybert_crf.text.tagging.entity_spans import Span


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity found in a text.

    Attributes:
        start, end: half-open character offsets into the text: ``text[start:end] == entity.text``.
        label: its type, such as ``"PER"``.
        text: its characters as they stand in the text.
        score: the model's probability that exactly this entity stands here (see `Tagger`), 0 to 1.
    """

    start: int
    end: int
    label: str
    text: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, for JSON."""
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = tuple(field.name for field in fields(Entity))


@dataclass(frozen=True)
class Reading:
    """One reading of a text.

    Attributes:
        tags: one for each unit.
        entities: those that the tags spell out, in order of appearance.
        probability: of just these tags for the whole text, 0 to 1.
    """

    tags: list[str]
    entities: list[Entity]
    probability: float


@dataclass(frozen=True)
class Marginals:
    """The probability of every tag at every unit of a text.

    Attributes:
        text: the text.
        offsets: half-open character offsets of its T units.
        labels: the K tags.
        probabilities: (T, K) float; each row sums to 1.
    """

    text: str
    offsets: list[tuple[int, int]]
    labels: tuple[str, ...]
    probabilities: NDArray[np.floating[Any]]

    @property
    def units(self) -> list[str]:
        """The characters or words, of a row each."""
        return [self.text[start:end] for start, end in self.offsets]


class Tagging(NamedTuple):
    """The tags of one sequence of units, and its entities as spans of units with their probabilities.

    `log_probability` is that of just these tags; None if it was not asked for.
    """

    tags: list[str]
    spans: list[Span]
    scores: list[float]
    log_probability: float | None = None


@dataclass(frozen=True)
class Annotation:
    """A text cut into units, with a tag for each unit and the entities that the tags spell out.

    Attributes:
        text: the input; for a sequence of tokens, the tokens joined (with a space if they are words).
        offsets: half-open character offsets of each unit in `text`.
        tags: one for each unit.
        entities: in order of appearance.
        log_probability: natural logarithm of the probability of the best reading of the whole text, whose
            tags these are (unless `min_score` has left out some); None if it was not asked for.
    """

    text: str
    offsets: list[tuple[int, int]]
    tags: list[str]
    entities: list[Entity]
    log_probability: float | None = None

    @property
    def probability(self) -> float | None:
        """The probability of the best reading, 0 to 1; 0 for one of a long text that is too small."""
        return None if self.log_probability is None else math.exp(self.log_probability)

    @property
    def units(self) -> list[str]:
        """The characters or words that carry the tags."""
        return [self.text[start:end] for start, end in self.offsets]

    def to_displacy(self) -> dict[str, Any]:
        """What ``spacy.displacy.render(…, style="ent", manual=True)`` draws."""
        return rendering.displacy(self.text, self.entities)

    def _repr_html_(self) -> str:
        return rendering.fragment(self.text, self.entities)
