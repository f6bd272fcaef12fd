"""Training a tagger: read the corpora, fit encoder and CRF, keep the best, resume after a kill."""

from __future__ import annotations

from pybert_crf.training.events import EpochDone, Event, Finished, Observer, Started, Stepped
from pybert_crf.training.loop import train

__all__ = ["EpochDone", "Event", "Finished", "Observer", "Started", "Stepped", "train"]
