"""Finding checkpoints: local, cached or downloaded; one-line errors if that is impossible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from pybert_crf.encoders import Encoder, resolve

NAME = "somebody/small-bert"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a hub that cannot be reached."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def _fill(cache: Path) -> Path:
    """Store a model in the cache as huggingface_hub does; return its snapshot."""
    repository = cache / "models--somebody--small-bert"
    snapshot = repository / "snapshots" / COMMIT
    Encoder.from_size("tiny", vocab_size=67).save_pretrained(snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return snapshot


@pytest.mark.parametrize("local_files_only", [False, True])
def test_cached_models_need_no_network(local_files_only: bool, cache: Path) -> None:
    snapshot = _fill(cache)
    assert resolve(NAME, local_files_only=local_files_only) == snapshot
    assert resolve(NAME, revision=COMMIT, local_files_only=local_files_only) == snapshot
    encoder = Encoder.from_pretrained(NAME, local_files_only=local_files_only)
    assert encoder.config.vocab_size == 67


def test_not_cached_and_offline(cache: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=f"{NAME} is neither a directory nor in the local cache, and the hub"
    ):
        resolve(NAME)
    with pytest.raises(FileNotFoundError, match=f"{NAME} is neither a directory nor in the local cache$"):
        resolve(NAME, local_files_only=True)
    _fill(cache)
    with pytest.raises(FileNotFoundError, match=f"{NAME} at revision v9 is neither"):
        resolve(NAME, revision="v9")


def test_a_cached_model_without_weights(cache: Path) -> None:
    (_fill(cache) / "model.safetensors").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"not a checkpoint: it has no weights \(model\.safetensors or"
    ):
        resolve(NAME)


@pytest.mark.parametrize("name", ["./no/such/directory", "/no/such/directory", "a b", "one/two/three"])
@pytest.mark.parametrize("local_files_only", [False, True])
def test_impossible_names(name: str, local_files_only: bool, cache: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"{name} is neither a directory nor a valid name of a model"):
        resolve(name, local_files_only=local_files_only)


def test_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Encoder.from_size("tiny", vocab_size=67).save_pretrained(tmp_path / "model")
    assert resolve(tmp_path / "model") == tmp_path / "model"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/model") == tmp_path / "model"
    (tmp_path / "model" / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"model is not a checkpoint: it has no config\.json$"):
        resolve(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"it has no config\.json and no weights"):
        resolve(tmp_path / "model")


BOTH = ["README.md", "config.json", "vocab.txt", "onnx/model.onnx", "tf_model.h5", "model.safetensors"]
BOTH += ["pytorch_model.bin", "model.fp16.safetensors", "openvino/config.json"]
SHARDS = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)] + [
    "pytorch_model.bin.index.json",
    "config.json",
]
REPOSITORIES = {
    "both formats": (BOTH, {"config.json", "vocab.txt", "model.safetensors"}),
    "shards": (SHARDS, set(SHARDS)),
}


@pytest.mark.parametrize(("files", "expected"), REPOSITORIES.values(), ids=REPOSITORIES.keys())
def test_what_is_downloaded(
    files: list[str], expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a repository with many files: the configuration, the tokenizer and one format of the weights."""
    asked: dict[str, Any] = {}

    def download(name: str, **arguments: Any) -> str:
        asked.update(arguments, name=name)
        for file in arguments["allow_patterns"]:
            (tmp_path / file).touch()
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda name, revision: files)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert resolve(NAME, revision="v2") == tmp_path
    assert set(asked["allow_patterns"]) == expected
    assert (asked["name"], asked["revision"], asked["local_files_only"]) == (NAME, "v2", False)


REFUSALS = {
    RepositoryNotFoundError: f"{NAME} is neither a directory nor a (public) model of the hub",
    GatedRepoError: f"{NAME} at revision v2 is gated: request access on the hub",
    RevisionNotFoundError: f"the hub's model {NAME} has no revision v2",
}


@pytest.mark.parametrize(("error", "message"), REFUSALS.items())
def test_refusals_of_the_hub(
    error: type[Exception], message: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is not used if the hub refuses."""
    _fill(cache)

    def refuse(name: str, revision: str | None) -> list[str]:
        raise error.__new__(error)  # their constructors need an HTTP response of a library that changes

    monkeypatch.setattr(huggingface_hub, "list_repo_files", refuse)
    with pytest.raises(FileNotFoundError) as caught:
        resolve(NAME, revision="v2")
    assert message in str(caught.value)
