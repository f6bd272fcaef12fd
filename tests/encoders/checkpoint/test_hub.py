"""Finding checkpoints: local, cached or downloaded; one-line errors if that is impossible."""

from __future__ import annotations

import re
import socket
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from pybert_crf.encoders import Encoder, resolve
from pybert_crf.encoders.checkpoint import hub

NAME = "somebody/small-bert"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a hub that cannot be reached."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
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


PATHS = [
    "./model",
    "../model",
    "/no/such/directory",
    "~/model",
    "model/",
    "one/two/three",
    "a\\b",
    "C:\\a",
    "a b",
]


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("local_files_only", [False, True])
def test_paths_are_not_asked_of_the_hub(
    name: str, local_files_only: bool, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_from_hub", None)
    with pytest.raises(FileNotFoundError, match=re.escape(f"{name} is neither a directory nor a valid")):
        resolve(name, local_files_only=local_files_only)


def test_files_are_not_asked_of_the_hub(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model").touch()
    monkeypatch.setattr(hub, "_from_hub", None)
    with pytest.raises(FileNotFoundError, match="model is a file, not the directory of a checkpoint"):
        resolve("model")


def test_a_hub_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It takes the connection and is silent. One message says what to do; the libraries say nothing."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        api = huggingface_hub.HfApi(endpoint=endpoint)
        monkeypatch.setattr(huggingface_hub, "model_info", api.model_info)
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        begin = time.monotonic()
        with pytest.raises(FileNotFoundError) as caught:
            resolve(NAME)
        assert time.monotonic() - begin < 3.0
    message = str(caught.value)
    assert f"nor in the local cache, and the hub {endpoint} cannot be reached (" in message
    assert "set HF_ENDPOINT to a mirror, or download the model elsewhere and name its directory" in message
    assert capfd.readouterr() == ("", "")


def test_a_hub_slower_than_its_timeouts(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the look-up of a host's name can be."""
    monkeypatch.setattr(hub, "PATIENCE", 0.1)
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *_, **__: time.sleep(1.0))
    with pytest.raises(FileNotFoundError, match=r"cannot be reached \(no answer in 0\.1 seconds\)"):
        resolve(NAME)
    snapshot = _fill(cache)
    assert resolve(NAME) == snapshot


@pytest.fixture
def modelscope(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for the package."""
    module = ModuleType("modelscope")
    monkeypatch.setitem(sys.modules, "modelscope", module)
    return module


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_modelscope(weights: str, modelscope: ModuleType, tmp_path: Path) -> None:
    """The configuration and the weights in one format, pickles only if there are no safetensors."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def download(name: str, **arguments: Any) -> str:
        asked.append((name, arguments))
        for file in ("config.json", weights):
            if any(Path(file).match(pattern) for pattern in arguments["allow_patterns"]):
                (tmp_path / file).touch()
        return str(tmp_path)

    modelscope.snapshot_download = download  # type: ignore[attr-defined]
    assert resolve("modelscope:somebody/small-bert", revision="v2") == tmp_path
    assert (tmp_path / weights).exists()
    assert len(asked) == (1 if weights == "model.safetensors" else 2)
    assert {name for name, _ in asked} == {"somebody/small-bert"}
    assert {(options["revision"], options["local_files_only"]) for _, options in asked} == {("v2", False)}


def test_modelscope_fails(modelscope: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **arguments: Any) -> str:
        raise RuntimeError("no such model\nand more")

    modelscope.snapshot_download = refuse  # type: ignore[attr-defined]
    with pytest.raises(FileNotFoundError, match=r"modelscope:a/b cannot be downloaded \(no such model\)$"):
        resolve("modelscope:a/b")
    with pytest.raises(FileNotFoundError, match="not of the form modelscope:owner/name"):
        resolve("modelscope:../b")
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(ImportError, match=r"pip install 'pybert-crf\[modelscope\]'"):
        resolve("modelscope:a/b")


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

    monkeypatch.setattr(hub, "_list_files", lambda name, revision: files)
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

    def refuse(name: str, revision: str | None, timeout: float) -> None:
        raise error.__new__(error)  # their constructors need an HTTP response of a library that changes

    monkeypatch.setattr(huggingface_hub, "model_info", refuse)
    with pytest.raises(FileNotFoundError) as caught:
        resolve(NAME, revision="v2")
    assert message in str(caught.value)
