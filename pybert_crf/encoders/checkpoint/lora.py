"""A checkpoint of low-rank factors and the name of their base: ``adapter_config.json``, and their tensors.

The files are those of the package `peft`, which opens them over the base model; its optional settings, which
would change what the factors mean, are refused. Reading them needs no peft.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from pybert_crf.encoders.checkpoint.hub import resolve
from pybert_crf.encoders.checkpoint.renaming import is_finite
from pybert_crf.encoders.checkpoint.tensors import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    WEIGHT_FILES,
    CheckpointError,
    read_file,
)
from pybert_crf.encoders.low_rank import Factors
from pybert_crf.files import replacing, write_json
from pybert_crf.reading import ConfigError, listed, quoted, read_object

SUM = "base_sum"
"""Our entry in ``adapter_config.json``: a checksum of the base's tensors."""

_INSIDE = "base_model.model."  # precedes every name in peft's files
# Entries that change what the factors mean, and the values with which they do not.
_PLAIN: Mapping[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False, None),
    "use_rslora": (False, None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "lora_bias": (False, None),
}


class Base(NamedTuple):
    """The checkpoint that factors are added to: what `resolve` takes, and the checksum of its tensors."""

    name: str
    revision: str | None
    sum: int

    def directory(self, of: Path, local_files_only: bool) -> Path:
        """Where it is; `of` is the directory of the factors.

        Raises:
            FileNotFoundError: it is not there.
        """
        try:
            return resolve(self.name, revision=self.revision, local_files_only=local_files_only)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{of} holds LoRA's weights alone, over {self.name}, which is missing: {error}; if it was "
                f"moved, write its new place into {ADAPTER_CONFIG}: base_model_name_or_path"
            ) from error

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise ``CheckpointError`` if the base's tensors are not those that were trained over."""
        if checksum(tensors) != self.sum:
            raise CheckpointError(f"its base {self.name} is not the one that its LoRA was trained over")


class Lora(NamedTuple):
    """What such a directory holds.

    Attributes:
        base: the checkpoint that the factors are added to.
        factors: by the module's name in the base's checkpoint, without its prefix.
        others: the tensors of a head, by their names.
    """

    base: Base
    factors: Mapping[str, Factors]
    others: dict[str, Tensor]


def checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of the tensors' names and values."""
    crc = 0
    for name in sorted(tensors):
        plain = tensors[name].detach().cpu().contiguous()
        if plain.numel():
            values: Any = plain.view(-1).view(torch.uint8).numpy()
            crc = zlib.crc32(values, crc)
        crc = zlib.crc32(f"{name}{tuple(plain.shape)}".encode(), crc)
    return crc


def write_lora(directory: Path, lora: Lora) -> None:
    """Write ``adapter_model.safetensors`` and ``adapter_config.json``; all of one rank and scale."""
    tensors = dict(lora.others)
    for name, factors in lora.factors.items():
        tensors |= {f"{name}.lora_A.weight": factors.A, f"{name}.lora_B.weight": factors.B}
    plain = {f"{_INSIDE}{name}": tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    some = next(iter(lora.factors.values()))
    rank = some.A.shape[0]
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": lora.base.name,
        "revision": lora.base.revision,
        SUM: lora.base.sum,
        "r": rank,
        "lora_alpha": some.scale * rank,
        "target_modules": sorted(lora.factors),
        "bias": "none",
        "inference_mode": True,
    }
    with replacing(directory / ADAPTER_WEIGHTS) as path:
        save_file({name: tensor.contiguous() for name, tensor in plain.items()}, path, {"format": "pt"})
    write_json(directory / ADAPTER_CONFIG, config)
    for name in WEIGHT_FILES:  # of a model that was saved here before
        (directory / name).unlink(missing_ok=True)


def read_lora(directory: Path) -> Lora | None:
    """The factors in a directory; None if it holds weights, or no ``adapter_config.json``.

    Raises:
        ConfigError: an entry is missing, or of a kind that is not read; by name.
        CheckpointError: a tensor is missing, unexpected or misshapen; each is named.
    """
    if not (directory / ADAPTER_CONFIG).is_file() or any(
        (directory / name).is_file() for name in WEIGHT_FILES
    ):
        return None
    config = read_object(directory / ADAPTER_CONFIG)
    base, scale, targets = _read_config(config)
    if not (directory / ADAPTER_WEIGHTS).is_file():
        raise FileNotFoundError(f"{directory} has no {ADAPTER_WEIGHTS}")
    stored = read_file(directory / ADAPTER_WEIGHTS)
    tensors = {name.removeprefix(_INSIDE): tensor for name, tensor in stored.items()}
    factors: dict[str, Factors] = {}
    wrong: list[str] = []
    for name in targets:
        A, B = (tensors.pop(f"{name}.{part}.weight", None) for part in ("lora_A", "lora_B"))
        if A is None or B is None:
            wrong.append(f"{name} lacks lora_A or lora_B")
        elif not _fit(A, B, config["r"]):
            wrong.append(f"{name}: {tuple(A.shape)} and {tuple(B.shape)}")
        elif not (is_finite(A) and is_finite(B)):
            wrong.append(f"{name} is not finite")
        else:
            factors[name] = Factors(A, B, scale)
    wrong += [f"{name} is unexpected" for name in tensors if ".lora_" in name]
    if wrong:
        raise CheckpointError(f"{ADAPTER_WEIGHTS} does not fit {ADAPTER_CONFIG}: {listed(sorted(wrong))}")
    return Lora(base, factors, tensors)


def add_delta(name: str, weight: Tensor | None, factors: Factors, transposed: bool = False) -> None:
    """Add what factors have learnt to the weight of the module `name`, None if there is none.

    Raises:
        CheckpointError: there is none, or it is of another shape.
    """
    delta = factors.delta(transposed)
    if weight is None or weight.shape != delta.shape:
        found = "there is none" if weight is None else f"its weight is {tuple(weight.shape)}"
        raise CheckpointError(f"LoRA of {quoted(name)} is for a weight {tuple(delta.shape)}, but {found}")
    weight += delta.to(weight.device, weight.dtype)


def _fit(A: Tensor, B: Tensor, rank: int) -> bool:
    floating = A.is_floating_point() and B.is_floating_point()
    return floating and A.ndim == B.ndim == 2 and A.shape[0] == B.shape[1] == rank


def _read_config(config: Mapping[str, Any]) -> tuple[Base, float, list[str]]:
    """The base, the scale of the factors, and the names of the modules."""
    for key, values in _PLAIN.items():
        if key in config and config[key] not in values:
            raise ConfigError(
                f"{ADAPTER_CONFIG}: {key} = {quoted(config[key])} is not supported, only {values[0]!r}"
            )
    name, revision, crc = (config.get(key) for key in ("base_model_name_or_path", "revision", SUM))
    rank, alpha, targets = (config.get(key) for key in ("r", "lora_alpha", "target_modules"))
    if not isinstance(name, str) or not name:
        raise ConfigError(
            f"{ADAPTER_CONFIG}: base_model_name_or_path must name a checkpoint, got {quoted(name)}"
        )
    if not isinstance(revision, str | None):
        raise ConfigError(f"{ADAPTER_CONFIG}: revision must be a string, got {quoted(revision)}")
    for key, value in ((SUM, crc), ("r", rank)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigError(f"{ADAPTER_CONFIG}: {key} must be a whole number, got {quoted(value)}")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 <= alpha < 1e6 or not rank:
        raise ConfigError(
            f"{ADAPTER_CONFIG}: lora_alpha / r must be a number, got {quoted(alpha)} / {quoted(rank)}"
        )
    if not isinstance(targets, list) or not all(isinstance(each, str) for each in targets) or not targets:
        raise ConfigError(f"{ADAPTER_CONFIG}: target_modules must be a list of names, got {quoted(targets)}")
    return Base(name, revision, crc), alpha / rank, targets  # type: ignore[arg-type]
