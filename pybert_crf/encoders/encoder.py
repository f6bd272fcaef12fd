"""The encoder as users have it: the transformer, loaded from and saved to checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pybert_crf.encoders.checkpoint import (
    add_delta,
    check_number_of_layers,
    config_from_json,
    config_to_json,
    export_tensors,
    import_tensors,
    naming,
    read_config,
    read_tensors,
    resolve,
    write_tensors,
)
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.families import family_of
from pybert_crf.encoders.low_rank import Factors, adapted_layers, factors, plain_state
from pybert_crf.encoders.transformer import Transformer, unpacked
from pybert_crf.files import write_json


class Encoder(Transformer):
    """A transformer encoder, bidirectional unless configured otherwise: piece ids in, a vector for each out.

    ``Encoder(config)`` has random weights, initialised as BERT's from torch's default generator. A new or
    loaded encoder is in training mode (with dropout), as every module is. Raises ``ConfigError`` for a
    configuration that its family's config.json cannot express.
    """

    def __init__(self, config: EncoderConfig) -> None:
        config_to_json(config)  # refuse before training what could not be saved after it
        super().__init__(config)
        self._checkpointing = False

    @classmethod
    def from_size(cls, size: str, *, vocab_size: int, pad_id: int | None = 0) -> Encoder:
        """Return an untrained encoder: "tiny" (2 layers, 128 wide), "small" (4, 256) or "base" (12, 768)."""
        return cls(EncoderConfig.from_size(size, vocab_size=vocab_size, pad_id=pad_id))

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> Encoder:
        """Load a checkpoint in the Hugging Face layout from a directory, or from the hub by its name.

        Reads ``config.json`` and ``model.safetensors`` or ``pytorch_model.bin``, whole or in shards.
        Weights are converted to ``dtype``, by default to float32 even if stored as float16 or bfloat16.
        Tensors of heads (a pooler, a classifier, a CRF …) are recognised by their names and ignored.
        ``revision`` is a branch, tag or commit of the hub's repository; ``local_files_only`` forbids the
        network.

        Raises ``FileNotFoundError`` if files are missing or the name is unknown, ``ConfigError`` for a model
        that this encoder cannot represent, ``CheckpointError`` for files that cannot be read and for tensors
        that do not fit, naming each.
        """
        directory = resolve(name_or_dir, revision=revision, local_files_only=local_files_only)
        with naming(directory):
            config = config_from_json(read_config(directory))
            return cls.from_checkpoint(config, read_tensors(directory), dtype=dtype)

    @classmethod
    def from_checkpoint(
        cls, config: EncoderConfig, tensors: Mapping[str, Tensor], *, dtype: torch.dtype = torch.float32
    ) -> Encoder:
        """Build the encoder of ``config`` from tensors under its family's Hugging Face names.

        The names may have the family's prefix ("bert."). The encoder owns copies, in ``dtype``, on the CPU.
        Raises ``CheckpointError`` naming every tensor that is missing, of another shape, not finite, or
        unexpected and not of a known head.
        """
        family = family_of(config.model_type)
        check_number_of_layers(family, config, tensors)
        with torch.device("meta"):  # no memory, no random numbers: every tensor is replaced
            encoder = cls(config)
        imported = import_tensors(family, encoder.state_dict(), tensors, dtype)
        encoder.load_state_dict(imported, assign=True)
        return encoder

    def to_checkpoint(self, prefix: str = "") -> dict[str, Tensor]:
        """Return copies of all weights under the family's Hugging Face names, preceded by ``prefix``."""
        exported = export_tensors(family_of(self.config.model_type), plain_state(self))
        return {prefix + name: tensor for name, tensor in exported.items()}

    def factors(self) -> dict[str, Factors]:
        """The factors of the low-rank layers, by their modules' names in the family's checkpoints.

        Our query, key and value are one layer: they share A.
        """
        family, found = family_of(self.config.model_type), {}
        for name, layer in adapted_layers(self):
            own = factors(layer)
            _, names = family.their_names(f"{name}.weight")
            for their_name, B in zip(names, own.B.chunk(len(names)), strict=True):
                found[their_name.removesuffix(".weight")] = own._replace(B=B)
        return found

    @torch.no_grad()
    def add_factors(self, given: Mapping[str, Factors]) -> None:
        """Add to the weights what low-rank layers have learnt; names as `factors` gives them.

        Raises:
            CheckpointError: a name is not of a layer here, or its factors do not fit.
        """
        tensors = self.to_checkpoint()
        family = family_of(self.config.model_type)
        found = (family.their_names(name) for name in self.state_dict())
        transposed = {name for rename, names in found if rename.transposed for name in names}
        for name, own in given.items():
            weight = f"{name}.weight"
            add_delta(name, tensors.get(weight), own, weight in transposed)
        self.load_state_dict(
            import_tensors(family, self.state_dict(), tensors, self.embeddings.word.weight.dtype)
        )

    @property
    def piece_embeddings(self) -> nn.Embedding:
        """The table of embeddings of pieces."""
        return self.embeddings.word

    @property
    def checkpoint_prefix(self) -> str:
        """What precedes the encoder's names in the checkpoint of a larger model, as "bert."."""
        return family_of(self.config.model_type).prefix

    def config_to_json(self) -> dict[str, Any]:
        """Return the content of config.json."""
        return config_to_json(self.config)

    def save_pretrained(self, directory: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, which ``transformers`` opens unchanged.

        Creates the directory if necessary. Each file appears whole or not at all. The checkpoint has no
        pooler: ``BertModel.from_pretrained(directory, add_pooling_layer=False)`` finds all its weights.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        write_tensors(directory, self.to_checkpoint())
        write_json(directory / "config.json", config_to_json(self.config))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.parameters()).dtype

    @property
    def bidirectional(self) -> bool:
        """Whether every piece sees the whole text."""
        return self.config.bidirectional

    @property
    def description(self) -> str:
        """One line on its type and its attention."""
        family = family_of(self.config.model_type)
        told = f"{family.model_type} encoder: "
        if not self.bidirectional:
            return f"{told}causal, as it was trained: each piece sees only what precedes it"
        if family.is_decoder:
            return f"{told}a decoder that attends both ways here"
        return f"{told}attends both ways{'; its decoder is left out' if family.has_decoder else ''}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What who trains the encoder should know."""
        family = family_of(self.config.model_type)
        return (self.description,) if family.is_decoder or family.has_decoder else ()

    def freeze_unused(self) -> None:
        """Do not train weights that ids and mask alone never reach: the language embeddings of an XLM."""
        if self.embeddings.language is not None:
            self.embeddings.language.requires_grad_(False)

    def checkpoint_activations(self, enabled: bool = True) -> None:
        """In training store only the input of each layer, and recompute the layer in the backward pass.

        Chen et al. (2016), "Training deep nets with sublinear memory cost": about a third more time for much
        less memory. Results and gradients are the same, dropout included.
        """
        self._checkpointing = enabled

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        language_ids: Tensor | None = None,
    ) -> Tensor:
        """Return the last layer's hidden states, (B, L, D), in the weights' dtype.

        ``input_ids`` (B, L) int64, L at most ``config.max_length``. ``attention_mask`` (B, L) bool or integer
        is true at pieces and false at padding, which no position attends to (the hidden states of padding are
        finite and unspecified). ``token_type_ids`` (B, L) int64 are the segments, by default 0.
        ``language_ids`` (B, L) int64 select the language embeddings of an XLM; by default none are added.

        Raises ``ValueError`` for wrong shapes, dtypes or lengths and for a kind of ids that the encoder has
        no embeddings for, ``IndexError`` (CPU) for an id out of range.
        """
        x, context = self._embed(input_ids, attention_mask, token_type_ids, language_ids)
        for layer in self.applied_layers:
            x = self._apply_layer(layer, x, context)
        return unpacked(self.last_dropout(self.norm(x)), context)

    def hidden_states(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        language_ids: Tensor | None = None,
    ) -> list[Tensor]:
        """Return the embeddings and the output of each layer, (B, L, D) each; arguments as ``forward``.

        The last element is what ``forward`` returns.
        """
        x, context = self._embed(input_ids, attention_mask, token_type_ids, language_ids)
        states = [x]
        for layer in self.applied_layers:
            states.append(self._apply_layer(layer, states[-1], context))
        last = self.last_dropout(self.norm(states[-1]))
        return [unpacked(x, context) for x in (*states[:-1], last)]

    def _apply_layer(self, layer: nn.Module, x: Tensor, context: Any) -> Tensor:
        if self._checkpointing and self.training and torch.is_grad_enabled():
            x = checkpoint(layer, x, context, use_reentrant=False)
        else:
            x = layer(x, context)
        return x
