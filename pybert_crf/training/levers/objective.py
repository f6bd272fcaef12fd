"""The loss of a tagger's training batch, where it is not the mean negative log-likelihood alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from pybert_crf.batches import Batch
from pybert_crf.crf import CRF
from pybert_crf.model import BertCRF
from pybert_crf.options import TrainOptions
from pybert_crf.reading import quoted
from pybert_crf.text.tagging.schemes import PLAIN, role
from pybert_crf.training.levers.distillation import Teacher
from pybert_crf.training.loop.processes import in_first


class Objective:
    """Class weights, label smoothing, focal weights and R-Drop, in nats per unit.

    Of a row with log-likelihood L (weighted and smoothed as `CRF.forward` says) and n units, the loss is
    -(1 - exp(L / n)) ** focal · L: the focal loss of Lin et al. (2017) with the geometric mean of the units'
    probabilities. R-Drop (Wu et al., 2021) encodes each batch twice, with different dropout, and adds
    rdrop · (KL(P || Q) + KL(Q || P)) / 4 to the mean of the two losses, P and Q being the two distributions
    over a row's paths: half of the paper's loss.

    With a teacher the divergence from it is added for every row, and rows without tags have that loss alone.

    Args:
        class_weights: (K,), or None.
        smoothing, focal, rdrop: 0 for none.
        teacher: whose distribution is learnt, or None.
    """

    def __init__(
        self,
        class_weights: Tensor | None = None,
        smoothing: float = 0.0,
        focal: float = 0.0,
        rdrop: float = 0.0,
        teacher: Teacher | None = None,
    ) -> None:
        self.class_weights, self.smoothing, self.focal, self.rdrop = class_weights, smoothing, focal, rdrop
        self.teacher = teacher

    def __call__(self, model: BertCRF, batch: Batch) -> Tensor:
        """The loss () of a batch with tags."""
        passes = [model.emissions(batch) for _ in range(2 if self.rdrop else 1)]
        # Outside autocast: log-sums need float32 whatever the encoder's precision is.
        with torch.autocast(passes[0].device.type, enabled=False):
            emissions = [each.float() for each in passes]
            units = batch.mask.sum()
            total = torch.stack([self._loss(model.crf, each, batch) for each in emissions]).mean()
            if self.teacher is not None:
                learnt = [self.teacher.loss(model.crf, each, batch) for each in emissions]
                total = total + torch.stack(learnt).mean()
            if self.rdrop:
                divergence: Tensor = model.crf.symmetric_divergence(emissions[0], emissions[1], batch.mask)
                total = total + self.rdrop / 4 * divergence.sum()
        return total / units.clamp(min=1)

    def _loss(self, crf: CRF, emissions: Tensor, batch: Batch) -> Tensor:
        assert batch.tags is not None
        weights = None if self.class_weights is None else self.class_weights.to(emissions.device)
        # Rows of a teacher's text have no tags: they are masked as a whole, and their log-likelihood is 0.
        mask = batch.mask if self.teacher is None else batch.mask & (batch.tags >= 0)
        rows: Tensor = crf(
            emissions,
            batch.tags,
            mask,
            reduction="none",
            class_weights=weights,
            label_smoothing=self.smoothing,
        )
        if self.focal:
            missing = -torch.expm1(rows / mask.sum(1).clamp(min=1))  # 1 - p, exact for p near 1
            rows = missing.clamp(min=1e-6) ** self.focal * rows
        return -rows.sum()


def build_objective(
    model: BertCRF,
    sequences: Iterable[Sequence[int]],
    options: TrainOptions,
    teacher: Teacher | None = None,
) -> Objective | None:
    """The objective that the options ask for; None for the log-likelihood alone.

    Args:
        sequences: tag numbers of each sentence.
        teacher: whose distribution is learnt, or None.

    Raises:
        ValueError: a class weight for a tag that there is not.
    """
    given = options.files("class_weight")
    weights = in_first(lambda: class_weights(model, given, sequences)) if given else None
    objective = Objective(weights, options.label_smoothing, options.focal, options.rdrop, teacher)
    plain = weights is None and not (objective.smoothing or objective.focal or objective.rdrop)
    return None if plain and teacher is None else objective


def class_weights(model: BertCRF, given: Sequence[str], sequences: Iterable[Sequence[int]]) -> Tensor:
    """The weight (K,) of each tag: inverse to its frequency, or as given by "TAG=WEIGHT" or "TYPE=WEIGHT".

    Inverse weights are N / (K · n) for a tag that n of N units have, K counting the tags that occur; the mean
    weight of a unit is 1.
    """
    K = len(model.labels)
    weights = torch.ones(K)
    if tuple(given) == ("inverse",):
        counts = Counter(tag for tags in sequences for tag in tags)
        for tag, count in counts.items():
            weights[tag] = counts.total() / (len(counts) * count)
        return weights
    scheme = model.scheme or PLAIN
    types = [role(label, scheme)[1] for label in model.labels]
    named = {**{kind: kind for kind in types if kind}, **{label: label for label in model.labels}}
    for entry in given:
        name, _, weight = entry.rpartition("=")
        if name not in named:
            known = ", ".join(sorted(named))
            raise ValueError(f"class_weight: there is no tag and no type {quoted(name)}; there are {known}")
        for i, (label, kind) in enumerate(zip(model.labels, types, strict=True)):
            if name == label or (name == kind and name not in model.labels):
                weights[i] = float(weight)
    return weights
