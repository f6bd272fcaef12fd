"""Distillation: a tagger learns another one's, its teacher's, distribution over the tags of texts.

Hinton et al. (2015), "Distilling the knowledge in a neural network"; for chains, Wang et al. (2021),
"Structural knowledge distillation: tractably distilling information for structured predictor". The loss of a
text is KL(P || Q) over all tag sequences, P the teacher's distribution and Q the student's. Of P it needs
only what is expected of its paths: the marginals of the units, and how often which tag is the first, is the
last, and follows which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pybert_crf.annotation.annotator import BATCH_TOKENS
from pybert_crf.annotation.examples import by_length
from pybert_crf.batches import Batch, collate
from pybert_crf.crf import CRF
from pybert_crf.encoders import checksum
from pybert_crf.options import TrainOptions
from pybert_crf.taggers.ensemble import refuse_ensemble
from pybert_crf.taggers.tagger import Tagger

KEPT = 1 << 28
"""Numbers of the teacher's emissions that are kept from epoch to epoch: 1 GiB. Others are computed anew."""


@dataclass(frozen=True)
class TaughtBatch(Batch):
    """A batch with the teacher's emissions (batch, time, tags), float32, 0 where masked."""

    taught: Tensor | None = None


class Teacher:
    """A saved tagger, and its emissions for the texts that another one learns from.

    Args:
        tagger: in evaluation, on the device of the run.
        texts: the units of each example of the run.
        weight: of the divergence in the loss.
        documents: the number of each text's document, as of `Annotator.tag_units`; a teacher that reads texts
            in their documents does so here.
    """

    def __init__(
        self,
        tagger: Tagger,
        texts: Sequence[Sequence[str]],
        weight: float,
        documents: Sequence[int] | None = None,
    ) -> None:
        self.tagger, self.texts, self.weight = tagger, texts, weight
        tagger.model.eval().requires_grad_(False)
        tagger.model.crf.requires_grad_(True)  # counts of transitions are gradients; no optimiser has them
        self._examples = [each.example for each in tagger.reader().read(texts, documents)]
        self._kept: dict[int, Tensor] = {}
        self._room = KEPT

    def content(self) -> str:
        """A checksum of its weights, and its labels."""
        return f"{checksum(self.tagger.model.state_dict())} {' '.join(self.tagger.labels)}"

    def teach(self, batch: Batch, rows: Sequence[int]) -> TaughtBatch:
        """The batch, on the CPU, of the examples `rows`, with the teacher's emissions for them."""
        anew = self._emissions([row for row in rows if row not in self._kept])
        B, T = batch.mask.shape
        taught = torch.zeros(B, T, len(self.tagger.labels))
        for place, row in enumerate(rows):
            own = anew[row] if row in anew else self._kept[row]
            taught[place, : len(own)] = own
        for row, own in anew.items():
            if own.numel() <= self._room:
                self._room -= own.numel()
                self._kept[row] = own
        return TaughtBatch(**vars(batch), taught=taught)

    @torch.no_grad()
    def _emissions(self, rows: Sequence[int]) -> dict[int, Tensor]:
        """The emissions (units, tags) of some examples, float32, on the CPU."""
        tagger, found = self.tagger, {}
        examples = [self._examples[row] for row in rows]
        for group in by_length([example.positions for example in examples], BATCH_TOKENS):
            batch = collate([examples[i] for i in group], tagger.layout)
            emissions = tagger.model(batch.to(tagger.model.linear.weight.device)).float().cpu()
            for i, own in zip(group, emissions, strict=True):
                found[rows[i]] = own[: len(self.texts[rows[i]])].clone()
        return found

    def loss(self, crf: CRF, emissions: Tensor, batch: Batch) -> Tensor:
        """The weighted KL(teacher || student) () in nats, summed over the rows.

        Args:
            crf, emissions: the student's; its tags have the teacher's numbers.
        """
        assert isinstance(batch, TaughtBatch)
        assert batch.taught is not None
        expected = expectations(self.tagger.model.crf, batch.taught, batch.mask)
        return self.weight * divergence(expected, crf, emissions, batch.mask)


class Expectations(NamedTuple):
    """What is expected of the paths of a batch of chains, all rows together but for the units.

    Attributes:
        units: (B, T, K), the marginals, 0 where masked.
        start, pairs, end: (K,), (K, K), (K,): how many paths begin with a tag, how often j follows i, and
            how many end with a tag.
        entropy: () of the paths, in nats.
    """

    units: Tensor
    start: Tensor
    pairs: Tensor
    end: Tensor
    entropy: Tensor


def expectations(crf: CRF, emissions: Tensor, mask: Tensor) -> Expectations:
    """The expectations under a chain, in float64: the gradient of its log Z, by any backend.

    Args:
        crf: batch first; its parameters require gradients, which stay as they are.
        emissions: (B, T, K); mask: (B, T) bool.
    """
    with torch.enable_grad():
        emissions = emissions.detach().double().requires_grad_()
        log_z = crf.log_partition(emissions, mask).sum()
        counts = torch.autograd.grad(log_z, [emissions, *_parameters(crf)])
    units, start, pairs, end = (count.double() for count in counts)
    with torch.no_grad():
        entropy = log_z - _score((units, start, pairs, end), crf, emissions)
    return Expectations(units, start, pairs, end, entropy)


def divergence(expected: Expectations, crf: CRF, emissions: Tensor, mask: Tensor) -> Tensor:
    """KL(P || Q) () in nats, summed over the rows; differentiable in Q.

    The same as `CRF.kl_divergence`, which adds it up factor by factor in plain PyTorch. Here it is the
    cross-entropy less P's entropy, so that any backend computes its gradient, that of log Z.

    Args:
        expected: of P's paths.
        crf: of Q, batch first, with P's tags.
        emissions: of Q, (B, T, K); mask: (B, T) bool.
    """
    wide = emissions.double()  # log Z is large beside the divergence
    log_z = crf.log_partition(wide, mask).sum()
    result: Tensor = log_z - _score(expected[:4], crf, wide) - expected.entropy
    return result.to(emissions.dtype)


def _parameters(crf: CRF) -> tuple[Tensor, Tensor, Tensor]:
    return crf.start_transitions, crf.transitions, crf.end_transitions


def _score(counts: Sequence[Tensor], crf: CRF, emissions: Tensor) -> Tensor:
    """The expected score of the paths; what never occurs counts 0, whatever its score is."""
    scores = (emissions, *_parameters(crf))
    terms = (torch.where(n > 0, n * score, 0.0).sum() for n, score in zip(counts, scores, strict=True))
    return torch.stack(list(terms)).sum()


def open_teacher(options: TrainOptions) -> Tagger | None:
    """The tagger that is learnt from, on the CPU; None if there is none.

    Raises:
        FileNotFoundError, ConfigError, CheckpointError: as `Tagger.from_pretrained`.
        ValueError: it is an ensemble, whose distribution is no chain.
    """
    if options.teacher is None:
        return None
    refuse_ensemble(options.teacher, "teacher")
    return Tagger.from_pretrained(options.teacher)
