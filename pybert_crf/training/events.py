"""The events of a run, as its observer gets them: one small record for each thing that happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

ReportT = TypeVar("ReportT")
"""Figures on held-out data: `pybert_crf.text.tagging.metrics.Report`, or `MaskedReport` in pretraining."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """The data are read and the model is built; nothing is trained yet.

    Attributes:
        unit: what the text is cut into, ``char`` or ``word``.
        parameters: number of trainable weights.
        device: where they are.
        epoch: the first epoch to train, from 1 (more than 1 after resuming).
        epochs: the last epoch.
        notes: what the user should know about data and checkpoint, in whole sentences.
    """

    unit: str
    parameters: int
    device: str
    epoch: int
    epochs: int
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TaggingStarted(Started):
    """`Started`, of a tagger's training.

    Attributes:
        sentences: number of sentences by part (``train``, ``dev``, ``test``).
        scheme, labels: of the tagger, as found in the training data or taken from a saved tagger.
        taken: what was found out about the files and taken for granted, a line each.
        plan: batch, steps and rates, in a line.
    """

    sentences: dict[str, int]
    taken: tuple[str, ...]
    plan: str
    scheme: str
    labels: tuple[str, ...]


class TextSize(NamedTuple):
    """How large a part of a text is: lines, pieces, and windows that the encoder reads at once."""

    lines: int
    pieces: int
    windows: int


@dataclass(frozen=True, kw_only=True)
class PretrainingStarted(Started):
    """`Started`, of an encoder's pretraining.

    Attributes:
        parts: sizes of the parts ``train`` and ``dev``.
        mask_unit: what is masked together, ``piece``, ``char`` or ``word``.
        masking: ``dynamic`` or ``static``.
        vocab_size: pieces of the vocabulary.
    """

    parts: dict[str, TextSize]
    mask_unit: str
    masking: str
    vocab_size: int


@dataclass(frozen=True)
class Stepped:
    """An optimiser step is done: `step` of `steps` in `epoch`, at a mean `loss` per unit or masked piece.

    Attributes:
        norm: of the gradient, over all weights, before it is clipped.
        rates: the different learning rates of the step, the highest first.
        pieces: that this process read in the step, ``[CLS]`` and ``[SEP]`` counted, padding not.
        positions: of the encoder, padding counted.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    norm: float
    rates: tuple[float, ...]
    pieces: int
    positions: int


@dataclass(frozen=True)
class EpochDone(Generic[ReportT]):
    """An epoch is trained, evaluated on dev and saved.

    Attributes:
        epoch: from 1.
        loss: mean negative log-likelihood, in nats, per unit or masked piece of its batches.
        seconds: time of its training steps.
        dev: figures on the dev part.
        best: whether this is the best epoch so far.
    """

    epoch: int
    loss: float
    seconds: float
    dev: ReportT
    best: bool


@dataclass(frozen=True)
class Finished(Generic[ReportT]):
    """The run is over; `out` holds the model of `epoch`.

    Attributes:
        out: the directory.
        epoch: the epoch that was kept, from 1: the best on dev, or the last if that was asked for; 0 of an
            ensemble, whose members have one each.
        ended: why the run ended, in words: all epochs are done, or patience is over.
        dev, test: figures of what was saved; `test` is None if there is no test part.
        history: one row for each epoch, as written to ``metrics.json``.
        seconds: time of all training steps.
        warnings: what the run should make its user think, a sentence each.
    """

    out: str
    epoch: int
    ended: str
    dev: ReportT
    test: ReportT | None
    history: list[dict[str, Any]]
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compared(Generic[ReportT]):
    """Several runs are over.

    Attributes:
        names: of their directories.
        runs: their results, in the same order.
        best: index of the best on dev.
        spread: mean and standard deviation of the F1, by part (``dev``, ``test``).
        ensemble: of all of them, if it is kept instead of the best: figures on dev and test. On folds, which
            have no dev part in common, those on dev are of each run on its own part, taken together.
    """

    names: tuple[str, ...]
    runs: tuple[Finished[ReportT], ...]
    best: int
    spread: dict[str, tuple[float, float]]
    ensemble: tuple[ReportT, ReportT | None] | None = None


@dataclass(frozen=True)
class TrialStarted:
    """A trial of a tuning begins: `number`, from 0, of `trials` in all, with `values` of what is varied."""

    number: int
    trials: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class TrialDone:
    """A trial of a tuning is over.

    Attributes:
        number: from 0.
        state: ``done``, ``pruned`` (stopped after an epoch) or ``diverged``.
        f1: on dev, of the best epoch; None if it diverged.
        epochs: how many were done.
        best: whether it is the best so far.
    """

    number: int
    state: str
    f1: float | None
    epochs: int
    best: bool


Event: TypeAlias = (
    Started | Stepped | EpochDone[Any] | Finished[Any] | Compared[Any] | TrialStarted | TrialDone
)
Observer: TypeAlias = Callable[[Event], None]
