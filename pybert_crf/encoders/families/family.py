"""The type of a family of encoders: a table of the keys of its config.json and the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from pybert_crf.reading import quoted


@dataclass(frozen=True)
class Rename:
    """One of our modules and its names in checkpoints; each ``{}`` stands for the number of a layer or group.

    If ``theirs`` has several names (query, key and value), our tensor is theirs concatenated along the
    first axis in this order. Saving applies the rule in reverse. A family with another layout (transposed,
    interleaved) overrides `split` and `join`, which are each other's inverse.
    """

    ours: str
    theirs: tuple[str, ...]
    transposed: ClassVar[bool] = False  # whether their weights are (inputs, outputs)

    def their_names(self, name: str) -> list[str] | None:
        """Return the checkpoint's names of our parameter ``name``; None if this rule does not apply to it."""
        match = re.fullmatch(re.escape(self.ours).replace(r"\{\}", r"(\d+)") + r"\.(\w+)", name)
        if match is None:
            return None
        *numbers, parameter = match.groups()
        return [f"{theirs.format(*numbers)}.{parameter}" for theirs in self.theirs]

    def split(self, ours: Tensor) -> tuple[Tensor, ...]:
        """Split our tensor into theirs (views)."""
        return ours.chunk(len(self.theirs))

    def join(self, theirs: list[Tensor]) -> Tensor:
        """Concatenate their tensors into ours (a copy)."""
        return torch.cat(theirs)


class Transposed(Rename):
    """A linear map whose checkpoints have (inputs, outputs), the transpose of ours (GPT-2's ``Conv1D``)."""

    transposed = True

    def split(self, ours: Tensor) -> tuple[Tensor, ...]:
        return tuple(part.mT if part.ndim == 2 else part for part in super().split(ours))

    def join(self, theirs: list[Tensor]) -> Tensor:
        return super().join([part.mT if part.ndim == 2 else part for part in theirs]).contiguous()


@dataclass(frozen=True)
class Key:
    """A key of config.json with values other than ours: ``values`` maps theirs to ours, one to one."""

    name: str
    values: Mapping[object, object]

    def read(self, theirs: object) -> object:
        """Return our value for theirs; raise ``ValueError`` if there is none."""
        for their_value, ours in self.values.items():
            if their_value == theirs:
                return ours
        known = ", ".join(repr(value) for value in self.values)
        raise ValueError(f"{self.name} = {quoted(theirs)} is not supported, only {known}")

    def write(self, ours: object) -> object:
        """Return their value for ours; raise ``ValueError`` if there is none."""
        for their_value, our_value in self.values.items():
            if our_value == ours:
                return their_value
        raise ValueError(f"{self.name} has no value for {ours!r}")


@dataclass(frozen=True)
class SplitKey:
    """A key of config.json whose value gives several of our ``fields``.

    ``read`` maps it to their values by name, ``write`` in reverse; both raise ``ValueError`` for a value that
    has no counterpart.
    """

    name: str
    fields: tuple[str, ...]
    read: Callable[[object], Mapping[str, object]]
    write: Callable[[Mapping[str, object]], object]


# Names in checkpoints converted from TensorFlow.
OLD_SUFFIXES = {".gamma": ".weight", ".beta": ".bias"}

# Heads of any family: classifiers, and the CRF of our own taggers.
HEADS = ("classifier.*", "qa_outputs.*", "linear.*", "crf.*")


@dataclass(frozen=True)
class MlmHead:
    """The form of the head, which maps hidden states to scores of all pieces, and its names in checkpoints.

    The head is a linear map to the width of the word embeddings, an activation and a LayerNorm (all three,
    or none of them if `dense` and `norm` are None), then a product with a (pieces, width) matrix, which is
    that of the word embeddings unless the checkpoint says that it is not tied, and a bias for each piece.
    """

    architecture: str  # the class of transformers that opens encoder and head
    dense: str | None  # the linear map's name in checkpoints
    norm: str | None  # the layer norm's
    decoder: str  # the matrix's; saved only if it is not tied
    bias: tuple[str, ...]  # the bias's, of which transformers has two; the one that is used comes first
    activation: str | None = None  # None: the configuration's
    norm_eps: float | None = None  # None: the configuration's
    dense_bias: bool = True
    supported: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    """A key of config.json → the values that this head implements, the default first."""

    def their_names(self, name: str) -> tuple[str, ...]:
        """Return the names in checkpoints of our parameter ``name``, in the order in which they are tried."""
        module, _, parameter = name.rpartition(".")
        names = {"dense": self.dense, "norm": self.norm}
        if module:
            return (f"{names[module]}.{parameter}",)
        return {"bias": self.bias, "decoder": (self.decoder,)}[name]

    def written_names(self, name: str, tied: bool) -> tuple[str, ...]:
        """Return the names under which our parameter ``name`` is saved, as transformers saves and expects it.

        With a tied head it saves one bias; otherwise two, which it treats as different parameters.
        """
        names = self.their_names(name)
        return names[-1:] if tied else names


@dataclass(frozen=True)
class Family:
    """The mapping of a family's ``config.json`` and tensors to ours: data only, no code.

    Fields of `EncoderConfig` have the names of its `FIELDS`, as ``hidden_size`` and ``attention.dropout``.
    ``constants`` and ``derived`` give those that have no key in the family's config.json; ``defaults`` those
    whose key may be absent, if the family's default differs from that of `EncoderConfig`.
    """

    model_type: str  # in config.json
    architecture: str  # the class of transformers that opens what we save
    prefix: str  # of the names in a checkpoint that was saved with a head
    config_keys: Mapping[str, str | Key]  # our field → their key
    renames: tuple[Rename, ...]
    heads: tuple[str, ...]  # patterns (with *) of the names of tensors that are no part of the encoder
    constants: Mapping[str, object] = field(default_factory=dict)
    """Our field → its value in this family."""
    derived: Mapping[str, Callable[[Mapping[str, object]], object]] = field(default_factory=dict)
    """Our field → its value, given the other fields, if it has no key or the key is absent or null."""
    split_keys: tuple[SplitKey, ...] = ()
    """Keys that give several fields."""
    written: Mapping[str, object] = field(default_factory=dict)
    """Their key → the value that it always gets; it is not read."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Our field → its value if the key is absent."""
    old_keys: Mapping[str, str] = field(default_factory=dict)
    """Other names of a key → the current one."""
    current_form: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    """A config.json → the same in the form that `config_keys` reads, if there are several."""
    supported: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    """Their key → the values that we implement, the default first."""
    tied: Mapping[str, str] = field(default_factory=dict)
    """Their name of a tensor → that of the head's tensor (with its prefix) which may be its only copy."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Their name of a tensor → that of the same tensor; checkpoints have one of them, or both and equal."""
    idle: tuple[str, ...] = ()
    """Their names of tensors that some checkpoints contain although the configuration does not use them."""
    old_suffixes: Mapping[str, str] = field(default_factory=lambda: OLD_SUFFIXES)
    """Other suffixes of tensors' names → the current ones."""
    mlm_head: MlmHead | None = None  # the head that pretraining trains

    @property
    def is_decoder(self) -> bool:
        """Whether its encoders may be causal, as they were trained."""
        return "attention.causal" in self.config_keys

    @property
    def has_decoder(self) -> bool:
        """Whether its checkpoints may have a decoder beside the encoder."""
        return "decoder.*" in self.heads

    def current_name(self, name: str) -> str:
        """Return the current name, without the prefix, of a tensor that a checkpoint calls ``name``."""
        for old, new in self.old_suffixes.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        return name.removeprefix(self.prefix)

    def their_key(self, name: str) -> str:
        """Return the key of config.json that holds our field ``name``; ``KeyError`` if there is none."""
        for split in self.split_keys:
            if name in split.fields:
                return split.name
        key = self.config_keys[name]
        return key if isinstance(key, str) else key.name

    def their_names(self, name: str) -> tuple[Rename, list[str]]:
        """Return the rule for our parameter ``name``, and its names in a checkpoint."""
        for rename in self.renames:
            names = rename.their_names(name)
            if names is not None:
                return rename, names
        raise KeyError(f"the table of family {self.model_type!r} has no row for {name!r}")
