"""Encoders of transformers behind our interface: every ``model_type`` that has no table here."""

from __future__ import annotations

from pybert_crf.encoders.adapted.encoder import AdaptedConfig, AdaptedEncoder
from pybert_crf.encoders.adapted.masked_lm import AdaptedMaskedLM, AnyMaskedLM, open_masked_lm
from pybert_crf.encoders.adapted.opening import (
    AnyEncoder,
    is_adapted,
    load_encoder,
    longest_input,
    open_encoder,
)
from pybert_crf.encoders.adapted.spreading import spread

__all__ = [
    "AdaptedConfig",
    "AdaptedEncoder",
    "AdaptedMaskedLM",
    "AnyEncoder",
    "AnyMaskedLM",
    "is_adapted",
    "load_encoder",
    "longest_input",
    "open_encoder",
    "open_masked_lm",
    "spread",
]
