"""What a training run tells while it goes: one small record for each thing that happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pybert_crf.text.tagging.metrics import Report


@dataclass(frozen=True)
class Started:
    """The data are read and the model is built; nothing is trained yet.

    Attributes:
        sentences: number of sentences by part (``train``, ``dev``, ``test``).
        scheme, unit, labels: as found in the training data.
        parameters: number of trainable weights.
        device: where they are.
        epoch: the first epoch to train, from 1 (more than 1 after resuming).
        epochs: the last epoch.
        notes: what the user should know about the data, in whole sentences.
    """

    sentences: dict[str, int]
    scheme: str
    unit: str
    labels: tuple[str, ...]
    parameters: int
    device: str
    epoch: int
    epochs: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Stepped:
    """An optimiser step is done: `step` of `steps` in `epoch`, at a mean `loss` per unit."""

    epoch: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class EpochDone:
    """An epoch is trained, evaluated on dev and saved.

    Attributes:
        epoch: from 1.
        loss: mean negative log-likelihood per unit of its batches.
        seconds: time of its training steps.
        dev: entity metrics on the dev part.
        best: whether this is the best epoch so far, now saved as the tagger.
    """

    epoch: int
    loss: float
    seconds: float
    dev: Report
    best: bool


@dataclass(frozen=True)
class Finished:
    """The run is over; the tagger in `out` is that of `best_epoch`.

    Attributes:
        out: the tagger's directory.
        best_epoch: from 1.
        dev, test: entity metrics of the saved tagger; `test` is None where no test file was given.
        history: one row for each epoch, as written to ``metrics.json``.
        seconds: time of all training steps.
    """

    out: str
    best_epoch: int
    dev: Report
    test: Report | None
    history: list[dict[str, Any]]
    seconds: float


Event: TypeAlias = Started | Stepped | EpochDone | Finished
Observer: TypeAlias = Callable[[Event], None]
