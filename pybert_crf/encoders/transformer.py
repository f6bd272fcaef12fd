"""The one transformer of every family: embeddings, then layers of self-attention and feed-forward.

Vaswani et al. (2017), "Attention is all you need"; Devlin et al. (2019), "BERT". Shapes: B sequences of L
pieces, D = ``hidden_size``, H heads of d = D / H, I = ``intermediate_size``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.dropout import Dropout, dropout


class Embeddings(nn.Module):
    """Sum of word, position and segment embeddings, normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_id)
        self.position = nn.Embedding(config.max_positions, config.hidden_size)
        self.segment = nn.Embedding(config.num_segments, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        words = self.word(input_ids)  # (B, L, D)
        positions = self.position.weight[: input_ids.shape[1]]  # (L, D)
        segments = self.segment.weight[0] if token_type_ids is None else self.segment(token_type_ids)
        embedded: Tensor = self.dropout(self.norm(words + segments + positions))
        return embedded


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, probability: float) -> Tensor:
    """Attend from (B, H, L, d) queries to keys and values where ``mask``, (B, 1, 1, L) bool, is true.

    ``probability`` is that of dropout on the weights. torch has no fused kernel with dropout on the CPU, and
    its unfused one takes half as long again as this, for the drawing of random numbers.
    """
    if query.device.type != "cpu" or probability == 0.0:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=probability)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)  # (B, H, L, L)
    if mask is not None:
        # The lowest finite number, not -inf: a sequence that is all padding must not become NaN.
        lowest = torch.finfo(scores.dtype).min
        scores = scores + torch.zeros_like(mask, dtype=scores.dtype).masked_fill_(~mask, lowest)
    return dropout(scores.softmax(-1), probability) @ value


class Attention(nn.Module):
    """Scaled dot-product attention of every position to every unpadded one."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.attention_dropout = config.attention_dropout
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)  # one product instead of three
        self.out = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        B, L, D = x.shape
        qkv = self.qkv(x).view(B, L, 3, self.num_heads, D // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind()  # each (B, H, L, d)
        x = attend(query, key, value, mask, self.attention_dropout if self.training else 0.0)
        mixed: Tensor = self.out(x.transpose(1, 2).reshape(B, L, D))
        return mixed


class FeedForward(nn.Module):
    """Two linear maps with an activation between, at each position by itself."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down = nn.Linear(config.intermediate_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.up(x))  # (B, L, D) -> (B, L, I)
        projected: Tensor = self.down(x)  # -> (B, L, D)
        return projected


class Layer(nn.Module):
    """Attention, then feed-forward, each added to its input and then normalised (post-norm)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        normed: Tensor = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return normed


class Transformer(nn.Module):
    """Embeddings and layers, and the checks of what goes in."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.apply(self._initialise)

    @torch.no_grad()
    def _initialise(self, module: nn.Module) -> None:
        """Weights from N(0, init_std), biases 0, as BERT; LayerNorm is 1 and 0 already."""
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.normal_(0.0, self.config.init_std)
        if isinstance(module, nn.Linear):
            module.bias.zero_()
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            module.weight[module.padding_idx].zero_()

    def _embed(
        self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the embeddings, (B, L, D), and the mask that all layers share, (B, 1, 1, L) or None."""
        _check_ids("input_ids", input_ids, self.config.vocab_size)
        if input_ids.shape[1] > self.config.max_positions:
            length, longest = input_ids.shape[1], self.config.max_positions
            raise ValueError(f"sequences of {length} pieces, but the encoder has {longest} positions")
        if token_type_ids is not None:
            _check_ids("token_type_ids", token_type_ids, self.config.num_segments)
            _check_same_shape("token_type_ids", token_type_ids, input_ids)
        if attention_mask is not None:
            _check_same_shape("attention_mask", attention_mask, input_ids)
        return self.embeddings(input_ids, token_type_ids), broadcastable_mask(attention_mask)


def broadcastable_mask(attention_mask: Tensor | None) -> Tensor | None:
    """Make (B, L) bool or integers into (B, 1, 1, L) bool, or None where nothing is padded (cheaper).

    Whether anything is padded is asked on the CPU only: a GPU would have to be waited for.
    """
    if attention_mask is None:
        return None
    if attention_mask.is_floating_point() or attention_mask.is_complex():
        # Additive masks (0 and -10000) are floating; read as true and false they would be turned around.
        raise ValueError(f"attention_mask must be bool or integers, got {attention_mask.dtype}")
    mask = attention_mask.to(torch.bool)
    if mask.device.type == "cpu" and not torch.compiler.is_compiling() and bool(mask.all()):
        return None
    return mask[:, None, None, :]


def _check_ids(name: str, ids: Tensor, size: int) -> None:
    """Check that ``ids`` is (B, L) of integers and, on the CPU (where it costs nothing), below ``size``."""
    if ids.dim() != 2 or ids.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"{name} must be (batch, length) of int64, got {tuple(ids.shape)} of {ids.dtype}")
    if ids.device.type != "cpu" or torch.compiler.is_compiling() or ids.numel() == 0:
        return
    low, high = (int(extreme) for extreme in ids.aminmax())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        row, column = (ids == wrong).nonzero()[0].tolist()
        raise IndexError(f"{name}[{row}, {column}] is {wrong}, but must be in 0 .. {size - 1}")


def _check_same_shape(name: str, tensor: Tensor, input_ids: Tensor) -> None:
    if tensor.shape != input_ids.shape:
        raise ValueError(f"{name} is {tuple(tensor.shape)}, but input_ids is {tuple(input_ids.shape)}")
