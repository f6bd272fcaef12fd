"""The page on the CRF, in both languages: its code runs and prints what it says, its figures and numbers are
those of the code, and the two say the same."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import torch
from test_commands import ROOT, blocks

from pybert_crf import backends

PAGES = ["docs/crf.md", "docs/crf.zh-CN.md"]
FIGURES = ["crf-trellis.svg", "crf-sweeps.svg", "crf-bound.svg"]
NUMBERS = range(len(blocks(PAGES[0], "python")))
TITLE = re.compile(r"^(#+) (.*)$", re.MULTILINE)


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def without_code(page: str) -> str:
    """The prose: a comment in a block is no heading."""
    return re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)


def run(page: str, number: int) -> tuple[dict[str, Any], str]:
    """The names and the output of a block, after the first block, which sets the example up."""
    found = blocks(page, "python")
    names: dict[str, Any] = {}
    output = io.StringIO()
    for code in [found[number]] if number == 0 else [found[0], found[number]]:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, names)
    return names, output.getvalue()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("page", PAGES)
def test_the_code_prints_what_it_says(
    page: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = blocks(page, "python")[number]
    if "export_viterbi" in code:
        pytest.importorskip("onnx")
    if "crf_numpy" in code and not backends()["native"].usable:
        pytest.skip(backends()["native"].reason)
    monkeypatch.chdir(tmp_path)
    _, output = run(page, number)
    assert output.splitlines() == re.findall(r"^(?:print|show)\(.*\)  # (.+)$", code, re.MULTILINE)


def test_both_pages_show_the_same_code_equations_and_sections() -> None:
    def bare(page: str) -> list[str]:
        return [re.sub(r" *#.*", "", block) for kind in ("sh", "python") for block in blocks(page, kind)]

    def sections(page: str) -> list[tuple[str, str]]:
        return [(level, title.partition(" ")[0]) for level, title in TITLE.findall(without_code(page))[1:]]

    english, chinese = PAGES
    assert bare(english) == bare(chinese)
    assert blocks(english, "math") == blocks(chinese, "math")
    assert sections(english) == sections(chinese)
    assert [number for level, number in sections(english) if level == "##"] == [f"{n}." for n in range(1, 25)]


def test_the_equations_are_numbered_in_order() -> None:
    numbers = [int(n) for n in re.findall(r"\\tag\{(\d+)\}", text(PAGES[0]))]
    assert numbers == list(range(1, len(blocks(PAGES[0], "math")) + 1))


def test_the_code_cites_equations_that_there_are() -> None:
    last = len(blocks(PAGES[0], "math"))
    sources = [path for home in ("csrc", "pybert_crf") for path in (ROOT / home).rglob("*.*pp")]
    sources += [*(ROOT / "pybert_crf").rglob("*.py")]
    cited = {
        path.name: [int(number) for number in re.findall(r"\d+", citation)]
        for path in sources
        if "docs/crf.md" in (source := path.read_text("utf-8"))
        for citation in re.findall(r"\beqs?\. ([\d, to]*\d)", source)
    }
    assert cited
    assert [name for name, numbers in cited.items() if not all(1 <= n <= last for n in numbers)] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_and_images_lead_somewhere(page: str) -> None:
    files = re.findall(r"\]\((?!https?:|#)([^)#]+)", text(page))
    assert {f"images/{figure}" for figure in FIGURES} < set(files)
    assert [file for file in files if not ((ROOT / page).parent / file).exists()] == []
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for _, title in TITLE.findall(without_code(page))
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text(page))) <= anchors


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_are_svg_that_says_what_it_is(figure: str) -> None:
    root = ET.parse(ROOT / "docs" / "images" / figure).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.findtext("{http://www.w3.org/2000/svg}title")


@pytest.mark.parametrize("page", PAGES)
def test_the_example_is_worked_out_right(page: str) -> None:
    """Its table of paths, from all 27."""
    names, _ = run(page, 0)
    crf, emissions = names["crf"].requires_grad_(False), names["emissions"]
    scores = {}
    for path in itertools.product(range(3), repeat=3):
        score = float(crf.score(emissions, torch.tensor([path])))
        if score > -math.inf:
            scores[" ".join("OBI"[tag] for tag in path)] = score
    total = sum(map(math.exp, scores.values()))
    assert len(scores) == 13

    number = r"(\d+\.\d+)"
    told = re.findall(
        rf"^\| ([OBI] [OBI] [OBI]) \| {number} \| {number} \| {number} \|$", text(page), re.MULTILINE
    )
    best = sorted(scores, key=lambda path: -scores[path])
    assert [row[0] for row in told] == best[:3]
    for path, *numbers in told:
        right = scores[path], math.exp(scores[path]), math.exp(scores[path]) / total
        assert numbers == [f"{right[0]:.1f}", f"{right[1]:.1f}", f"{right[2]:.3f}"]
    others = sum(math.exp(scores[path]) for path in best[3:])
    assert f"{scores[best[3]]:.1f}" in text(page)
    assert f" | {others:.1f} | {others / total:.3f} |" in text(page)
    assert f" | {total:.1f} | 1 |" in text(page)
    softmax = emissions[0, 1].softmax(dim=0)[2]
    assert f"{crf.marginals(emissions)[0, 1, 2]:.3f}" in text(page)
    assert f"{softmax:.3f}" in text(page)


@pytest.mark.parametrize("page", PAGES)
def test_the_bounds_are_those_of_the_code(page: str) -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "csrc").rglob("*.hpp"))

    def constant(name: str) -> float:
        (value,) = re.findall(rf"constexpr \S+ {name} = ([^;?]*);", sources)
        return float.fromhex(value) if "0x" in value else float(value)

    assert constant("least_weight") == -207.9 >= -300 * math.log(2)
    assert constant("least_emission") == -138.6 >= -200 * math.log(2)
    assert constant("least_value") == constant("least_total") == 2.0**-400
    assert "sizeof(float) ? 0x1p-60 : 0x1p-900" in sources
    assert constant("least_sum") == 1e-200
    assert constant("rows_to_cut") == 8
    for told in ("207.9", "138.6", "2^{-300}", "2^{-200}", "2^{-400}", "2^{-60}", "10^{-200}", " 8 "):
        assert told in text(page), told
