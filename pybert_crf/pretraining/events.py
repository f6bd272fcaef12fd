"""What a pretraining run tells while it goes; steps are told as in `pybert_crf.training`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from pybert_crf.pretraining.evaluation import MaskedReport
from pybert_crf.training.events import Stepped


class Size(NamedTuple):
    """How large a part of the text is: lines, pieces, and windows that the encoder sees at once."""

    lines: int
    pieces: int
    windows: int


@dataclass(frozen=True)
class Started:
    """The text is read and the model is built; nothing is trained yet.

    Attributes:
        parts: sizes of the parts ``train`` and ``dev``.
        unit: how the text is read, ``char`` or ``word``.
        mask_unit: what is masked together, ``piece``, ``char`` or ``word``.
        masking: ``dynamic`` or ``static``.
        vocab_size: pieces of the vocabulary.
        parameters: number of trainable weights.
        device: where they are.
        epoch: the first epoch to train, from 1 (more than 1 after resuming).
        epochs: the last epoch.
        notes: what the user should know about text and checkpoint, in whole sentences.
    """

    parts: dict[str, Size]
    unit: str
    mask_unit: str
    masking: str
    vocab_size: int
    parameters: int
    device: str
    epoch: int
    epochs: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class EpochDone:
    """An epoch is trained, evaluated on dev and saved.

    Attributes:
        epoch: from 1.
        loss: mean loss of its steps, in nats a masked piece.
        seconds: time of its training steps.
        dev: figures on the held-out part.
        best: whether this is the best epoch so far.
    """

    epoch: int
    loss: float
    seconds: float
    dev: MaskedReport
    best: bool


@dataclass(frozen=True)
class Finished:
    """The run is over; `out` holds the encoder and head of `epoch`.

    Attributes:
        out: the directory.
        epoch: the epoch that was kept, from 1.
        dev: figures of what was saved.
        history: one row for each epoch, as written to ``metrics.json``.
        seconds: time of all training steps.
    """

    out: str
    epoch: int
    dev: MaskedReport
    history: list[dict[str, Any]]
    seconds: float


Event: TypeAlias = Started | Stepped | EpochDone | Finished
Observer: TypeAlias = Callable[[Event], None]
