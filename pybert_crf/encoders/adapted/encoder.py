"""A model of transformers as an encoder.

The model is transformers' own class, with its own names of tensors and its own config.json. Of an
encoder-decoder only the encoder is built and kept. Code that a checkpoint brings along is never run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pybert_crf.encoders.adapted.attention import attend_both_ways, sees_the_last
from pybert_crf.encoders.adapted.their_models import (
    body_of,
    check_tensors,
    describing,
    embeddings_of,
    empty_model,
    fill,
    prefix_of,
    read_their_config,
)
from pybert_crf.encoders.checkpoint import CheckpointError, ConfigError, add_delta, write_tensors
from pybert_crf.encoders.low_rank import Factors, adapted_layers, factors, is_transposed, plain_state
from pybert_crf.files import write_json
from pybert_crf.reading import listed, quoted, shortened

LONGEST = 2048
"""Pieces read at once, however many positions a model has: memory grows with their square."""

WITHOUT_LIMIT = 512
"""Pieces read at once by a model whose configuration states no limit, such as T5's."""

# Weights that a tagger's forward pass never uses: the attention of Longformer's global pieces.
_UNUSED = re.compile(r".*\.(query|key|value)_global\..*")


@dataclass(frozen=True)
class AdaptedConfig:
    """What the rest of the package asks of an encoder's configuration.

    ``bidirectional`` says whether every piece sees the whole text; ``pad_id`` is None if the model has none.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    num_layers: int
    max_length: int
    pad_id: int | None
    bidirectional: bool


class AdaptedEncoder(nn.Module):
    """A model of transformers as an encoder. Create one with `open_encoder` or `from_checkpoint`.

    A decoder (GPT-2, Llama, Qwen3 …) is made to attend both ways; ``config.bidirectional`` says whether its
    class allows that. Saved and loaded tensors carry the names that transformers gives them.

    Args:
        model: of transformers, in evaluation mode, with all its weights.
        values: config.json, as far as it describes the model.
        part: prefix of the model's names in the whole of which it is a part, as "encoder.".
        bidirectional: false leaves a decoder causal.

    Attributes:
        description: one line on its type and its attention.

    Raises:
        ConfigError: the model does not map piece ids to hidden states.
    """

    def __init__(
        self, model: nn.Module, values: Mapping[str, Any], part: str = "", bidirectional: bool = True
    ) -> None:
        super().__init__()
        self.model = model
        self.values = {**values, "bidirectional": bidirectional}
        self.part = part
        theirs: Any = model.config
        table = embeddings_of(model)
        pad = getattr(theirs, "pad_token_id", None)
        self._pad_id = pad if isinstance(pad, int) and 0 <= pad < table.num_embeddings else None
        both, width = self._open_attention(table.num_embeddings, bidirectional)
        self.description = self._describe(str(values["model_type"]), both)
        self.config = AdaptedConfig(
            model_type=str(values["model_type"]),
            vocab_size=table.num_embeddings,
            hidden_size=width,
            num_layers=int(getattr(theirs, "num_hidden_layers", 0) or 0),
            max_length=max_length(model),
            pad_id=self._pad_id,
            bidirectional=both,
        )

    @classmethod
    def from_checkpoint(
        cls,
        values: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        *,
        dtype: torch.dtype = torch.float32,
        bidirectional: bool | None = None,
    ) -> AdaptedEncoder:
        """Build the model that a config.json describes from tensors under their transformers names.

        Tensors of heads, and of a decoder beside the encoder, are ignored. ``bidirectional`` is by default
        what the configuration says, and else true.

        Raises:
            ImportError: transformers is not installed, or too old.
            ConfigError: a configuration that transformers cannot build a text model from.
            CheckpointError: a tensor is missing, unexpected, of another shape or not finite; each is named.
        """
        if bidirectional is None:
            bidirectional = values.get("bidirectional", True)
        if not isinstance(bidirectional, bool):
            raise ConfigError(
                f"config.json: bidirectional must be true or false, got {quoted(bidirectional)}"
            )
        described: dict[str, Any] = describing(dict(values))
        config = read_their_config(described, len(tensors))
        whole, empty, part = empty_model(config)
        given = body_of(whole, empty, part, tensors)
        check_tensors(str(values["model_type"]), empty, given, dtype)
        described["architectures"] = [type(whole).__name__]
        model, told = fill(empty, given, dtype)
        lost = sorted(told["missing_keys"] + told["unexpected_keys"])
        if lost:
            raise CheckpointError(f"transformers does not load {listed(lost)}")
        encoder = cls(model, described, part, bidirectional)
        return encoder.train()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.model.parameters()).dtype

    @property
    def piece_embeddings(self) -> nn.Embedding:
        """The table of embeddings of pieces."""
        return embeddings_of(self.model)

    @property
    def checkpoint_prefix(self) -> str:
        """What precedes the encoder's names in the checkpoint of a larger model."""
        return "" if self.part else prefix_of(self.model)

    def config_to_json(self) -> dict[str, Any]:
        """Return the content of config.json."""
        return dict(self.values)

    def to_checkpoint(self, prefix: str = "") -> dict[str, Tensor]:
        """Return copies of all weights under their transformers names, preceded by ``prefix``."""
        tensors = plain_state(self.model)
        named = {_outside(self.part, name): tensor.detach().clone() for name, tensor in tensors.items()}
        return {prefix + name: tensor for name, tensor in named.items()}

    def factors(self) -> dict[str, Factors]:
        """The factors of the low-rank layers, by their modules' names in checkpoints."""
        return {_outside(self.part, name): factors(layer) for name, layer in adapted_layers(self.model)}

    @torch.no_grad()
    def add_factors(self, given: Mapping[str, Factors]) -> None:
        """Add to the weights what low-rank layers have learnt; names as `factors` gives them.

        Raises:
            CheckpointError: a name is not of a layer here, or its factors do not fit.
        """
        layers = {_outside(self.part, name): layer for name, layer in self.model.named_modules()}
        for name, own in given.items():
            layer: Any = layers.get(name)
            add_delta(name, getattr(layer, "weight", None), own, is_transposed(layer))

    def save_pretrained(self, directory: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, which `open_encoder` and transformers open."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        write_tensors(directory, self.to_checkpoint())
        write_json(directory / "config.json", self.config_to_json())

    def checkpoint_activations(self, enabled: bool = True) -> None:
        """In training recompute each layer in the backward pass.

        Raises:
            ValueError: the class of transformers cannot.
        """
        model: Any = self.model
        state = "enable" if enabled else "disable"
        for kind in ("activation", "gradient"):  # transformers renamed the method
            if hasattr(model, f"{kind}_checkpointing_{state}"):
                getattr(model, f"{kind}_checkpointing_{state}")()
                return
        raise ValueError(f"{type(model).__name__} of transformers cannot recompute its layers")

    @property
    def bidirectional(self) -> bool:
        """Whether every piece sees the whole text."""
        return self.config.bidirectional

    @property
    def notes(self) -> tuple[str, ...]:
        """What who trains the encoder should know."""
        return (self.description,)

    def freeze_unused(self) -> None:
        """Do not train weights that ids and mask alone never reach, nor tables of sines and cosines."""
        for name, parameter in self.model.named_parameters():
            if _UNUSED.fullmatch(name):
                parameter.requires_grad_(False)
        for module in self.model.modules():
            if "Sinusoidal" in type(module).__name__:
                module.requires_grad_(False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the last hidden states, (B, L, D), in the weights' dtype.

        ``input_ids`` (B, L) int64, L at most ``config.max_length``. ``attention_mask`` (B, L) is false at
        padding, whose ids do not matter.

        Raises:
            ValueError: wrong shapes or lengths.
        """
        if input_ids.ndim != 2 or (attention_mask is not None and attention_mask.shape != input_ids.shape):
            raise ValueError(
                f"input_ids must be (batch, length), got {tuple(input_ids.shape)}, and the mask too"
            )
        if input_ids.shape[1] > self.config.max_length:
            raise ValueError(
                f"{input_ids.shape[1]} pieces, but at most {self.config.max_length} are read at once"
            )
        return self._states(input_ids, attention_mask)

    def inputs(self, input_ids: Tensor, attention_mask: Tensor | None) -> dict[str, Tensor]:
        """What the class of transformers is called with, of the arguments of ``forward``."""
        seen = torch.ones_like(input_ids) if attention_mask is None else attention_mask.long()
        if self._pad_id is not None:  # some models find the positions by counting what is not this id
            input_ids = input_ids.masked_fill(seen == 0, self._pad_id)
        return {"input_ids": input_ids, "attention_mask": seen}

    def _states(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        states: Tensor = self.model(**self.inputs(input_ids, attention_mask)).last_hidden_state
        return states

    @torch.no_grad()
    def _open_attention(self, vocab_size: int, wanted: bool) -> tuple[bool, int]:
        """Make a decoder attend both ways if that is wanted; whether it does, and the states' width."""
        ids = [i for i in range(min(vocab_size, 8)) if i != self._pad_id][:5]
        self._is_decoder, self._obstacle = False, ""
        try:
            width = self._states(torch.tensor([ids]), None).shape[-1]
            both = sees_the_last(lambda rows: self._states(rows, None), ids)
            self._is_decoder = not both
            if self._is_decoder and wanted:
                self._obstacle = attend_both_ways(self.model)
                both = not self._obstacle and sees_the_last(lambda rows: self._states(rows, None), ids)
                self._obstacle = "" if both else self._obstacle or "its class of transformers allows no other"
        except Exception as error:
            kind, reason = type(self.model).__name__, shortened(str(error).partition("\n")[0])
            raise ConfigError(f"{kind} of transformers gives no hidden states for ids: {reason}") from error
        return both, width

    def _describe(self, model_type: str, both: bool) -> str:
        told = f"{model_type} encoder, of transformers: "
        if self._is_decoder and both:
            return f"{told}a decoder that attends both ways here"
        if both:
            return f"{told}attends both ways{'; its decoder is left out' if self.part else ''}"
        why = f"stays causal, since {self._obstacle}" if self._obstacle else "causal, as it was trained"
        return f"{told}{why}: each piece sees only what precedes it"


def max_length(model: nn.Module) -> int:
    """Pieces that the model reads at once."""
    config: Any = model.config
    stated = getattr(config, "max_position_embeddings", None)
    length = stated if isinstance(stated, int) and stated > 0 else WITHOUT_LIMIT
    for module in model.modules():  # RoBERTa's kin count positions from their padding's id on
        if not isinstance(module, nn.Embedding) or module is embeddings_of(model):
            continue
        if module.num_embeddings == stated and module.padding_idx is not None:
            length = module.num_embeddings - module.padding_idx - 1
            break
    if length < 1:
        raise ConfigError(f"config.json: max_position_embeddings {stated} leaves no position")
    return min(length, LONGEST)


def _outside(part: str, name: str) -> str:
    """The name in a checkpoint of a tensor of the encoder; the pieces' table is shared with the decoder."""
    return "shared.weight" if part and name == "embed_tokens.weight" else part + name
