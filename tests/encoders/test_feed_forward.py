"""The feed-forward half of a layer: gates, biases and dropout are where the configuration says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from pybert_crf.encoders import EncoderConfig
from pybert_crf.encoders.feed_forward import FeedForward

X = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(1))


def _half(**options: Any) -> FeedForward:
    """A random feed-forward half, 12 wide, with 7 inner units and a large weight of every kind."""
    torch.manual_seed(2)
    values = {f"feed_forward.{name}": value for name, value in options.items()}
    sizes = {"vocab_size": 9, "hidden_size": 12, "num_layers": 1, "num_heads": 3, "intermediate_size": 7}
    return FeedForward(EncoderConfig.from_fields(sizes | {"hidden_dropout": 0.5} | values))


@torch.no_grad()
@pytest.mark.parametrize("bias", [True, False])
def test_a_gate(bias: bool) -> None:
    """The first rows of the first map are activated, and multiplied by the others."""
    half = _half(gated=True, bias=bias)
    assert ("gated_up.bias" in half.state_dict()) is ("down.bias" in half.state_dict()) is bias
    weights = half.gated_up.weight.chunk(2)
    first, second = (
        X @ weight.T + (half.gated_up.bias.chunk(2)[i] if bias else 0.0) for i, weight in enumerate(weights)
    )
    expected = (F.gelu(first) * second) @ half.down.weight.T + (half.down.bias if bias else 0.0)
    torch.testing.assert_close(half(X), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("gated", [True, False])
def test_dropout_of_what_is_activated(gated: bool) -> None:
    """Only if configured, only in training, and before the second map."""
    assert torch.equal(_half(gated=gated)(X), _half(gated=gated).eval()(X))
    half = _half(gated=gated, drop_inside=True, bias=False)
    assert torch.equal(half.eval()(X), _half(gated=gated, bias=False)(X))
    half.train()
    half.down.weight.data = torch.eye(12, 7)
    assert 0.2 < float((half(X)[..., :7] == 0).float().mean()) < 0.8
