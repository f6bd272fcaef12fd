"""Weight files: every format is read, faults are named, files are written whole."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pybert_crf.encoders import CheckpointError, read_tensors, write_tensors
from pybert_crf.encoders.checkpoint import tensors as tensor_files

TENSORS = {
    "a.weight": torch.arange(6.0).view(2, 3),
    "b": torch.ones(5, dtype=torch.bfloat16),
    "c": torch.tensor(7),
}
FORMS = ["safetensors", "bin", "sharded safetensors", "sharded bin"]


def _write(directory: Path, form: str) -> None:
    """Write TENSORS in one of the four formats."""
    stem, ending = ("model", "safetensors") if "safetensors" in form else ("pytorch_model", "bin")
    if "sharded" not in form:
        _write_file(directory / f"{stem}.{ending}", TENSORS)
        return
    places = {name: f"{stem}-0000{i}-of-00003.{ending}" for i, name in enumerate(TENSORS, 1)}
    for name, file in places.items():
        _write_file(directory / file, {name: TENSORS[name]})
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    (directory / f"{stem}.{ending}.index.json").write_text(json.dumps(index))


def _write_file(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    if path.suffix == ".bin":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)


def _assert_same(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert got.keys() == expected.keys()
    for name, tensor in got.items():
        assert tensor.dtype == expected[name].dtype, name
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str, tmp_path: Path) -> None:
    _write(tmp_path, form)
    _assert_same(read_tensors(tmp_path), TENSORS)


def test_the_old_format_of_torch_save(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    _assert_same(read_tensors(tmp_path), TENSORS)


def test_safetensors_come_first(tmp_path: Path) -> None:
    torch.save({"other": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    _write(tmp_path, "safetensors")
    _assert_same(read_tensors(tmp_path), TENSORS)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds none of model\.safetensors, .*pytorch_model\.bin"):
        read_tensors(tmp_path)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "sharded safetensors")
    first, second = sorted(tmp_path.glob("model-*.safetensors"))[:2]
    save_file({**load_file(first), **load_file(second)}, second, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"{second.name} holds tensors of another shard too"):
        read_tensors(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    _write(tmp_path, "sharded safetensors")
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks the shards model-00002-of-00003\.safetensors"):
        read_tensors(tmp_path)


def test_a_tensor_in_no_shard_is_named(tmp_path: Path) -> None:
    _write(tmp_path, "sharded bin")
    torch.save({}, tmp_path / "pytorch_model-00001-of-00003.bin")
    with pytest.raises(CheckpointError, match=r"no shard holds: a\.weight"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_a_broken_index_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json: not an index of shards"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_broken_file_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
        read_tensors(tmp_path)


class _Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("harmed"),)


def test_pickled_code_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": _Harmful()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin cannot be read"):
        read_tensors(tmp_path)
    assert not (tmp_path / "harmed").exists()


def test_no_mapping_of_tensors(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="does not contain a mapping of names to tensors"):
        read_tensors(tmp_path)


def test_written_tensors_are_read_back(tmp_path: Path) -> None:
    """Also tensors that share memory or are views. The file's format is "pt", as transformers requires."""
    whole = torch.arange(24.0).view(4, 6)
    tensors = {
        "whole": whole,
        "again": whole,
        "part": whole[1:3],
        "turned": whole.t(),
        "none": torch.zeros(0, 3),
    }
    tensors["parameter"] = torch.nn.Parameter(torch.ones(2))
    write_tensors(tmp_path, tensors)
    _assert_same(read_tensors(tmp_path), {name: tensor.detach() for name, tensor in tensors.items()})
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o666 & ~mask


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full after half of the file: the old file is whole, and no other file remains."""
    write_tensors(tmp_path, TENSORS)

    def half(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half of a fi")
        raise OSError("No space left on device")

    monkeypatch.setattr(tensor_files, "save_file", half)
    with pytest.raises(OSError, match="no space left to write"):
        write_tensors(tmp_path, {"a.weight": torch.zeros(1)})
    _assert_same(read_tensors(tmp_path), TENSORS)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
