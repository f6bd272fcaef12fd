"""Quantised encoders compute nearly the same, or are refused with the reason."""

from __future__ import annotations

import copy

import pytest
import torch
from encoder_cases import our_encoder

from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.encoders.int8 import Int8Linear, quantise


def test_states_are_nearly_the_same() -> None:
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(50, 64, 2, 4, 128)).eval()
    quantised = copy.deepcopy(encoder)
    quantise(quantised)
    assert sum(isinstance(module, Int8Linear) for module in quantised.modules()) == 8
    ids = torch.randint(50, (3, 17))
    with torch.inference_mode():
        expected, got = encoder(ids), quantised(ids)
    difference = float((got - expected).abs().max() / expected.abs().max())
    assert 0 < difference < 0.03


def test_extreme_weights_do_not_overflow() -> None:
    """All weights and inputs at their greatest: the sums that would overflow 16 bits without VNNI."""
    linear = torch.nn.Linear(256, 8)
    torch.nn.init.ones_(linear.weight)
    x = torch.ones(4, 256)
    with torch.inference_mode():
        torch.testing.assert_close(Int8Linear(linear.weight, linear.bias)(x), linear(x), rtol=0.01, atol=0.01)


def test_what_uses_its_weights_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="int8: an encoder of type 'deberta' uses its weights otherwise"):
        quantise(our_encoder("deberta"))
