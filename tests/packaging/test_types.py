"""Types as a user's type checker sees them: the marker `py.typed`, and the stub of the extension."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pybert_crf

ROOT = Path(__file__).parents[2]
PACKAGES = str(Path(pybert_crf.__file__).parents[1])

PROGRAM = """
from collections.abc import Iterator

import torch

from pybert_crf import CRF, Constraints, Encoder, Entity, Tagger, TrainOptions, tag_constraints, train


def loss(crf: CRF, emissions: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
    value: torch.Tensor = -crf(emissions, tags, reduction="mean")
    return value


def best(crf: CRF, emissions: torch.Tensor) -> list[list[int]]:
    return crf.decode(emissions)


def constraints(labels: list[str]) -> Constraints:
    return tag_constraints(labels, scheme="BIO")


def entities(directory: str, texts: list[str]) -> Iterator[Entity]:
    for found in Tagger.from_pretrained(directory).tag(texts):
        yield from found


def spans(found: list[Entity]) -> list[tuple[int, int, str, float]]:
    return [(entity.start, entity.end, entity.label, entity.score) for entity in found]


def hidden(directory: str) -> Encoder:
    return Encoder.from_pretrained(directory)


def f1(path: str) -> float:
    result = train(TrainOptions(train=path, dev=path, model="tiny", out="tagger"))
    assert result.dev is not None
    return result.dev.f1
"""

# What a checker must refuse: else the package's types were not read at all.
WRONG = """
from pybert_crf import CRF, Entity

CRF("seven")


def label(entity: Entity) -> int:
    return entity.label
"""


def _check(folder: Path, code: str, *command: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(code, encoding="utf-8")
    # In another folder than the tree: the package is found as an installed one is.
    return subprocess.run(
        [sys.executable, "-m", *command, "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def _mypy(folder: Path) -> tuple[str, ...]:
    pytest.importorskip("mypy")
    return ("mypy", "--strict", "--cache-dir", str(folder / "cache"))


def _pyright(folder: Path) -> tuple[str, ...]:
    pytest.importorskip("pyright")  # it downloads the checker itself, at its first call
    settings = {"typeCheckingMode": "strict", "reportMissingTypeStubs": False, "extraPaths": [PACKAGES]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    if subprocess.run(
        [sys.executable, "-m", "pyright", "--version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("pyright cannot be downloaded here")
    return ("pyright", "--pythonpath", sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize("checker", [_mypy, _pyright], ids=["mypy", "pyright"])
def test_a_users_program(tmp_path: Path, checker: Callable[[Path], tuple[str, ...]]) -> None:
    command = checker(tmp_path)
    good = _check(tmp_path, PROGRAM, *command)
    assert good.returncode == 0, good.stdout
    wrong = _check(tmp_path, WRONG, *command)
    assert wrong.returncode == 1
    assert len(re.findall(r" error: ", wrong.stdout)) == 2, wrong.stdout


def test_the_stub_is_that_of_the_extension() -> None:
    pytest.importorskip("pybert_crf._native")
    pytest.importorskip("pybind11_stubgen")
    script = str(ROOT / "packaging" / "stub.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stub_without_cuda_is_a_part_of_the_whole() -> None:
    sys.path.append(str(ROOT / "packaging"))
    import stub

    whole = stub.STUB.read_text("utf-8")
    assert "def cuda_viterbi_float32(" in whole
    rest = stub.without_cuda(whole)
    assert "cuda_viterbi" not in rest
    assert "cuda_most_tags" not in rest
    assert [line for line in rest.splitlines() if line.startswith("def ")] == [
        line for line in whole.splitlines() if line.startswith("def ") and not line.startswith("def cuda_")
    ]
    assert "cuda_build: str" in rest
