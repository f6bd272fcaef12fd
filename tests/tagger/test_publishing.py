"""A tagger goes to a hub with its card, and opens from what the hub got."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from pybert_crf.taggers.tagger import Tagger

CARD = '# mine\n\n```python\ntagger = Tagger.from_pretrained("my-tagger")\n```\n\nF1 0.9\n'
TEXT = "张三在北京工作。"


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's protocol by which files are committed; they are kept in the server's `files`."""

    server: Any

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"]))
        if self.path == "/api/repos/create":
            self.server.made = json.loads(body)
            self.reply({"url": f"{self.server.address}/me/cities", "id": "me/cities"})
        elif self.path == "/api/validate-yaml":
            self.reply({"errors": [], "warnings": []})
        elif self.path.endswith("/preupload/main"):
            names = [each["path"] for each in json.loads(body)["files"]]
            modes = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            self.reply({"files": modes})
        elif self.path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "header":
                    self.server.message = line["value"]["summary"]
            self.reply({"commitUrl": f"{self.server.address}/me/cities/commit/0", "commitOid": "0" * 40})
        else:
            self.reply({"error": "not known here"}, 404)

    def do_GET(self) -> None:
        self.reply({"error": "not known here"}, 404)

    def reply(self, answer: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.asked, server.files = [], {}
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    real = huggingface_hub.HfApi
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda token: real(endpoint=server.address, token=token))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def saved(make_tagger: Callable[..., Tagger], tmp_path: Path) -> Path:
    make_tagger().save_pretrained(tmp_path / "my-tagger")
    (tmp_path / "my-tagger" / "README.md").write_text(CARD, encoding="utf-8")
    (tmp_path / "my-tagger" / "metrics.json").write_text("{}", encoding="utf-8")
    return tmp_path / "my-tagger"


def test_a_hub_gets_the_tagger_and_its_card(hub: Any, saved: Path, tmp_path: Path) -> None:
    tagger = Tagger.from_pretrained(saved)
    address = tagger.push_to_hub("me/cities", private=True, token="hf_test", message="First")
    assert address == f"{hub.address}/me/cities"
    assert (hub.made["name"], hub.message) == ("cities", "First")
    assert hub.made.get("private") or hub.made["visibility"] == "private"  # by version
    assert {who for _, who in hub.asked} == {"Bearer hf_test"}
    received = tmp_path / "received"
    received.mkdir()
    for name, content in hub.files.items():
        (received / name).write_bytes(content)
    assert Tagger.from_pretrained(received)(TEXT) == tagger(TEXT)
    card = hub.files.pop("README.md").decode()
    assert card == CARD.replace('"my-tagger"', '"me/cities"')
    # What names the files of the run stays at home.
    assert set(hub.files) == {each.name for each in saved.iterdir()} - {"README.md", "metrics.json"}


def test_a_card_describes_the_tagger_that_is_sent(hub: Any, saved: Path, tmp_path: Path) -> None:
    tagger = Tagger.from_pretrained(saved)
    tagger.model.linear.bias.data += 1.0
    with pytest.raises(
        ValueError, match=r"from which this one differs \(model\.safetensors\): give the path"
    ):
        tagger.push_to_hub("me/cities")
    assert not hub.asked
    own = tmp_path / "card.md"
    own.write_text("# another\n", encoding="utf-8")
    tagger.push_to_hub("me/cities", card=own)
    assert hub.files["README.md"] == b"# another\n"


def test_a_tagger_without_a_card_gets_one(hub: Any, make_tagger: Callable[..., Tagger]) -> None:
    make_tagger().push_to_hub("me/cities")
    card = hub.files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: pybert-crf\n")
    assert 'Tagger.from_pretrained("me/cities")' in card
    assert "Labels (BIO, one for each char): O, B-LOC, B-PER, I-LOC, I-PER" in card


def test_what_fails_is_told(
    hub: Any, make_tagger: Callable[..., Tagger], monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger = make_tagger()
    for name in ("../there", "a b", "modelscope:alone"):
        with pytest.raises(ValueError, match="is no name of a model"):
            tagger.push_to_hub(name)
    monkeypatch.setattr(Hub, "do_POST", lambda self: self.reply({"error": "Invalid user token."}, 401))
    with pytest.raises(OSError, match=r"me/cities cannot be uploaded \(.*401"):
        tagger.push_to_hub("me/cities")
    tagger.int8 = True
    with pytest.raises(ValueError, match="a quantised tagger cannot be saved"):
        tagger.push_to_hub("me/cities")


def test_modelscope(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the package, whose signatures these are."""
    calls: list[tuple[Any, ...]] = []

    class HubApi:
        def login(self, access_token: str) -> None:
            calls.append(("login", access_token))

        def create_repo(self, repo_id: str, *, visibility: str, exist_ok: bool) -> None:
            calls.append(("create", repo_id, visibility, exist_ok))

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> None:
            names = sorted(each.name for each in Path(folder_path).iterdir())
            calls.append(("upload", repo_id, names, commit_message))

    module = ModuleType("modelscope.hub.api")
    module.HubApi = HubApi  # type: ignore[attr-defined]
    for name in ("modelscope", "modelscope.hub"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "modelscope.hub.api", module)
    tagger = Tagger.from_pretrained(saved)
    assert tagger.push_to_hub("modelscope:me/cities", token="secret") == "modelscope:me/cities"
    names = sorted(each.name for each in saved.iterdir() if each.name != "metrics.json")
    assert calls == [
        ("login", "secret"),
        ("create", "me/cities", "public", True),
        ("upload", "me/cities", names, "Tagger"),
    ]
    monkeypatch.setitem(sys.modules, "modelscope.hub.api", None)
    with pytest.raises(ImportError, match=r"pip install 'pybert-crf\[modelscope\]'"):
        tagger.push_to_hub("modelscope:me/cities")
