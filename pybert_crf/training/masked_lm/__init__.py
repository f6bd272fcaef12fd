"""The task of pretraining an encoder on untagged text, as a masked language model."""

from __future__ import annotations

from pybert_crf.training.masked_lm.perplexity import MaskedReport
from pybert_crf.training.masked_lm.pretraining import pretrain

__all__ = ["MaskedReport", "pretrain"]
