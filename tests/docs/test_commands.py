"""What the READMEs and docs tell people to type works: every Python block and every pybert-crf line.

The two lines with ``pip install`` are run by ``.ci/run``. The English pages are run: their translations show
the same code (``test_pages.py``). Runs that learn are cut to one epoch.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from adapter_cases import their_model, write_their, write_tokenizer
from pages import ROOT, blocks

from pybert_crf import Tagger
from pybert_crf.demo.grammar import make_corpus
from pybert_crf.encoders import Encoder
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer

README = "README.md"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def commands(page: str) -> list[str]:
    """The shell lines of a page that call pybert-crf and install nothing."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if "pybert-crf " in line and "pip install" not in line]


def cached_checkpoint(cache: Path, tokens: list[list[str]]) -> None:
    """Enter a tiny encoder with random weights into a hub cache, as `bert-base-chinese`."""
    snapshot = cache / "models--bert-base-chinese" / "snapshots" / COMMIT
    tokenizer = UnitTokenizer.build(tokens, "char", min_count=1)
    Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size).save_pretrained(snapshot)
    tokenizer.save(snapshot)
    references = snapshot.parents[1] / "refs"
    references.mkdir()
    (references / "main").write_text(COMMIT)


def run(command: list[str], folder: Path) -> str:
    """Run a command in a folder, offline, with this interpreter's scripts first on the path; its output."""
    scripts = sysconfig.get_path("scripts")
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_CACHE": str(folder / "hub"),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def run_line(line: str, folder: Path) -> str:
    """Run a line of a page in a shell."""
    return run(["bash", "-c", re.sub(r"(pybert-crf (?:train|pretrain) .*)", r"\1 --epochs 1", line)], folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the pages assume it: corpora in the files they name, and `bert-base-chinese` cached."""
    folder = tmp_path_factory.mktemp("place")
    make_corpus(sizes=(60, 20, 20)).write(folder)
    for name in ("train", "dev", "test"):
        (folder / f"example.{name}").write_bytes((folder / f"{name}.txt").read_bytes())
    tokens = [list(sentence.tokens) for sentence in read_corpus(folder / "train.txt").sentences]
    (folder / "text.txt").write_text("".join(f"{''.join(units)}\n" for units in tokens), encoding="utf-8")
    cached_checkpoint(folder / "hub", tokens)
    return folder


@pytest.fixture(scope="module")
def outputs(place: Path) -> dict[str, str]:
    """What the README's lines print, after they ran in their order."""
    return {line: run_line(line, place) for line in commands(README)}


def test_the_readmes_commands_run(place: Path, outputs: dict[str, str]) -> None:
    assert {"train", "evaluate", "predict", "pretrain"} <= set(
        re.findall(r"pybert-crf (\w+)", " ".join(outputs))
    )
    (predicted,) = [output for line, output in outputs.items() if "predict" in line]
    assert json.loads(predicted)["text"] == "林小雨在青河市人民医院工作。"
    assert Tagger.from_pretrained(place / "my-tagger").unit == "char"
    assert Encoder.from_pretrained(place / "my-encoder").config.vocab_size > 0


def test_the_readmes_python_runs(place: Path, outputs: dict[str, str]) -> None:
    """Each block by itself, all in one process; the tagger is the one that the commands trained."""
    found = blocks(README, "python")
    assert len(found) == 4
    codes = [code.replace('out="my-tagger"', 'out="python", epochs=1') for code in found]
    run([sys.executable, "-c", f"for code in {codes!r}:\n    exec(code, {{}})"], place)
    assert (place / "python" / "metrics.json").exists()


@pytest.mark.slow
def test_the_answers_page_runs(place: Path, outputs: dict[str, str]) -> None:
    for line in commands("docs/answers.md"):
        run_line(line, place)
    assert json.loads((place / "tasks.json").read_text("utf-8"))[0]["predictions"]
    codes = blocks("docs/answers.md", "python")
    run([sys.executable, "-c", f"for code in {codes!r}:\n    exec(code, {{}})"], place)


@pytest.mark.slow
def test_the_export_page_runs(place: Path, outputs: dict[str, str]) -> None:
    pytest.importorskip("onnxscript")
    told = {line: run_line(line, place) for line in commands("docs/export.md")}
    (found,) = (output for line, output in told.items() if " predict " in line)
    (code,) = blocks("docs/export.md", "python")
    printed = run([sys.executable, "-c", code], place)
    assert len(printed.splitlines()) == len(json.loads(found)["entities"])


@pytest.mark.slow
def test_the_serving_page_runs(place: Path, outputs: dict[str, str]) -> None:
    """The server, at a free port, and what asks it."""
    for needed in ("fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(needed)
    (serving,) = commands("docs/serving.md")
    command = [sys.executable, "-m", *serving.replace("pybert-crf", "pybert_crf").split(), "--port", "0"]
    server = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        told = iter(server.stderr.readline, "")
        port = next(found[1] for line in told if (found := re.match(r"http://[^ ]*:(\d+)/", line)))
        lines = [line for block in blocks("docs/serving.md", "sh") for line in block.splitlines()]
        asked = [line.replace(":8000", f":{port}") for line in lines if line.startswith("curl ")]
        answers = [json.loads(run(["bash", "-c", line], place)) for line in asked]
        (code,) = blocks("docs/serving.md", "python")
        printed = run([sys.executable, "-c", code.replace(":8000", f":{port}")], place)
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert server.returncode == 0
    assert [next(iter(answer)) for answer in answers] == ["text", "answers", "text", "models"]
    tagger = Tagger.from_pretrained(place / "my-tagger")
    assert len(printed.splitlines()) == len(answers[0]["entities"]) == len(tagger(answers[0]["text"]))


@pytest.mark.slow
def test_the_training_pages_commands_run(place: Path) -> None:
    pytest.importorskip("peft")
    for line in commands("docs/training.md"):
        run_line(line, place)
        (out,) = re.findall(r"--out (\S+)", line)
        code = f"from pybert_crf import Tagger; Tagger.from_pretrained({out!r})"
        run([sys.executable, "-c", code], place)


@pytest.mark.slow
def test_the_page_about_documents_runs(place: Path) -> None:
    train, predict = commands("docs/context.md")
    run_line(train, place)
    assert Tagger.from_pretrained(place / "in-context").context == 32
    run_line(predict, place)
    assert len((place / "answers.jsonl").read_text("utf-8").splitlines()) == 60
    (code,) = blocks("docs/context.md", "python")
    assert len(run([sys.executable, "-c", code], place).splitlines()) == 2


@pytest.mark.slow
def test_the_tuning_page_runs(place: Path) -> None:
    pytest.importorskip("optuna")
    told = [run_line(line, place) for line in commands("docs/tuning.md")]
    assert re.search(r"^trial +dev F1 +epochs +state", told[0], re.MULTILINE)
    assert (place / "my-tuned-tagger" / "metrics.json").exists()
    (code,) = blocks("docs/tuning.md", "python")
    assert "from-python/best.toml" in run([sys.executable, "-c", code], place)


@pytest.mark.slow
def test_the_backbones_pages_commands_run(place: Path) -> None:
    """With tiny random models in the place of the ones that they name."""
    pytest.importorskip("peft")
    tokens = [sentence.tokens for sentence in read_corpus(place / "train.txt").sentences]
    lines = commands("docs/backbones.md")
    names = set(re.findall(r"--model (\S+)", " ".join(lines)))
    assert names == {"Qwen/Qwen3-0.6B", "Qwen/Qwen3-8B"}
    for name in names:
        folder = place / "hub" / f"models--{name.replace('/', '--')}"
        write_their(folder / "snapshots" / COMMIT, their_model("qwen3"))
        write_tokenizer(folder / "snapshots" / COMMIT, "bytes", ["".join(each) for each in tokens])
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(COMMIT)
    told = {line: run_line(line, place) for line in lines}
    (info,) = (output for line, output in told.items() if " info " in line)
    assert "a decoder that attends both ways here" in info
    assert not Tagger.from_pretrained(place / "causal").model.encoder.bidirectional
    assert str(Tagger.from_pretrained(place / "large").model.encoder.dtype) == "torch.bfloat16"


@pytest.mark.slow
def test_the_corpora_pages_command_runs(place: Path) -> None:
    (line,) = commands("docs/corpora.md")
    assert "train.txt" in run_line(line, place)
    assert (place / "data.html").read_text("utf-8").startswith("<!doctype html>")


def test_ci_runs_the_readmes_own_test_command() -> None:
    assert "nox --no-venv -s tests" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert README in (ROOT / "noxfile.py").read_text("utf-8")
    (line,) = [line for block in blocks(README, "sh") for line in block.splitlines() if "pytest" in line]
    assert line == "pip install -c constraints.txt '.[test]' && pytest -n 2 --dist worksteal"
