"""Encoders of transformers behind our interface: every ``model_type`` that has no table here."""

from __future__ import annotations

from pybert_crf.encoders.adapted.encoder import AdaptedConfig, AdaptedEncoder
from pybert_crf.encoders.adapted.opening import (
    AnyEncoder,
    is_adapted,
    load_encoder,
    longest_input,
    open_encoder,
)

__all__ = [
    "AdaptedConfig",
    "AdaptedEncoder",
    "AnyEncoder",
    "is_adapted",
    "load_encoder",
    "longest_input",
    "open_encoder",
]
