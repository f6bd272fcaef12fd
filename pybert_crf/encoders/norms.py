"""The normalisation of embeddings, layers and heads."""

from __future__ import annotations

from torch import nn

from pybert_crf.encoders.config import EncoderConfig


def norm(config: EncoderConfig, width: int, eps: float | None = None) -> nn.Module:
    """Return a LayerNorm (Ba et al., 2016) of the last axis, with the configuration's bias and ``eps``."""
    return nn.LayerNorm(width, eps=config.norms.eps if eps is None else eps, bias=config.norms.bias)
