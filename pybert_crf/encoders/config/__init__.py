"""The configuration of an encoder: validated values for all families, in groups of what belongs together."""

from __future__ import annotations

from pybert_crf.encoders.config.encoder_config import ENCODER_SIZES, FIELDS, SIZES, EncoderConfig
from pybert_crf.encoders.config.groups import (
    AttentionConfig,
    BlockSparseConfig,
    ConvolutionConfig,
    DisentangledConfig,
    EmbeddingsConfig,
    FeedForwardConfig,
    NormsConfig,
    RelativeBiasConfig,
    RotaryConfig,
    SharingConfig,
)

__all__ = [
    "ENCODER_SIZES",
    "FIELDS",
    "SIZES",
    "AttentionConfig",
    "BlockSparseConfig",
    "ConvolutionConfig",
    "DisentangledConfig",
    "EmbeddingsConfig",
    "EncoderConfig",
    "FeedForwardConfig",
    "NormsConfig",
    "RelativeBiasConfig",
    "RotaryConfig",
    "SharingConfig",
]
