"""Weights that are too large for one file: written in shards, read again, and never mixed with others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from adapter_cases import their_model, write_their
from torch import Tensor
from transformers import AutoModel

from pybert_crf.encoders import Encoder, EncoderConfig, open_encoder, read_tensors, write_tensors
from pybert_crf.encoders.checkpoint import tensors as module

TENSORS = {f"layer.{i}": torch.full((10 + i,), float(i)) for i in range(7)} | {"scalar": torch.tensor(3.0)}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(each.equal(other[name]) for name, each in one.items())


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SHARD", 120)


@pytest.mark.usefixtures("small_shards")
def test_shards_and_index(tmp_path: Path) -> None:
    write_tensors(tmp_path, TENSORS)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    assert names(tmp_path) == sorted([*files, "model.safetensors.index.json"])
    assert files[0] == f"model-00001-of-{len(files):05}.safetensors"
    assert index["metadata"]["total_size"] == sum(each.nbytes for each in TENSORS.values())
    for file in files:
        inside = sum(TENSORS[name].nbytes for name, place in index["weight_map"].items() if place == file)
        assert 0 < inside <= 120
    assert same(read_tensors(tmp_path), TENSORS)


def test_another_form_replaces_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {name: each + 1 for name, each in TENSORS.items()}
    for size, tensors in ((120, TENSORS), (10**9, changed), (200, TENSORS), (120, changed), (10**9, TENSORS)):
        monkeypatch.setattr(module, "MAX_SHARD", size)
        write_tensors(tmp_path, tensors)
        assert same(read_tensors(tmp_path), tensors)
    assert names(tmp_path) == ["model.safetensors"]


@pytest.mark.usefixtures("small_shards")
def test_an_error_leaves_the_shards_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tensors(tmp_path, TENSORS)
    before, written = names(tmp_path), []
    save = module.save_file

    def fail(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        save(tensors, path, metadata=metadata)

    monkeypatch.setattr(module, "save_file", fail)
    with pytest.raises(OSError, match="no space left to write"):
        write_tensors(tmp_path, {name: each + 1 for name, each in TENSORS.items()})
    assert names(tmp_path) == before
    assert same(read_tensors(tmp_path), TENSORS)


@torch.no_grad()
def test_encoders_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and those of transformers, read here and there."""
    monkeypatch.setattr(module, "MAX_SHARD", 20_000)
    ids = torch.arange(8)[None]
    torch.manual_seed(0)
    ours = Encoder(EncoderConfig.from_size("tiny", vocab_size=60)).eval()
    write_their(tmp_path / "start", their_model("qwen3"))
    for number, encoder in enumerate((ours, open_encoder(tmp_path / "start", bidirectional=False).eval())):
        directory = tmp_path / str(number)
        encoder.save_pretrained(directory)
        assert not (directory / "model.safetensors").exists()
        assert torch.equal(open_encoder(directory).eval()(ids), encoder(ids))
        options = {} if number else {"add_pooling_layer": False}
        theirs = AutoModel.from_pretrained(directory, **options).eval()
        assert (theirs(ids).last_hidden_state - encoder(ids)).abs().max() < 1e-5
