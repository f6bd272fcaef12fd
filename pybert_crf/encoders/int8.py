"""Linear layers in 8-bit integers, for inference on CPUs: torch's dynamic quantisation, by oneDNN.

Weights are int8 with one scale for each output, activations are quantised at each call. The weights use 7 of
the 8 bits: without VNNI (AVX2) two products of 8 bits overflow the 16 bits of their sum, silently.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from pybert_crf.encoders.linear import Linear
from pybert_crf.encoders.low_rank import is_transposed

_LARGEST = 63  # of a weight of 7 bits


class Int8Linear(nn.Module):
    """``nn.Linear`` with quantised weights (out, in); it learns nothing and is not saved."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        weight = weight.detach().float()
        scales = weight.abs().amax(1).clamp(min=1e-12).double() / _LARGEST
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a later torch without these functions, see `quantise`
            quantised = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        bias = None if bias is None else bias.detach().float()
        engines: Any = torch.backends.quantized
        before = engines.engine
        engines.engine = "onednn"
        try:
            self.packed = torch.ops.quantized.linear_prepack(quantised, bias)
        finally:
            engines.engine = before

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = torch.ops.quantized.linear_dynamic(x, self.packed, False)
        return mapped


def quantise(encoder: Any) -> None:
    """Replace the linear layers of an encoder on the CPU, in float32, in place.

    Raises:
        ValueError: this torch has no oneDNN, or the encoder has no linear layer, or uses the weights of one
            itself (DeBERTa).
    """
    kind = encoder.config.model_type
    engines: Any = torch.backends.quantized
    if "onednn" not in engines.supported_engines or not hasattr(torch, "quantize_per_channel"):
        raise ValueError("int8: this torch does not quantise by oneDNN: export the tagger with --int8")
    if not _replace(encoder):
        raise ValueError(f"int8: an encoder of type {kind!r} has no linear layer that can be quantised")
    ids = torch.zeros(1, min(2, encoder.config.max_length), dtype=torch.int64)
    try:
        with torch.inference_mode():
            encoder.eval()(ids, torch.ones_like(ids, dtype=torch.bool))
    except Exception as error:
        raise ValueError(f"int8: an encoder of type {kind!r} uses its weights otherwise: {error}") from error


def _replace(module: nn.Module) -> int:
    """The number of linear layers that were replaced."""
    count = 0
    for name, child in module.named_children():
        transposed = is_transposed(child)
        if type(child) in (nn.Linear, Linear) or transposed:
            weight = child.get_parameter("weight")
            setattr(module, name, Int8Linear(weight.T if transposed else weight, child.bias))  # type: ignore[arg-type]
            count += 1
        else:
            count += _replace(child)
    return count
