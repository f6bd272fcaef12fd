"""From emissions to tags, entities and their probabilities: everything on tensors, lists once at the end."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import Parameter

from pybert_crf.annotation.entities import Tagging
from pybert_crf.annotation.examples import Example
from pybert_crf.crf import CRF
from pybert_crf.text.tagging.entity_spans import Span
from pybert_crf.text.tagging.schemes import continues, role


def tempered(crf: CRF, emissions: Tensor, temperature: float) -> tuple[CRF, Tensor]:
    """CRF and emissions with all scores divided by `temperature` (Guo et al., 2017, for chains).

    Every path's score is divided alike, so the order of the paths stays, and their probabilities become more
    even the higher the temperature is. At 1 both are those given.
    """
    if temperature == 1.0:
        return crf, emissions
    scaled = copy.copy(crf)  # of the module alone: it shares all but the parameters
    scaled._parameters = {
        name: None if score is None else Parameter(score.detach() / temperature, requires_grad=False)
        for name, score in crf._parameters.items()
    }
    return scaled, emissions / temperature


def forbid(emissions: Tensor, examples: Sequence[Example]) -> None:
    """Set the emissions (B, T, K) of tags that the rules do not allow to -inf."""
    for row, example in enumerate(examples):
        if example.allowed is not None:
            allowed = torch.from_numpy(example.allowed).to(emissions.device)
            emissions[row, : len(allowed)].masked_fill_(~allowed, -torch.inf)


class EntityDecoder:
    """Finds the best tags of a batch and the entities that they spell out.

    The entities are those of `pybert_crf.text.tagging.entity_spans.spans`, read leniently. An entity's score
    is the exact posterior probability, under the CRF, that its units carry just these tags and that the unit
    after it does not continue it.

    Args:
        labels: the K tags, in the order of their numbers.
        scheme: the tag scheme of the labels.
    """

    def __init__(self, labels: Sequence[str], scheme: str) -> None:
        self.labels = labels
        self.types = [role(label, scheme)[1] for label in labels]
        self._is_entity = torch.tensor([bool(kind) for kind in self.types])  # (K,)
        # (K, K), true at [i, j] where a tag j after a tag i belongs to the same entity.
        self._continuing = torch.tensor([[continues(a, b, scheme) for b in labels] for a in labels])

    def __call__(
        self,
        crf: CRF,
        emissions: Tensor,
        mask: Tensor,
        *,
        scores: bool,
        temperature: float = 1.0,
        probability: bool = False,
    ) -> list[Tagging]:
        """The tags and entities of each row.

        Args:
            crf: with K tags, batch first.
            emissions: (B, T, K).
            mask: (B, T) bool, true up to each row's length.
            scores: whether to compute the entities' probabilities; without, `Tagging.scores` is empty.
            temperature: by which the scores are divided before they become probabilities.
            probability: whether to compute the probability of all tags of a row together.

        Raises:
            ValueError: a row has no legal path, or NaN in an unmasked emission; names the row.
        """
        tags, best = crf.viterbi(emissions, mask)  # (B, T), -1 where masked, and (B,)
        if not bool(best.isfinite().all()):
            crf.decode(emissions, mask)  # raises, and names the row and the fault
        if scores or probability:
            crf, emissions = tempered(crf, emissions, temperature)
        taggings = self.read(crf, emissions, tags, mask, scores=scores)
        if not probability:
            return taggings
        logs = (best / temperature - crf.log_partition(emissions, mask)).clamp(max=0.0).tolist()
        return [each._replace(log_probability=log) for each, log in zip(taggings, logs, strict=True)]

    def read(self, crf: CRF, emissions: Tensor, tags: Tensor, mask: Tensor, *, scores: bool) -> list[Tagging]:
        """The entities that given tags (B, T) spell out; otherwise as :meth:`__call__`."""
        spans, types = self.spans(tags, mask)
        probabilities: list[float] = []
        if scores and len(spans):
            probabilities = self.probabilities(crf, emissions, tags, spans, mask).tolist()
        return self.taggings(tags, mask, spans, types, probabilities)

    def probabilities(self, crf: CRF, emissions: Tensor, tags: Tensor, spans: Tensor, mask: Tensor) -> Tensor:
        """The probability (S,) of each of the entities (S, 3) that the tags (B, T) spell out."""
        continuing = self._continuing.to(emissions.device)
        return crf.span_probabilities(emissions, tags, spans, mask, continuing)

    def spans(self, tags: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The entities (S, 3) in order: row, start and end (half-open); the tags (S,) of their last units."""
        known = tags.clamp(min=0)
        goes_on = torch.zeros_like(mask)  # whether the next unit is of the same entity
        goes_on[:, :-1] = self._continuing.to(tags.device)[known[:, :-1], known[:, 1:]] & mask[:, 1:]
        begins = mask.clone()
        begins[:, 1:] &= ~goes_on[:, :-1]
        # Runs of units that go together, one unit outside entities a run of its own: as many begin as end.
        row, start = begins.nonzero().unbind(1)
        last = (mask & ~goes_on).nonzero()[:, 1]
        last_tag = tags[row, last]
        chosen = self._is_entity.to(tags.device)[last_tag]
        return torch.stack([row, start, last + 1], dim=1)[chosen], last_tag[chosen]

    def taggings(
        self, tags: Tensor, mask: Tensor, spans: Tensor, last_tags: Tensor, probabilities: list[float]
    ) -> list[Tagging]:
        """Lists of what `spans` found in the tags (B, T); `probabilities` of the entities, or none."""
        lengths = mask.sum(1).tolist()
        ends = list(accumulate(torch.bincount(spans[:, 0], minlength=len(lengths)).tolist(), initial=0))
        types = map(self.types.__getitem__, last_tags.tolist())
        found = list(map(Span, spans[:, 1].tolist(), spans[:, 2].tolist(), types))
        label = self.labels.__getitem__
        return [
            Tagging(list(map(label, row[:length])), found[begin:end], probabilities[begin:end])
            for row, length, begin, end in zip(tags.tolist(), lengths, ends, ends[1:], strict=False)
        ]
