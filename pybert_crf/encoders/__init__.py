"""Encoders in plain PyTorch: one transformer, the families as tables, and their checkpoints."""

from __future__ import annotations

from pybert_crf.encoders.adapted import (
    AdaptedConfig,
    AdaptedEncoder,
    AdaptedMaskedLM,
    AnyEncoder,
    AnyMaskedLM,
    load_encoder,
    longest_input,
    open_encoder,
    open_masked_lm,
    spread,
)
from pybert_crf.encoders.checkpoint import (
    Base,
    CheckpointError,
    ConfigError,
    Lora,
    checksum,
    config_from_json,
    config_to_json,
    is_finite,
    naming,
    read_config,
    read_tensors,
    resolve,
    upload,
    write_lora,
    write_tensors,
)
from pybert_crf.encoders.config import ENCODER_SIZES, EncoderConfig
from pybert_crf.encoders.encoder import Encoder
from pybert_crf.encoders.low_rank import Plan, adapt
from pybert_crf.encoders.masked_lm import MaskedLM

__all__ = [
    "ENCODER_SIZES",
    "AdaptedConfig",
    "AdaptedEncoder",
    "AdaptedMaskedLM",
    "AnyEncoder",
    "AnyMaskedLM",
    "Base",
    "CheckpointError",
    "ConfigError",
    "Encoder",
    "EncoderConfig",
    "Lora",
    "MaskedLM",
    "Plan",
    "adapt",
    "checksum",
    "config_from_json",
    "config_to_json",
    "is_finite",
    "load_encoder",
    "longest_input",
    "naming",
    "open_encoder",
    "open_masked_lm",
    "read_config",
    "read_tensors",
    "resolve",
    "spread",
    "upload",
    "write_lora",
    "write_tensors",
]
