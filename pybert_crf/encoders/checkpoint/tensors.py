"""Weight files of a checkpoint: safetensors or pickle, in one file or in shards, read and written."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pybert_crf.files import replacing, write_json
from pybert_crf.reading import ConfigError, listed, quoted, read_object

WEIGHTS = "model.safetensors"
# In order of preference, as in transformers; an index file lists the tensors of each shard.
WEIGHT_FILES = (WEIGHTS, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""The files of LoRA's factors, beside no weights."""


MAX_SHARD = 5_000_000_000
"""Bytes of weights in one file."""


class CheckpointError(ValueError):
    """A weight file that cannot be read, or tensors that do not fit the model."""


@contextmanager
def naming(directory: Path) -> Iterator[None]:
    """Begin the errors about what ``directory`` contains with its name."""
    try:
        yield
    except (ConfigError, CheckpointError) as error:
        if str(error).startswith(str(directory)):
            raise
        raise type(error)(f"{directory}: {error}") from error


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
            return _read_shards(path) if name.endswith(".index.json") else read_file(path)
    if (directory / ADAPTER_WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{directory} holds LoRA's weights alone: open it by Tagger.from_pretrained or open_encoder"
        )
    raise FileNotFoundError(f"{directory} holds none of {', '.join(WEIGHT_FILES)}")


def write_tensors(directory: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Write ``model.safetensors`` into ``directory``, whole or, if an error occurs, not at all.

    Tensors may be on any device and of any layout; tensors that share memory are stored separately. More than
    `MAX_SHARD` bytes are written in shards with an index, as transformers has them. If the process is killed
    while the shards of an earlier checkpoint are replaced, no index is there, and nothing can be read.
    """
    memories: set[int] = set()
    owned: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        memory = plain.untyped_storage().data_ptr()
        owned[name] = plain.clone() if memory in memories else plain  # safetensors refuses shared memory
        memories.add(memory)
    directory, parts = Path(directory), _parts(owned)
    index, stale = directory / WEIGHT_FILES[1], {*directory.glob("model-*-of-*.safetensors")}
    with ExitStack() as stack:
        for name, part in parts.items():
            save_file(part, stack.enter_context(replacing(directory / name)), metadata={"format": "pt"})
        if len(parts) > 1:
            index.unlink(missing_ok=True)
    if len(parts) > 1:
        places = {key: name for name, part in parts.items() for key in sorted(part)}
        size = sum(map(_bytes, owned.values()))
        write_json(index, {"metadata": {"total_size": size}, "weight_map": places})
        stale.add(directory / WEIGHTS)
    else:
        stale.add(index)
    # What was saved here before, in another form.
    for path in {*stale, directory / ADAPTER_CONFIG, directory / ADAPTER_WEIGHTS}:
        if path.name not in parts:
            path.unlink(missing_ok=True)


def _parts(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each file, by its name: in order, each of at most `MAX_SHARD` bytes or one tensor."""
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in tensors.items():
        if shards[-1] and sum(map(_bytes, shards[-1].values())) + _bytes(tensor) > MAX_SHARD:
            shards.append({})
        shards[-1][name] = tensor
    if len(shards) == 1:
        return {WEIGHTS: shards[0]}
    return {f"model-{i:05}-of-{len(shards):05}.safetensors": shard for i, shard in enumerate(shards, 1)}


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _read_shards(index: Path) -> dict[str, Tensor]:
    """Read the shards listed in an index, and check that they contain its tensors."""
    try:
        places = read_object(index).get("weight_map")
    except ConfigError as error:
        raise CheckpointError(f"{index}: not an index of shards ({error})") from error
    if not isinstance(places, dict):
        raise CheckpointError(f"{index}: not an index of shards (weight_map is {quoted(places)})")
    suffix = Path(index.name.removesuffix(".index.json")).suffix
    for name, file in places.items():
        if not _is_beside(file, suffix):
            raise CheckpointError(
                f"{index}: weight_map: {quoted(name)} is in {quoted(file)}, "
                f"which is not the name of a {suffix} file beside the index"
            )
    files = sorted(set(places.values()))
    absent = [name for name in files if not (index.parent / name).is_file()]
    if absent:
        raise FileNotFoundError(f"{index.parent} lacks the shards {listed(absent)}, named in {index.name}")
    tensors: dict[str, Tensor] = {}
    for file in files:
        shard = read_file(index.parent / file)
        twice = sorted(set(shard) & set(tensors))
        if twice:
            raise CheckpointError(
                f"{index.parent / file} holds tensors of another shard too: {listed(twice)}"
            )
        tensors |= shard
    lost = sorted(set(places) - set(tensors))
    if lost:
        raise CheckpointError(f"{index} names tensors that no shard holds: {listed(lost)}")
    return tensors


def _is_beside(file: object, suffix: str) -> bool:
    """Whether a value is the name of a file with this suffix and without a directory."""
    return (
        isinstance(file, str) and file.endswith(suffix) and len(file) < 256 and not set(file) & set("/\\:\0")
    )


def read_file(path: Path) -> dict[str, Tensor]:
    """Read one weight file, in the format of its suffix."""
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    except Exception as error:  # both libraries raise all kinds for a damaged file
        raise CheckpointError(f"{path} cannot be read: {_first_line(error)}") from error
    if not isinstance(tensors, dict):
        raise CheckpointError(f"{path} does not contain a mapping of names to tensors, but {quoted(tensors)}")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise CheckpointError(
                f"{path} does not contain a mapping of names to tensors: {_found_instead(name, tensor)}"
            )
        if not _is_whole(tensor):
            raise CheckpointError(f"{path}: {name} is not a plain tensor whose elements are all in the file")
    return tensors


def _unpickle(path: Path) -> Any:
    """Return what a pickle contains, without running code and without allocating more than its size."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError("its members are compressed, as torch.save never does")
    return torch.load(path, map_location="cpu", weights_only=True)


def _first_line(error: Exception) -> str:
    """Return the first line of a library's message (torch advises at length to load without safety)."""
    return (str(error).splitlines() or [""])[0][:300] or type(error).__name__


def _found_instead(name: object, value: object) -> str:
    if isinstance(value, dict):
        return (
            f"the tensors may be in its entry {quoted(name)}: save that alone, by "
            f"torch.save(torch.load(path)[{quoted(name)}], path)"
        )
    return f"{quoted(name)} is {quoted(value)}"


def _is_whole(tensor: Tensor) -> bool:
    """Whether the tensor is dense, on the CPU, and not larger than its memory (as an expanded one is)."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested or tensor.is_meta:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
