"""The convolution beside the first layer of DeBERTa-v2-xlarge.

It is in the code of He et al. (2021), not in the paper. Shapes: B sequences of L pieces, D = ``hidden_size``.
"""

from __future__ import annotations

from torch import Tensor, nn

from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.dropout import Dropout
from pybert_crf.encoders.norms import norm


class Convolution(nn.Module):
    """A convolution of a layer's input, added to the layer's output and normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width, options = config.hidden_size, config.convolution
        self.conv = nn.Conv1d(
            width, width, options.kernel_size, padding=options.kernel_size // 2, groups=options.groups
        )
        self.activation = ACTIVATIONS[options.activation]
        self.dropout = Dropout(config.hidden_dropout)
        self.norm = norm(config, width)

    def forward(self, layer_input: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, L, D) of a layer's input and output ``x``, with padding hidden by ``mask``.

        ``mask`` is (B, 1, 1, L) bool, or None if nothing is padded.
        """
        if mask is not None:
            layer_input = layer_input * mask[:, 0, 0, :, None]
        convolved = self.conv(layer_input.transpose(1, 2)).transpose(1, 2)
        normed: Tensor = self.norm(x + self.activation(self.dropout(convolved)))
        return normed
