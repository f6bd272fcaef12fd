"""The normalisations of embeddings, layers and heads, by their names in `NormsConfig.kind`."""

from __future__ import annotations

from torch import nn

from pybert_crf.encoders.config import EncoderConfig


def norm(config: EncoderConfig, width: int, eps: float | None = None) -> nn.Module:
    """Return a new normalisation of the last axis, with the configuration's kind, bias and ``eps``."""
    eps = config.norms.eps if eps is None else eps
    if config.norms.kind == "rms":
        return nn.RMSNorm(width, eps=eps)
    return nn.LayerNorm(width, eps=eps, bias=config.norms.bias)
