"""What a family of encoders is: a table of data that says how its checkpoints are spelt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rename:
    """One module of ours, and its names in checkpoints; ``{}`` stands for the number of a layer.

    Where they keep in several tensors what we keep in one (query, key and value), ours is theirs stacked
    along the first axis, in their order. Read backwards it is the rule for saving.
    """

    ours: str
    theirs: tuple[str, ...]

    def their_names(self, name: str) -> list[str] | None:
        """Return the checkpoint's names of our parameter ``name``; None where this rule is not about it."""
        match = re.fullmatch(re.escape(self.ours).replace(r"\{\}", r"(\d+)") + r"\.(\w+)", name)
        if match is None:
            return None
        *layer, parameter = match.groups()
        return [f"{theirs.format(*layer)}.{parameter}" for theirs in self.theirs]

    def split(self, ours: Tensor) -> tuple[Tensor, ...]:
        """Cut our tensor into theirs (views)."""
        return ours.chunk(len(self.theirs))

    def join(self, theirs: list[Tensor]) -> Tensor:
        """Stack their tensors into ours (a copy)."""
        return torch.cat(theirs)


@dataclass(frozen=True)
class Family:
    """How one family's ``config.json`` and tensors map to ours. Data only: adding a family adds no code."""

    model_type: str  # in config.json
    architecture: str  # the class of transformers that opens what we save
    prefix: str  # stands before the names where the checkpoint was saved with a head
    config_keys: Mapping[str, str]  # our field → their key
    supported: Mapping[str, tuple[object, ...]]  # their key → the values that we implement, the default first
    renames: tuple[Rename, ...]
    old_suffixes: Mapping[str, str]  # spellings of early releases → today's
    heads: tuple[str, ...]  # tensors that are no part of an encoder: names, where * stands for anything

    def their_names(self, name: str) -> tuple[Rename, list[str]]:
        """Return the rule for our parameter ``name``, and its names in a checkpoint."""
        for rename in self.renames:
            names = rename.their_names(name)
            if names is not None:
                return rename, names
        raise KeyError(f"the table of family {self.model_type!r} has no row for {name!r}")
