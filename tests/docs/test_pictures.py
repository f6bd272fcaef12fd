"""The pictures of the architecture page: the SVG files show what their sources say, and that is true."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from pages import ROOT, text

import pybert_crf

IMAGES = ROOT / "docs" / "images"
SOURCES = sorted(IMAGES.glob("*.dot"))
SVG = "{http://www.w3.org/2000/svg}"


def shown(svg: str) -> tuple[list[str], list[str]]:
    """The names of nodes, clusters and edges, and the texts; coordinates depend on Graphviz's version."""
    root = ET.fromstring(svg)
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    texts = ["".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")]
    return sorted(titles), sorted(texts)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_picture_is_what_its_source_renders_to(source: Path) -> None:
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed: no program 'dot'")
    done = subprocess.run(
        ["dot", "-Tsvg", source], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    committed = source.with_suffix(".svg").read_text("utf-8")
    assert shown(done.stdout) == shown(committed), f"run: dot -Tsvg {source.name} -o {source.stem}.svg"


def test_the_rows_are_the_layers_of_the_import_rules() -> None:
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter", encoding="utf-8")
    layers = rules["importlinter:contract:layers"]["layers"].split("\n")
    wanted = [sorted(re.findall(r"\w+", layer)) for layer in layers if layer.strip()]
    source = (IMAGES / "rooms.dot").read_text("utf-8")
    rows = re.findall(r"^ *row\d+ \[(.*?)\]$", source, re.MULTILINE | re.DOTALL)
    assert [sorted(re.findall(r"<b>(\w+)</b>", row)) for row in rows] == wanted


def test_the_modules_on_the_way_exist() -> None:
    source = (IMAGES / "way.dot").read_text("utf-8")
    named = re.findall(r"color=[^>]*>([\w.]+)</font>", source)
    assert "CRF.viterbi" in named
    for name in named:
        first, _, rest = name.partition(".")
        if first[0].isupper():
            found = getattr(pybert_crf, first)
            assert not rest or hasattr(found, rest), name
        else:
            path = ROOT / "pybert_crf" / name.replace(".", "/")
            assert path.is_dir() or path.with_suffix(".py").is_file(), name


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/architecture.zh-CN.md", "CONTRIBUTING.md"])
def test_the_files_that_the_page_names_exist(page: str) -> None:
    named = re.findall(r"`((?:pybert_crf|csrc|tests|docs|benchmarks|examples)/[\w./-]*)`", text(page))
    assert named
    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []
