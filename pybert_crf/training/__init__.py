"""Training a tagger on tagged corpora, and pretraining its encoder on plain text, by one loop.

`loop` knows epochs, optimiser steps, checkpoints and resuming; `tagging` and `masked_lm` are its two tasks.
"""

from __future__ import annotations

from pybert_crf.training.events import (
    Compared,
    EpochDone,
    Event,
    Finished,
    Observer,
    PretrainingStarted,
    Started,
    Stepped,
    TaggingStarted,
    TextSize,
    TrialDone,
    TrialStarted,
)
from pybert_crf.training.masked_lm import MaskedReport, pretrain
from pybert_crf.training.several import train

__all__ = [
    "Compared",
    "EpochDone",
    "Event",
    "Finished",
    "MaskedReport",
    "Observer",
    "PretrainingStarted",
    "Started",
    "Stepped",
    "TaggingStarted",
    "TextSize",
    "TrialDone",
    "TrialStarted",
    "pretrain",
    "train",
]
