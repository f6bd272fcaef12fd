"""Tiny models of every family, from which fuzzing begins."""

from __future__ import annotations

from typing import Any

import torch

from pybert_crf import Encoder, EncoderConfig
from pybert_crf.encoders.families import FAMILIES, Key

TEXT = "张三在北京 the end."

SIZES: dict[str, Any] = {
    "vocab_size": 16,
    "hidden_size": 6,
    "num_layers": 2,
    "num_heads": 3,
    "intermediate_size": 8,
    "max_positions": 24,
    "embeddings.size": 6,
    "embeddings.num_languages": 2,
}

# Of families that have these.
OWN_SIZES: dict[str, Any] = {
    "attention.head_size": 2,
    "relative_bias.buckets": 8,
    "relative_bias.max_distance": 6,
}


def configurations() -> list[dict[str, Any]]:
    """The content of ``config.json`` for a tiny encoder of each family, every key that is read given."""
    return [_configuration(family) for family in FAMILIES.values()]


def _configuration(family: Any) -> dict[str, Any]:
    defaults = EncoderConfig.from_fields(SIZES | {"model_type": family.model_type}).to_fields()
    ours = defaults | dict(family.defaults) | SIZES | OWN_SIZES
    if ours["pad_id"] is not None:
        ours["pad_id"] = min(ours["pad_id"], ours["vocab_size"] - 1)  # ModernBERT's default is 50283
    values: dict[str, Any] = {"model_type": family.model_type}
    for name, key in family.config_keys.items():
        values[family.their_key(name)] = key.write(ours[name]) if isinstance(key, Key) else ours[name]
    for split in family.split_keys:
        values[split.name] = split.write({name: ours[name] for name in split.fields})
    return values


def run_small(encoder: Encoder) -> None:
    """Assert that an encoder with random or loaded weights computes numbers."""
    config = encoder.config
    length = min(5, config.max_length)
    ids = torch.arange(length)[None] % config.vocab_size
    with torch.inference_mode():
        hidden = encoder.eval()(ids, torch.ones_like(ids))
    assert hidden.shape == (1, length, config.hidden_size)
    assert hidden.isfinite().all()
