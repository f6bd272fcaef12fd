"""The examples run as their page says, offline, and show what they claim; the page names all of them."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import torch

from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.model import BertCRF
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tokenizer import UnitTokenizer

FOLDER = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
LABEL_STUDIO = """
<View><Labels name="kind" toName="article"><Label value="PER"/></Labels>
<Text name="article" value="$body"/></View>
"""


def printed(script: str, folder: Path, *options: str) -> str:
    command = [sys.executable, "-W", "error", str(FOLDER / f"{script}.py"), *options]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def number(pattern: str, output: str) -> float:
    (found,) = re.findall(pattern, output)
    return float(found)


def test_the_pages_name_every_script() -> None:
    for page in ("README.md", "README.zh-CN.md"):
        text = (FOLDER / page).read_text("utf-8")
        assert sorted(set(re.findall(r"\]\((\w+)\.py\)", text))) == SCRIPTS
        runnable = re.findall(r"^python examples/(\w+)\.py$", text, re.MULTILINE)
        assert sorted([*runnable, "label_studio"]) == SCRIPTS
    assert all(len((FOLDER / f"{script}.py").read_text("utf-8").splitlines()) <= 100 for script in SCRIPTS)


@pytest.mark.slow
def test_the_crf_on_a_bilstm(tmp_path: Path) -> None:
    output = printed("crf_on_bilstm", tmp_path)
    assert number(r"never seen: ([\d.]+)", output) > 0.9
    assert 0 < number(r"probability ([\d.]+)", output) < 1


@pytest.mark.slow
def test_fine_tuning(tmp_path: Path) -> None:
    output = printed("fine_tuning", tmp_path)
    assert number(r"F1 on test ([\d.]+)", output) > 0.5
    report = Path(re.findall(r"sentences: (\S+report\.html)", output)[0])
    assert (tmp_path / report).read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.slow
def test_segmentation(tmp_path: Path) -> None:
    output = printed("segmentation", tmp_path)
    assert number(r"F1 of words on test: ([\d.]+)", output) > 0.9
    (words, found), *_ = re.findall(r"of (\d+) words never seen (\d+) are found", output)
    assert 0.5 < int(found) / int(words) <= 1
    assert "马晓光 研究 生命 的 起源 。" in output


@pytest.mark.slow
def test_rules_and_active_learning(tmp_path: Path) -> None:
    output = printed("rules_and_active_learning", tmp_path)
    rounds = re.findall(r"(\d+) tagged sentences: F1 on test ([\d.]+)", output)
    assert [int(size) for size, _ in rounds] == [80, 160, 240]
    assert float(rounds[-1][1]) > float(rounds[0][1])
    assert "('清河口', 'LOC'), ('张开', 'PER')" in output.splitlines()[-1]


@pytest.mark.slow
def test_onnx_and_serving(tmp_path: Path) -> None:
    for package in ("onnxscript", "fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(package)
    output = printed("onnx_and_serving", tmp_path)
    assert "the same entities and scores on 200 sentences" in output
    assert re.search(r"the same over HTTP: \w+ \w+ \(", output)


def load(script: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(script, FOLDER / f"{script}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """A small tagger with random weights that finds persons and places."""
    tokenizer = UnitTokenizer.build([list("张三在北京工作。")], "char", min_count=1)
    torch.manual_seed(11)
    encoder = Encoder(EncoderConfig(tokenizer.vocab_size, 12, 2, 3, 20, max_positions=64))
    model = BertCRF(encoder, ["O", "B-LOC", "B-PER", "I-LOC", "I-PER"], "BIO")
    torch.nn.init.normal_(model.linear.weight, std=2.0)
    return Tagger(model, tokenizer, "char")


@pytest.fixture
def backend(tagger: Tagger) -> Iterator[str]:
    server = load("label_studio").server(tagger, "tiny", 0)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def ask(address: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data)) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_label_studio_gets_predictions(
    backend: str, tagger: Tagger, capfd: pytest.CaptureFixture[str]
) -> None:
    text = "张三在北京工作。三京作" * 3
    expected = [entity for entity in tagger(text) if entity.label == "PER"]
    assert 0 < len(expected) < len(tagger(text))
    assert ask(f"{backend}/health")["status"] == "UP"
    assert ask(f"{backend}/setup", {"project": "1"}) == {"model_version": "tiny"}
    tasks = [{"id": 1, "data": {"body": text}}, {"id": 2, "data": {"body": ""}}]
    first, empty = ask(f"{backend}/predict", {"tasks": tasks, "label_config": LABEL_STUDIO})["results"]
    assert (empty["result"], empty["score"]) == ([], 1.0)
    assert first["model_version"] == "tiny"
    assert first["score"] == pytest.approx(min(entity.score for entity in expected), abs=1e-5)
    ties = {(each["from_name"], each["to_name"], each["type"]) for each in first["result"]}
    assert ties == {("kind", "article", "labels")}
    values = [(v["start"], v["end"], v["text"], v["labels"]) for v in (r["value"] for r in first["result"])]
    assert values == [(e.start, e.end, e.text, [e.label]) for e in expected]
    assert "not in the labelling interface, so not suggested: LOC" in capfd.readouterr().out


def test_label_studio_is_told_what_fails(backend: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400") as caught:
        ask(f"{backend}/predict", {"tasks": [], "label_config": "<View/>"})
    with caught.value as answer:
        told = json.load(answer)["error"]
    assert told == "ValueError: the labelling interface has no Labels over a Text"
