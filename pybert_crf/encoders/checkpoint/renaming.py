"""Renaming of tensors between a family's checkpoints and our modules, strict in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from pybert_crf.encoders.checkpoint.tensors import CheckpointError
from pybert_crf.encoders.config import EncoderConfig
from pybert_crf.encoders.families import Family
from pybert_crf.reading import listed, quoted


def check_number_of_layers(family: Family, config: EncoderConfig, tensors: Mapping[str, Tensor]) -> None:
    """Raise ``CheckpointError`` if there are fewer tensors than layers, before these are built."""
    layers, keys = config.num_layers, ["num_layers"]
    sharing = config.sharing
    if sharing.num_groups:
        layers = sharing.num_groups * sharing.layers_per_group
        keys = ["sharing.num_groups", "sharing.layers_per_group"]
    if layers > len(tensors):
        names = " · ".join(family.their_key(key) for key in keys)
        raise CheckpointError(f"config.json: {names} is {layers}, but there are only {len(tensors)} tensors")


def is_finite(tensor: Tensor) -> bool:
    """Whether a floating point tensor contains neither an infinity nor a NaN; needs no memory."""
    return not tensor.numel() or all(bool(extreme.isfinite()) for extreme in tensor.aminmax())


def import_tensors(
    family: Family, template: Mapping[str, Tensor], tensors: Mapping[str, Tensor], dtype: torch.dtype
) -> dict[str, Tensor]:
    """Return a tensor for each name in ``template``, copied from ``tensors`` and of the template's shape.

    Raises one ``CheckpointError`` naming every tensor that is missing, unexpected, of another shape, or not
    finite in ``dtype``.
    """
    given = _body(family, tensors)
    imported: dict[str, Tensor] = {}
    missing: list[str] = []
    misfits: list[str] = []
    for name, ours in template.items():
        rename, names = family.their_names(name)
        parts: list[Tensor] = []
        for their_name, expected in zip(names, rename.split(ours), strict=True):
            if their_name not in given:
                missing.append(their_name)
                continue
            tensor = given.pop(their_name)
            if tensor.shape != expected.shape:
                misfits.append(f"{their_name} is {tuple(tensor.shape)}, not {tuple(expected.shape)}")
            elif not tensor.is_floating_point():
                misfits.append(f"{their_name} is of {tensor.dtype}, not floating point")
            else:
                parts.append(tensor.to("cpu", dtype))
                if not is_finite(parts[-1]):
                    misfits.append(f"{their_name} is not finite in {dtype}")
        if len(parts) == len(names):
            imported[name] = rename.join(parts)
    unexpected = sorted(given.keys() - set(family.idle))
    problems = {"missing": missing, "unexpected": unexpected, "wrong": misfits}
    if any(problems.values()):
        found = "; ".join(f"{kind}: {listed(names)}" for kind, names in problems.items() if names)
        found = _wrapper(family, missing, tensors) or found
        raise CheckpointError(f"the tensors do not fit this {family.model_type} encoder; {found}")
    return imported


def _wrapper(family: Family, missing: list[str], tensors: Mapping[str, Tensor]) -> str:
    """Return advice if the missing tensors are there behind a wrapper's prefix ("module.", "bert.bert.")."""
    if not missing:
        return ""
    for name in tensors:
        prefix = name.removesuffix(missing[0])
        if prefix != name and all(prefix + other in tensors for other in missing):
            extra = prefix.removesuffix(family.prefix) or prefix
            return (
                f"their names begin with {quoted(prefix)}, as saved from inside a wrapper (DataParallel, "
                "torch.compile, a class of one's own): save the model inside it, or rename them by "
                f"{{name.removeprefix({quoted(extra)}): tensor for name, tensor in tensors.items()}}"
            )
    return ""


def export_tensors(family: Family, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of ``tensors``, which are under our names, under the family's names."""
    exported: dict[str, Tensor] = {}
    for name, ours in tensors.items():
        rename, names = family.their_names(name)
        for their_name, part in zip(names, rename.split(ours.detach()), strict=True):
            exported[their_name] = part.clone(memory_format=torch.contiguous_format)
    return exported


def _body(family: Family, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's tensors, not those of heads, under current names without the family's prefix."""
    plain: dict[str, Tensor] = {}
    for full_name, tensor in tensors.items():
        name = family.current_name(full_name)
        if any(fnmatchcase(name, head) for head in family.heads):
            continue
        if name in plain:
            raise CheckpointError(f"{name} is present twice, under two names ({full_name} is one)")
        plain[name] = tensor
    for name, other in family.copies.items():
        if name in plain and not _is_same(plain.setdefault(other, plain[name]), plain[name]):
            raise CheckpointError(f"{name} and {other} differ, but should be the same tensor")
        plain.pop(name, None)
    for name, heads_name in family.tied.items():
        if name not in plain and heads_name in tensors:
            plain[name] = tensors[heads_name]
    return plain


def _is_same(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors have the same type, shape and elements."""
    return first is second or (first.dtype == second.dtype and torch.equal(first, second))
