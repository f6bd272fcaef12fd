"""The feed-forward half of a layer, with or without a gate.

Shapes: D = ``hidden_size``, I = ``intermediate_size``.
"""

from __future__ import annotations

from torch import Tensor, nn

from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.dropout import Dropout
from pybert_crf.encoders.linear import Linear


class FeedForward(nn.Module):
    """Two linear maps with an activation between them, applied to each position separately.

    If gated, the first map (``gated_up`` instead of ``up``) has 2 I rows: I are activated, and multiplied by
    the other I (Shazeer, 2020, "GLU Variants Improve Transformer").
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        options, width = config.feed_forward, config.intermediate_size
        self.gated = options.gated
        if options.gated:
            self.gated_up = Linear(config.hidden_size, 2 * width, bias=options.bias)
        else:
            self.up = Linear(config.hidden_size, width, bias=options.bias)
        self.down = Linear(width, config.hidden_size, bias=options.bias)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.hidden_dropout if options.drop_inside else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return (…, D) of (…, D)."""
        if self.gated:
            activated, gate = self.gated_up(x).chunk(2, -1)  # (…, D) -> (…, I) each
            x = self.activation(activated) * gate
        else:
            x = self.activation(self.up(x))  # (…, D) -> (…, I)
        projected: Tensor = self.down(self.dropout(x))  # -> (…, D)
        return projected
