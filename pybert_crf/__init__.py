"""pybert-crf: a BERT encoder with a linear-chain CRF, and the tool for the whole job around them.

Names are imported when first used, so that ``import pybert_crf`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pybert_crf.annotation.entities import Entity
    from pybert_crf.annotation.rules import Rules
    from pybert_crf.crf import CRF, Constraints
    from pybert_crf.crf.registry import backends
    from pybert_crf.encoders import CheckpointError, ConfigError, Encoder, EncoderConfig, MaskedLM
    from pybert_crf.model import BertCRF
    from pybert_crf.options import PretrainOptions, TrainOptions, TuneOptions
    from pybert_crf.taggers.ensemble import Ensemble
    from pybert_crf.taggers.tagger import Tagger
    from pybert_crf.tagging_constraints import tag_constraints
    from pybert_crf.training import pretrain, train
    from pybert_crf.training.tuning import tune

__version__ = "0.1.0"

__all__ = [
    "CRF",
    "BertCRF",
    "CheckpointError",
    "ConfigError",
    "Constraints",
    "Encoder",
    "EncoderConfig",
    "Ensemble",
    "Entity",
    "MaskedLM",
    "PretrainOptions",
    "Rules",
    "Tagger",
    "TrainOptions",
    "TuneOptions",
    "__version__",
    "backends",
    "pretrain",
    "tag_constraints",
    "train",
    "tune",
]

_HOME = {
    "CRF": "pybert_crf.crf",
    "Constraints": "pybert_crf.crf",
    "backends": "pybert_crf.crf.registry",
    "tag_constraints": "pybert_crf.tagging_constraints",
    "CheckpointError": "pybert_crf.encoders",
    "ConfigError": "pybert_crf.encoders",
    "Encoder": "pybert_crf.encoders",
    "EncoderConfig": "pybert_crf.encoders",
    "MaskedLM": "pybert_crf.encoders",
    "Ensemble": "pybert_crf.taggers.ensemble",
    "BertCRF": "pybert_crf.model",
    "PretrainOptions": "pybert_crf.options",
    "TrainOptions": "pybert_crf.options",
    "TuneOptions": "pybert_crf.options",
    "Entity": "pybert_crf.annotation.entities",
    "Rules": "pybert_crf.annotation.rules",
    "Tagger": "pybert_crf.taggers.tagger",
    "pretrain": "pybert_crf.training",
    "train": "pybert_crf.training",
    "tune": "pybert_crf.training.tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pybert_crf' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
