"""What the READMEs and docs tell people to type works: every Python block and every pybert-crf line.

The two lines with ``pip install`` are run by ``.ci/run``.
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

from pybert_crf import Tagger
from pybert_crf.demo.grammar import make_corpus
from pybert_crf.encoders import Encoder
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.zh-CN.md"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def blocks(file: str, language: str) -> list[str]:
    """The fenced blocks of a language in a document."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", (ROOT / file).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


def commands(file: str) -> list[str]:
    """The shell lines of a document that call pybert-crf and install nothing."""
    lines = [line for block in blocks(file, "sh") for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if "pybert-crf " in line and "pip install" not in line]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the documents assume it: corpora in the files they name, and `bert-base-chinese` cached."""
    folder = tmp_path_factory.mktemp("place")
    make_corpus(sizes=(60, 20, 20)).write(folder)
    for name in ("train", "dev", "test"):
        (folder / f"example.{name}").write_bytes((folder / f"{name}.txt").read_bytes())
    units = (sentence.tokens for sentence in read_corpus(folder / "train.txt").sentences)
    (folder / "text.txt").write_text("".join(f"{''.join(tokens)}\n" for tokens in units), encoding="utf-8")
    snapshot = folder / "hub" / "models--bert-base-chinese" / "snapshots" / COMMIT
    tokens = [sentence.tokens for sentence in read_corpus(folder / "train.txt").sentences]
    tokenizer = UnitTokenizer.build(tokens, "char", min_count=1)
    Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size).save_pretrained(snapshot)
    tokenizer.save(snapshot)
    references = snapshot.parents[1] / "refs"
    references.mkdir()
    (references / "main").write_text(COMMIT)
    return folder


def environment(place: Path) -> dict[str, str]:
    """Offline, with the cache of `place` and this interpreter's scripts first on the path."""
    scripts = sysconfig.get_path("scripts")
    return os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_CACHE": str(place / "hub"),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.mark.parametrize("file", [*READMES, "docs/from-bert4torch.md", "docs/from-bert4torch.zh-CN.md"])
def test_the_commands_run(file: str, place: Path) -> None:
    lines = commands(file)
    assert lines
    for line in lines:
        line = re.sub(r"(--out \S+)", r"\1 --overwrite", line)  # the translations share it
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=place,
            env=environment(place),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)
        if "predict" in line:
            assert json.loads(done.stdout)["text"] == "林小雨在青河市人民医院工作。"
    assert Tagger.from_pretrained(place / ("my-tagger" if file in READMES else "ner")).unit == "char"


@pytest.mark.parametrize("file", READMES)
def test_the_python_runs(file: str, place: Path) -> None:
    found = blocks(file, "python")
    assert len(found) == 4
    for number, block in enumerate(found):
        code = block.replace('out="my-tagger"', f'out="python-{file}", epochs=1')
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=place,
            env=environment(place),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (number, block, done.stderr)


def test_the_readmes_show_the_same_code() -> None:
    def bare(file: str) -> list[str]:
        return [re.sub(r" *#.*", "", block) for kind in ("sh", "python") for block in blocks(file, kind)]

    english, chinese = (bare(file) for file in READMES)
    assert english == chinese


def test_ci_runs_the_readmes_own_test_command() -> None:
    assert "README.md" in (ROOT / ".ci" / "run").read_text("utf-8")
    (line,) = [line for block in blocks("README.md", "sh") for line in block.splitlines() if "pytest" in line]
    assert line == "pip install -c constraints.txt '.[test]' && pytest"


@pytest.mark.parametrize("file", [*READMES, "CONTRIBUTING.md", "docs/README.md", "benchmarks/README.md"])
def test_links_within_the_project_lead_somewhere(file: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / file).read_text("utf-8"))
    missing = [target for target in targets if not ((ROOT / file).parent / target).exists()]
    assert missing == []
