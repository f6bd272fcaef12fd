"""Damages of a saved model's directory: every field of every JSON file, every file, every weight format."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Damage = tuple[str, Callable[[Path], None]]
"""A description, and what does the damage in a directory."""

KINDS_OF_TENSORS = (
    "bert.embeddings.word_embeddings.weight",
    "bert.encoder.layer.1.attention.self.key.weight",
    "bert.encoder.layer.0.output.LayerNorm.bias",
    "classifier.weight",
    "crf.transitions",
)
"""Of a tagger with a BERT of two layers."""

REMOVED = object()

VALUES: dict[str, Any] = {
    "removed": REMOVED,
    "null": None,
    "a string": "x",
    "a list": [1, "x"],
    "an object": {"x": 1},
    "negative": -1,
    "huge": 10**9,
    "beyond 64 bits": 10**30,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "true": True,
}
"""What a field may become."""

CONTENTS: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "garbage": bytes(range(256)) * 20,
    "zeros": bytes(4096),
    "a list": b"[]",
    "a number": b"3",
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"model_type":' * 100_000,
    "deep and closed": b'{"model_type":' + b"[" * 900 + b"]" * 900 + b"}",
    "a long number": b'{"vocab_size":' + b"9" * 10_000 + b"}",
    "lone surrogate": b'{"model_type": "\\ud800", "pad_token": "\\ud800"}',
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}
"""What a file may become."""


def field_damages(directory: Path, name: str) -> Iterator[Damage]:
    """Every value of `VALUES` in every field of a JSON file; of long objects and lists, the first entries."""
    content = json.loads((directory / name).read_text(encoding="utf-8"))
    for path in _paths(content):
        for kind, value in VALUES.items():
            damaged = copy.deepcopy(content)
            _set(damaged, path, value)
            text = json.dumps(damaged)
            yield f"{name}: {'.'.join(map(str, path))} {kind}", _writing(name, text.encode())
    repeated = json.dumps(content).replace("{", '{"model_type": "gpt2", "version": "7", ', 1)
    yield f"{name}: repeated keys", _writing(name, repeated.encode())


def file_damages(directory: Path) -> Iterator[Damage]:
    """Every content of `CONTENTS`, and truncation, in every file."""
    for path in sorted(directory.iterdir()):
        for kind, content in CONTENTS.items():
            yield f"{path.name}: {kind}", _writing(path.name, content)
        whole = path.read_bytes()
        for part in (1, 7, len(whole) // 3, len(whole) // 2, len(whole) - 1):
            yield f"{path.name}: its first {part} bytes", _writing(path.name, whole[:part])
        yield f"{path.name}: bytes after its end", _writing(path.name, whole + b"\xff\xfe more")
        yield f"{path.name}: a directory", _directory(path.name)


def weight_damages(directory: Path) -> Iterator[Damage]:
    """Every tensor missing, misshapen, not finite …; names with wrappers' prefixes; other formats."""
    tensors = load_file(directory / "model.safetensors")
    for name in KINDS_OF_TENSORS:
        tensor = tensors[name]
        changes = {
            "missing": {},
            "one row more": {name: torch.cat([tensor, tensor[:1]])},
            "scalar": {name: torch.tensor(1.0)},
            "empty": {name: tensor[:0]},
            "integers": {name: tensor.long()},
            "complex": {name: tensor.to(torch.complex64)},
            "NaN": {name: _with(tensor, float("nan"))},
            "infinite": {name: _with(tensor, float("inf"))},
            "too large for float32": {name: _with(tensor.double(), 1e300)},
        }
        for kind, change in changes.items():
            rest = {key: value for key, value in tensors.items() if key != name}
            yield f"{name}: {kind}", _saving(rest | change)
    for prefix in ("module.", "model.", "_orig_mod.", "bert.", "module.model."):
        yield f"prefix {prefix}", _saving({prefix + name: tensor for name, tensor in tensors.items()})
    yield "no tensors", _saving({})
    yield from _header_damages(directory)
    yield from _pickle_damages(tensors)
    yield from _shard_damages(tensors)


def _header_damages(directory: Path) -> Iterator[Damage]:
    """The header of a safetensors file: its length, its JSON, each tensor's offsets, shape and dtype."""
    whole = (directory / "model.safetensors").read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header, data = json.loads(whole[8 : 8 + size]), whole[8 + size :]
    for length in (0, 1, size - 1, size + 1, len(whole), 10**9, 2**63, 2**64 - 1):
        content = length.to_bytes(8, "little") + whole[8:]
        yield f"header of {length} bytes", _writing("model.safetensors", content)
    first = next(name for name in header if name != "__metadata__")
    for path in _paths({first: header[first]}):
        for kind, value in VALUES.items():
            damaged = copy.deepcopy(header)
            _set(damaged, path, value)
            text = json.dumps(damaged).encode()
            content = len(text).to_bytes(8, "little") + text + data
            yield f"header: {'.'.join(map(str, path))} {kind}", _writing("model.safetensors", content)


class Harmful:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("harmed",)


def _pickle_damages(tensors: dict[str, torch.Tensor]) -> Iterator[Damage]:
    name = next(iter(tensors))
    contents: dict[str, Any] = {
        "code": {**tensors, name: Harmful()},
        "code alone": Harmful(),
        "a list": list(tensors.values()),
        "wrapped": {"state_dict": tensors, "epoch": 3},
        "numbers for names": dict(enumerate(tensors.values())),
        "a number for a tensor": {**tensors, name: 3},
        "expanded": {**tensors, name: torch.zeros(1).expand(tensors[name].shape)},
        "sparse": {**tensors, name: tensors[name].to_sparse()},
        "quantised": {
            **tensors,
            name: torch.quantize_per_tensor(torch.zeros(tensors[name].shape), 1.0, 0, torch.qint8),
        },
        "meta": {**tensors, name: tensors[name].to("meta")},
        "strings": {"a": "b"},
        "nothing": None,
    }
    for kind, content in contents.items():
        for new in (True, False):
            yield f"pickle{' (old format)' * (not new)}: {kind}", _pickling(content, new)


def _shard_damages(tensors: dict[str, torch.Tensor]) -> Iterator[Damage]:
    index = "model.safetensors.index.json"
    whole = "model-00001-of-00001.safetensors"
    names: dict[str, Any] = {
        "outside": "../outside.safetensors",
        "absolute": "/etc/passwd",
        "in a directory": "a/b.safetensors",
        "this directory": ".",
        "empty": "",
        "no string": 3,
        "null": None,
        "a list": ["a"],
        "zero byte": "a\0b",
        "long": "a" * 5000,
        "missing": "model-00002-of-00002.safetensors",
        "another kind": "config.json",
    }
    places = dict.fromkeys(tensors, whole)

    def sharded(content: Any) -> Callable[[Path], None]:
        def damage(directory: Path) -> None:
            (directory / "model.safetensors").rename(directory / whole)
            save_file(tensors, directory.parent / "outside.safetensors")
            (directory / index).write_text(json.dumps(content))

        return damage

    yield "shards: none damaged", sharded({"weight_map": places})
    for kind, name in names.items():
        yield f"shards: {kind}", sharded({"weight_map": {**places, next(iter(places)): name}})
        yield f"shards: all {kind}", sharded({"weight_map": dict.fromkeys(places, name)})
    yield "shards: outside in full", sharded({"weight_map": dict.fromkeys(places, "../outside.safetensors")})
    for kind, value in VALUES.items():
        yield f"weight_map: {kind}", sharded({} if value is REMOVED else {"weight_map": value})
    yield "weight_map: a tensor too many", sharded({"weight_map": {**places, "more": whole}})
    yield "weight_map: none", sharded({"weight_map": {}})


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """The paths of all fields in a JSON value; of long objects and lists, of the first entries."""
    entries: list[Any] = []
    if isinstance(value, dict):
        entries = list(value)
    if isinstance(value, list):
        entries = list(range(len(value)))
    for key in entries if len(entries) < 45 else entries[:2]:
        yield (key,)
        for path in _paths(value[key]):
            yield (key, *path)


def _set(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    if new is REMOVED:
        del value[path[-1]]
    else:
        value[path[-1]] = new


def _with(tensor: torch.Tensor, value: float) -> torch.Tensor:
    changed = tensor.clone()
    changed.view(-1)[-1] = value
    return changed


def _writing(name: str, content: bytes | None) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        (directory / name).unlink()
        if content is not None:
            (directory / name).write_bytes(content)

    return damage


def _directory(name: str) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        (directory / name).unlink()
        (directory / name).mkdir()

    return damage


def _saving(tensors: dict[str, torch.Tensor]) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        (directory / "model.safetensors").unlink()
        save_file(tensors, directory / "model.safetensors")

    return damage


def _pickling(content: Any, new_format: bool) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        (directory / "model.safetensors").unlink()
        path = directory / "pytorch_model.bin"
        torch.save(content, path, _use_new_zipfile_serialization=new_format)

    return damage
