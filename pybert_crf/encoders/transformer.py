"""The transformer of all families: embeddings, then layers of self-attention and feed-forward.

Vaswani et al. (2017), "Attention is all you need"; Devlin et al. (2019), "BERT". Shapes: B sequences of L
pieces, D = ``hidden_size``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pybert_crf.encoders.attention import ATTENTIONS
from pybert_crf.encoders.attention.packing import Packing
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.convolution import Convolution
from pybert_crf.encoders.dropout import Dropout
from pybert_crf.encoders.embeddings import Embeddings, sinusoids
from pybert_crf.encoders.feed_forward import FeedForward
from pybert_crf.encoders.norms import norm


class Layer(nn.Module):
    """Attention, then feed-forward, each added to its input and normalised before or after it.

    ``number`` is the layer's index, from 0.
    """

    def __init__(self, config: EncoderConfig, number: int) -> None:
        super().__init__()
        self.norm_first = config.norms.first
        self.attention = ATTENTIONS[config.attention.kind].layer(config, number)
        unnormed = config.norms.skip_first and number == 0
        self.attention_norm = nn.Identity() if unnormed else norm(config, config.hidden_size)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = norm(config, config.hidden_size)
        dropouts = {"hidden": config.hidden_dropout, "attention": config.attention.dropout, "none": 0.0}
        self.attention_dropout = Dropout(dropouts[config.attention.output_dropout])
        self.dropout = Dropout(config.hidden_dropout if config.feed_forward.drop_output else 0.0)
        self.convolution = Convolution(config) if config.convolution.kernel_size and number == 0 else None

    def forward(self, x: Tensor, context: Any) -> Tensor:
        layer_input = x
        if self.norm_first:
            x = x + self.attention_dropout(self.attention(self.attention_norm(x), context))
            x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        else:
            x = self.attention_norm(x + self.attention_dropout(self.attention(x, context)))
            x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return x if self.convolution is None else self.convolution(layer_input, x, context.mask)


class Transformer(nn.Module):
    """Embeddings and layers, with validation of the inputs."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.context = ATTENTIONS[config.attention.kind].context(config)
        self.layers = _layers(config)
        last = config.norms.first
        self.norm = norm(config, config.hidden_size) if last else nn.Identity()
        self.last_dropout = Dropout(config.hidden_dropout if last and config.norms.drop_last else 0.0)
        self.apply(self._initialise)
        if config.embeddings.positions == "sinusoidal":
            with torch.no_grad():
                table = self.embeddings.position.weight
                table.copy_(sinusoids(config.max_positions, config.embeddings.size))

    @torch.no_grad()
    def _initialise(self, module: nn.Module) -> None:
        """Draw weights from N(0, init_std²), set biases to 0, as BERT; LayerNorm is initialised already."""
        if isinstance(module, nn.Embedding | nn.Linear) and module.weight.is_meta:
            return  # without numbers; torch would import its compiler for drawing them
        if isinstance(module, nn.Embedding):
            std = self.config.embeddings.init_std
            module.weight.normal_(0.0, self.config.init_std if std is None else std)
            if module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()
        if isinstance(module, nn.Linear):
            module.weight.normal_(0.0, self.config.init_std)
            if module.bias is not None:
                module.bias.zero_()

    @property
    def applied_layers(self) -> list[nn.Module]:
        """The layers in the order in which they are applied; layers with shared weights occur repeatedly."""
        num_layers, num_groups = self.config.num_layers, self.config.sharing.num_groups
        if not num_groups:
            return list(self.layers)
        # In floating point, as in transformers, which matters if num_groups does not divide num_layers.
        groups = [int(i / (num_layers / num_groups)) for i in range(num_layers)]
        return [layer for group in groups for layer in self.layers[group].children()]

    def _embed(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None,
        language_ids: Tensor | None,
    ) -> tuple[Tensor, Any]:
        """Return the first layer's input and the context that all layers share (see `AttentionKind`).

        The embeddings are (B, L, D), or (T, D) if the context leaves out padding.
        """
        config, options = self.config, self.config.embeddings
        _check_ids("input_ids", input_ids, config.vocab_size)
        if input_ids.shape[1] > config.max_length:
            length, longest = input_ids.shape[1], config.max_length
            raise ValueError(f"sequences of {length} pieces, but the encoder has {longest} positions")
        if token_type_ids is not None:
            segments = config.vocab_size if options.segments_are_words else options.num_segments
            _check_optional("token_type_ids", token_type_ids, input_ids, segments)
        if language_ids is not None:
            languages = options.num_languages if options.has_languages else 0
            _check_optional("language_ids", language_ids, input_ids, languages)
        if attention_mask is not None:
            _check_same_shape("attention_mask", attention_mask, input_ids)
            if attention_mask.is_floating_point() or attention_mask.is_complex():
                # Additive masks (0, -10000) are floating point; converted to bool they would be inverted.
                raise ValueError(f"attention_mask must be bool or integers, got {attention_mask.dtype}")
        x = self.embeddings(input_ids, token_type_ids, language_ids)
        context = self.context(x, attention_mask)
        packing = _packing(context)
        return x if packing is None else packing.pack(x), context


def unpacked(x: Tensor, context: Any) -> Tensor:
    """Return (B, L, D) of hidden states of the layers that share ``context``."""
    packing = _packing(context)
    return x if packing is None else packing.unpack(x)


def _packing(context: Any) -> Packing | None:
    packing: Packing | None = getattr(context, "packing", None)
    return packing


def _layers(config: EncoderConfig) -> nn.ModuleList:
    """Return the layers, or groups of layers that share weights (Lan et al., 2020)."""
    if not config.sharing.num_groups:
        return nn.ModuleList(Layer(config, number) for number in range(config.num_layers))
    return nn.ModuleList(
        nn.ModuleList(Layer(config, number) for number in range(config.sharing.layers_per_group))
        for _ in range(config.sharing.num_groups)
    )


def _check_ids(name: str, ids: Tensor, size: int) -> None:
    """Check that ``ids`` are (B, L) integers and, on the CPU only, that they are in 0 .. ``size`` - 1."""
    if ids.dim() != 2 or ids.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"{name} must be (batch, length) of int64, got {tuple(ids.shape)} of {ids.dtype}")
    if ids.device.type != "cpu" or torch.compiler.is_compiling() or ids.numel() == 0:
        return
    low, high = (int(extreme) for extreme in ids.aminmax())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        row, column = (ids == wrong).nonzero()[0].tolist()
        raise IndexError(f"{name}[{row}, {column}] is {wrong}, but must be in 0 .. {size - 1}")


def _check_optional(name: str, ids: Tensor, input_ids: Tensor, size: int) -> None:
    """Check ``ids`` against ``input_ids``; ``size`` 0 means that the encoder has no embeddings for them."""
    if size == 0:
        raise ValueError(f"{name} are given, but the encoder has no embeddings for them")
    _check_ids(name, ids, size)
    _check_same_shape(name, ids, input_ids)


def _check_same_shape(name: str, tensor: Tensor, input_ids: Tensor) -> None:
    if tensor.shape != input_ids.shape:
        raise ValueError(f"{name} is {tuple(tensor.shape)}, but input_ids is {tuple(input_ids.shape)}")
