"""The convolution beside the first layer of DeBERTa-v2-xlarge: a piece's neighbours, seen in the embeddings.

As in the authors' code of He et al. (2021), which the paper does not speak of. B sequences of L pieces,
D = ``hidden_size``.
"""

from __future__ import annotations

from torch import Tensor, nn

from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.dropout import Dropout


class Convolution(nn.Module):
    """A convolution of what went into a layer, added to what comes out, normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width, kernel = config.hidden_size, config.conv_kernel_size
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=config.conv_groups)
        self.activation = ACTIVATIONS[config.conv_activation]
        self.dropout = Dropout(config.hidden_dropout)
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)

    def forward(self, entered: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, L, D) of two such; ``mask``, (B, 1, 1, L) bool, keeps padding from its neighbours."""
        if mask is not None:
            entered = entered * mask[:, 0, 0, :, None]
        convolved = self.conv(entered.transpose(1, 2)).transpose(1, 2)
        normed: Tensor = self.norm(x + self.activation(self.dropout(convolved)))
        return normed
