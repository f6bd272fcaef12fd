"""Pretrained encoders in plain PyTorch, and their checkpoints in and out."""

from __future__ import annotations

from pybert_crf.encoders.checkpoint import CheckpointError, read_tensors, write_tensors
from pybert_crf.encoders.config import SIZES, EncoderConfig
from pybert_crf.encoders.config_json import ConfigError, config_from_json, config_to_json, read_config
from pybert_crf.encoders.encoder import Encoder
from pybert_crf.encoders.hub import resolve
from pybert_crf.encoders.masked_lm import MaskedLM

__all__ = [
    "SIZES",
    "CheckpointError",
    "ConfigError",
    "Encoder",
    "EncoderConfig",
    "MaskedLM",
    "config_from_json",
    "config_to_json",
    "read_config",
    "read_tensors",
    "resolve",
    "write_tensors",
]
