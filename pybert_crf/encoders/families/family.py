"""What a family of encoders is: a table of data that says how its checkpoints are spelt."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pybert_crf.encoders.families.mlm_head import MlmHead


@dataclass(frozen=True)
class Rename:
    """One module of ours, and its names in checkpoints; each ``{}`` stands for a layer's or group's number.

    Where they keep in several tensors what we keep in one (query, key and value), ours is theirs stacked
    along the first axis, in their order. Read backwards it is the rule for saving. A family that keeps its
    values otherwise (transposed, interleaved) overrides `split` and `join`, each the other's inverse.
    """

    ours: str
    theirs: tuple[str, ...]

    def their_names(self, name: str) -> list[str] | None:
        """Return the checkpoint's names of our parameter ``name``; None where this rule is not about it."""
        match = re.fullmatch(re.escape(self.ours).replace(r"\{\}", r"(\d+)") + r"\.(\w+)", name)
        if match is None:
            return None
        *numbers, parameter = match.groups()
        return [f"{theirs.format(*numbers)}.{parameter}" for theirs in self.theirs]

    def split(self, ours: Tensor) -> tuple[Tensor, ...]:
        """Cut our tensor into theirs (views)."""
        return ours.chunk(len(self.theirs))

    def join(self, theirs: list[Tensor]) -> Tensor:
        """Stack their tensors into ours (a copy)."""
        return torch.cat(theirs)


@dataclass(frozen=True)
class Key:
    """A key of config.json whose values are not ours: ``values`` maps theirs to ours, one to one."""

    name: str
    values: Mapping[object, object]

    def read(self, theirs: object) -> object:
        """Return our value; raise ``ValueError`` where there is none."""
        for their_value, ours in self.values.items():
            if their_value == theirs:
                return ours
        known = ", ".join(repr(value) for value in self.values)
        raise ValueError(f"{self.name} = {theirs!r} is not supported, only {known}")

    def write(self, ours: object) -> object:
        """Return their value; raise ``ValueError`` where there is none."""
        for their_value, our_value in self.values.items():
            if our_value == ours:
                return their_value
        raise ValueError(f"{self.name} has no value for {ours!r}")


# Spellings of TensorFlow's releases.
OLD_SUFFIXES = {".gamma": ".weight", ".beta": ".bias"}

# What stands on every kind of encoder: linear layers over it, and our own taggers' CRF.
HEADS = ("classifier.*", "qa_outputs.*", "linear.*", "crf.*")


@dataclass(frozen=True)
class Family:
    """How one family's ``config.json`` and tensors map to ours. Data only: adding a family adds no code.

    ``constants`` and ``derived`` fill the fields of `EncoderConfig` that the family's config.json does not
    speak of; ``defaults`` those that it may leave unsaid, where `EncoderConfig`'s own default is another.
    """

    model_type: str  # in config.json
    architecture: str  # the class of transformers that opens what we save
    prefix: str  # stands before the names where the checkpoint was saved with a head
    config_keys: Mapping[str, str | Key]  # our field → their key
    renames: tuple[Rename, ...]
    heads: tuple[str, ...]  # tensors that are no part of an encoder: names, where * stands for anything
    constants: Mapping[str, object] = field(default_factory=dict)  # our field → its value in this family
    derived: Mapping[str, Callable[[Mapping[str, object]], object]] = field(
        default_factory=dict
    )  # from others
    defaults: Mapping[str, object] = field(
        default_factory=dict
    )  # our field → its value where the key is absent
    old_keys: Mapping[str, str] = field(default_factory=dict)  # other spellings of a key → today's
    supported: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    """Their key → the values that we implement, the default first."""
    tied: Mapping[str, str] = field(default_factory=dict)
    """Their name of a tensor → the head's, prefixed as it is, under which some keep the only copy of it."""
    idle: tuple[str, ...] = ()
    """Their names of tensors that some checkpoints bring where the configuration has no use for them."""
    old_suffixes: Mapping[str, str] = field(
        default_factory=lambda: OLD_SUFFIXES
    )  # of tensors' names → today's
    mlm_head: MlmHead | None = None  # the head that pretraining trains

    def their_key(self, name: str) -> str:
        """Return the key of config.json that holds our field ``name``."""
        key = self.config_keys[name]
        return key if isinstance(key, str) else key.name

    def their_names(self, name: str) -> tuple[Rename, list[str]]:
        """Return the rule for our parameter ``name``, and its names in a checkpoint."""
        for rename in self.renames:
            names = rename.their_names(name)
            if names is not None:
                return rename, names
        raise KeyError(f"the table of family {self.model_type!r} has no row for {name!r}")
