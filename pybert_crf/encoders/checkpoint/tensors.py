"""Weight files of a checkpoint: safetensors or pickle, in one file or in shards, read and written."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pybert_crf.files import replacing

WEIGHTS = "model.safetensors"
# In order of preference, as in transformers; an index file lists the tensors of each shard.
WEIGHT_FILES = (WEIGHTS, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


class CheckpointError(ValueError):
    """A weight file that cannot be read, or tensors that do not fit the model."""


def read_tensors(directory: str | Path) -> dict[str, Tensor]:
    """Return all tensors of the checkpoint in ``directory`` by name, as stored, on the CPU.

    Reads the first existing file of ``WEIGHT_FILES``. Pickled files are read with ``weights_only=True``,
    which executes no code. Raises ``FileNotFoundError`` if none exists or a shard is missing, and
    ``CheckpointError`` for a file that cannot be read.
    """
    directory = Path(directory)
    for name in WEIGHT_FILES:
        path = directory / name
        if path.is_file():
            return _read_shards(path) if name.endswith(".index.json") else _read_file(path)
    raise FileNotFoundError(f"{directory} holds none of {', '.join(WEIGHT_FILES)}")


def write_tensors(directory: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Write ``model.safetensors`` into ``directory``, whole or, if an error occurs, not at all.

    Tensors may be on any device and of any layout; tensors that share memory are stored separately.
    """
    memories: set[int] = set()
    owned: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        memory = plain.untyped_storage().data_ptr()
        owned[name] = plain.clone() if memory in memories else plain  # safetensors refuses shared memory
        memories.add(memory)
    with replacing(Path(directory) / WEIGHTS) as path:
        save_file(owned, path, metadata={"format": "pt"})


def _read_shards(index: Path) -> dict[str, Tensor]:
    """Read the shards listed in an index, and check that they contain its tensors."""
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = sorted(set(places.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: not an index of shards ({error!r})") from error
    absent = [name for name in files if not (index.parent / name).is_file()]
    if absent:
        raise FileNotFoundError(f"{index.parent} lacks the shards {', '.join(absent)}, named in {index.name}")
    tensors: dict[str, Tensor] = {}
    for name in files:
        tensors |= _read_file(index.parent / name)
    lost = sorted(set(places) - set(tensors))
    if lost:
        raise CheckpointError(f"{index} names tensors that no shard holds: {', '.join(lost)}")
    return tensors


def _read_file(path: Path) -> dict[str, Tensor]:
    """Read one weight file, in the format of its suffix."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise CheckpointError(f"{path} does not contain a mapping of names to tensors")
    return tensors
