"""What a release consists of agrees with itself: versions, workflows, sessions, presets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import pybert_crf

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CALLERS = [*WORKFLOWS, ROOT / ".ci" / "run", *(ROOT / name for name in ("CONTRIBUTING.md", "RELEASE.md"))]


def _text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_version_is_written_once_and_cited() -> None:
    assert re.search(r'^dynamic = \["version"\]', _text("pyproject.toml"), re.M)
    assert re.search(r"^version: (\S+)$", _text("CITATION.cff"), re.M)[1] == pybert_crf.__version__  # type: ignore[index]


def test_the_changelog_begins_with_what_is_not_released() -> None:
    headings = re.findall(r"^## \[(.+?)\]", _text("CHANGELOG.md"), re.M)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", each) for each in headings[1:])


@pytest.mark.parametrize("path", CALLERS, ids=lambda path: path.name)
def test_sessions_that_are_called_exist(path: Path) -> None:
    sessions = set(re.findall(r"^@nox\.session.*\ndef (\w+)", _text("noxfile.py"), re.M))
    assert {"tests", "lint", "types", "docs", "wheel", "sanitize", "fuzz", "bench"} <= sessions
    called = re.findall(r"\bnox (?:--no-venv )?-s ((?:[a-z_]+ ?)+)", path.read_text("utf-8"))
    assert {name for names in called for name in names.split()} <= sessions


def test_workflows_and_builds_name_scripts_that_exist() -> None:
    text = "".join(
        path.read_text("utf-8") for path in [*WORKFLOWS, ROOT / "noxfile.py", ROOT / "pyproject.toml"]
    )
    named = set(re.findall(r"(?<![\w/])((?:packaging|tests/cpp|tests/fuzz)/[\w/]+\.(?:py|sh))\b", text))
    assert len(named) >= 5
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_supported_python_is_tested_and_built() -> None:
    listed = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', _text("pyproject.toml"))
    for name in ("tests", "wheels"):
        matrices = re.findall(r"python: \[(.*)\]", _text(f".github/workflows/{name}.yml"))
        assert [re.findall(r'"(.*?)"', matrix) for matrix in matrices] == [listed]
    (built,) = re.findall(r"^build = \[(.*)\]$", _text("pyproject.toml"), re.M)
    assert re.findall(r'"cp3(\d+)-\*"', built) == [version.partition(".")[2] for version in listed]


def test_the_presets_of_cmake_set_options_that_exist() -> None:
    presets = json.loads(_text("CMakePresets.json"))["configurePresets"]
    options = set(re.findall(r"(?:option|set)\((PYBERT_CRF_\w+)", _text("CMakeLists.txt")))
    used = {name for preset in presets for name in preset["cacheVariables"] if name.startswith("PYBERT_CRF_")}
    assert used
    assert used <= options
