"""Pretraining an encoder on untagged text, as a masked language model, for `train` to start from."""

from __future__ import annotations

from pybert_crf.pretraining.evaluation import MaskedReport
from pybert_crf.pretraining.events import EpochDone, Event, Finished, Observer, Started
from pybert_crf.pretraining.loop import pretrain

__all__ = ["EpochDone", "Event", "Finished", "MaskedReport", "Observer", "Started", "pretrain"]
