"""Masked-language models: an encoder with the head that predicts masked pieces, for pretraining.

Devlin et al. (2019), "BERT", section 3.1. Shapes: M masked pieces of a batch, D = ``hidden_size``, V pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.checkpoint import (
    CheckpointError,
    ConfigError,
    check_supported,
    config_from_json,
    config_to_json,
    is_finite,
    naming,
    read_config,
    read_tensors,
    resolve,
    write_tensors,
)
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.encoder import Encoder
from pybert_crf.encoders.families import MlmHead, family_of
from pybert_crf.encoders.linear import Linear, linear
from pybert_crf.encoders.norms import norm
from pybert_crf.files import write_json
from pybert_crf.reading import listed


class MaskedLMHead(nn.Module):
    """Maps hidden states to scores of all pieces of the vocabulary; initialised at random, with biases of 0.

    ``width`` is that of the word embeddings; if ``tied``, they are the matrix of the last linear map.
    """

    def __init__(self, config: EncoderConfig, width: int, tied: bool) -> None:
        super().__init__()
        table = _table(config)
        self.dense: Linear | None = None
        if table.dense is not None:
            self.dense = Linear(config.hidden_size, width, bias=table.dense_bias)
            self.norm = norm(config, width, table.norm_eps)
            nn.init.normal_(self.dense.weight, std=config.init_std)
            if table.dense_bias:
                nn.init.zeros_(self.dense.bias)
        self.activation = ACTIVATIONS[table.activation or config.activation]
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.decoder: nn.Parameter | None = None
        if not tied:
            self.decoder = nn.Parameter(torch.empty(config.vocab_size, width).normal_(0.0, config.init_std))

    def forward(self, x: Tensor, word_embeddings: Tensor) -> Tensor:
        """Return (M, V) scores of (M, D) hidden states; ``word_embeddings`` (V, width) are used if tied."""
        if self.dense is not None:
            x = self.norm(self.activation(self.dense(x)))
        return linear(x, word_embeddings if self.decoder is None else self.decoder, self.bias)


class MaskedLM(nn.Module):
    """An encoder and its family's head for masked pieces.

    ``MaskedLM(encoder)`` has a new head. ``tied`` says whether the head shares the encoder's word
    embeddings, as in all families by default. After ``from_pretrained``, ``head_is_new`` says whether the
    checkpoint had no head, and ``left_out`` names its tensors that belong neither to the encoder nor to the
    head. Raises ``ConfigError`` for a family without such a head.
    """

    def __init__(self, encoder: Encoder, tied: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        self.tied = tied
        self.head = MaskedLMHead(encoder.config, encoder.embeddings.word.embedding_dim, tied)
        if encoder.embeddings.language is not None:  # pretraining passes no language_ids
            encoder.embeddings.language.requires_grad_(False)
        self.head_is_new = True
        self.left_out: tuple[str, ...] = ()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None, places: Tensor, targets: Tensor | None = None
    ) -> Tensor:
        """Return the scores of all pieces at the masked positions, (M, V), or the loss there.

        ``input_ids`` and ``attention_mask`` (B, L) are the encoder's; ``places`` (M,) int64 are indices
        into the B · L positions, and scores are computed only there. With ``targets``, (M,) int64 ids of
        the original pieces, the result is their mean negative log-likelihood, in float32.
        """
        hidden = self.encoder(input_ids, attention_mask).flatten(0, 1)  # (B · L, D)
        scores: Tensor = self.head(hidden.index_select(0, places), self.encoder.embeddings.word.weight)
        return scores if targets is None else F.cross_entropy(scores.float(), targets)

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        new_head: bool = False,
    ) -> MaskedLM:
        """Load encoder and head from a checkpoint in the Hugging Face layout, as ``Encoder.from_pretrained``.

        With ``new_head`` a checkpoint without a head gets a new one. A head is tied unless ``config.json``
        has ``"tie_word_embeddings": false``.

        Raises what ``Encoder.from_pretrained`` raises, and ``CheckpointError`` naming the tensors of the head
        that are missing or of another shape. With ``new_head`` all of them may be missing.
        """
        directory = resolve(name_or_dir, revision=revision, local_files_only=local_files_only)
        with naming(directory):
            values = read_config(directory)
            config = config_from_json(values)
            check_supported(_table(config).supported, values)
            tensors = read_tensors(directory)
            tied = values.get("tie_word_embeddings") is not False
            model = cls(Encoder.from_checkpoint(config, tensors), tied)
            model._load_head(tensors, new_head)
        return model

    def _load_head(self, tensors: Mapping[str, Tensor], new_head: bool) -> None:
        config = self.encoder.config
        family, table = family_of(config.model_type), _table(config)
        given = {family.current_name(name): tensor for name, tensor in tensors.items()}
        wanted = {name: table.their_names(name) for name in self.head.state_dict()}
        known = {their_name for names in wanted.values() for their_name in names} | {table.decoder}
        found = {name: next((n for n in names if n in given), None) for name, names in wanted.items()}
        own = {name.removeprefix(family.prefix) for name in self.encoder.to_checkpoint()}
        beyond = [n for n, t in given.items() if t.is_floating_point() and n not in known | own]
        self.left_out = tuple(sorted(beyond))
        self.head_is_new = not any(found.values())
        if self.head_is_new and new_head:
            return
        missing = [wanted[name][-1] for name, their_name in found.items() if their_name is None]
        chosen = {name: given[their_name] for name, their_name in found.items() if their_name is not None}
        misfits = [
            f"{found[name]} is {tuple(chosen[name].shape)}, not {tuple(expected.shape)}"
            for name, expected in self.head.state_dict().items()
            if name in chosen and chosen[name].shape != expected.shape
        ]
        misfits += [
            f"{found[name]} is not finite"
            for name, tensor in chosen.items()
            if not tensor.is_floating_point() or not is_finite(tensor.float())
        ]
        problems = {"missing": missing, "wrong": misfits}
        if any(problems.values()):
            faults = "; ".join(f"{kind}: {listed(names)}" for kind, names in problems.items() if names)
            raise CheckpointError(f"the tensors do not fit this {family.model_type} MLM head; {faults}")
        self.head.load_state_dict({name: tensor.float() for name, tensor in chosen.items()})

    def save_pretrained(self, directory: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, which ``transformers`` opens as encoder and head.

        Creates the directory if necessary. Each file appears whole or not at all.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        config = self.encoder.config
        table = _table(config)
        tensors = self.encoder.to_checkpoint(family_of(config.model_type).prefix)
        for name, tensor in self.head.state_dict().items():
            tensors |= dict.fromkeys(table.written_names(name, self.tied), tensor)
        write_tensors(directory, tensors)
        own_keys = {"architectures": [table.architecture], "tie_word_embeddings": self.tied}
        write_json(directory / "config.json", config_to_json(config) | own_keys)


def _table(config: EncoderConfig) -> MlmHead:
    table = family_of(config.model_type).mlm_head
    if table is None:
        raise ConfigError(f"encoders of the family {config.model_type!r} have no head for masked pieces")
    return table
