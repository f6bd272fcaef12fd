"""The pages on the CRF: their code prints what they say, their figures and constants are those of the code,
both languages say the same, and the code cites equations that exist."""

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
from pages import ROOT, blocks, text

from pybert_crf import backends

FOLDER = "docs/crf"
NAMES = ["using", "theory", "numbers", "performance"]
PAGES = [f"{FOLDER}/{name}{language}.md" for name in NAMES for language in ("", ".zh-CN")]
USING, THEORY, NUMBERS = (PAGES[i : i + 2] for i in (0, 2, 4))
FIGURES = ["crf-trellis.svg", "crf-sweeps.svg", "crf-bound.svg"]


def equations(page: str) -> list[int]:
    """The numbers of a page's equations, in order."""
    numbers = [int(n) for n in re.findall(r"\\tag\{(\d+)\}", text(page))]
    assert len(numbers) == len(blocks(page, "math"))
    return numbers


def run(page: str, number: int) -> tuple[dict[str, Any], str]:
    """The names and the output of a block, after the first block, which defines the example."""
    found = blocks(page, "python")
    names: dict[str, Any] = {}
    output = io.StringIO()
    for code in [found[number]] if number == 0 else [found[0], found[number]]:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, names)
    return names, output.getvalue()


@pytest.mark.parametrize("number", range(len(blocks(USING[0], "python"))))
@pytest.mark.parametrize("page", USING)
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


def test_only_the_page_on_use_has_code_in_python() -> None:
    assert [page for page in PAGES if blocks(page, "python")] == USING


def test_the_equations_are_numbered_in_order() -> None:
    theory, numbers = equations(THEORY[0]), equations(NUMBERS[0])
    assert sorted(theory) == theory
    assert sorted(numbers) == numbers
    assert sorted(theory + numbers) == list(range(1, len(theory) + len(numbers) + 1))


def test_the_code_cites_equations_that_exist() -> None:
    """Where a page is named, it has the equation; a bare "eq. n" is one of either page."""
    pages = {page: set(equations(page)) for page in (THEORY[0], NUMBERS[0])}
    every = set().union(*pages.values())
    sources = [path for path in (ROOT / "csrc").rglob("*") if path.suffix in (".hpp", ".cpp", ".cu", ".cuh")]
    sources += (ROOT / "pybert_crf").rglob("*.py")
    citation = re.compile(r"(?:(docs/crf/\w+\.md), )?\beqs?\. (\d+(?:(?:, | to | and )\d+)*)")
    cited = [
        (path.name, page, int(number))
        for path in sources
        if FOLDER in (source := re.sub(r"\s+(?://|#)?\s*", " ", path.read_text("utf-8")))
        for page, numbers in citation.findall(source)
        for number in re.findall(r"\d+", numbers)
    ]
    assert cited
    assert [entry for entry in cited if entry[2] not in pages.get(entry[1], every)] == []


def test_every_figure_is_shown_and_says_what_it_is() -> None:
    for pages in zip(*(PAGES[i::2] for i in (0, 1)), strict=True):
        first, second = (re.findall(r"\((\S+/images/[\w-]+\.svg)\)", text(page)) for page in pages)
        assert first == second
    shown = " ".join(text(page) for page in PAGES)
    for figure in FIGURES:
        assert f"images/{figure}" in shown
        root = ET.parse(ROOT / "docs" / "images" / figure).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.findtext("{http://www.w3.org/2000/svg}title")


@pytest.mark.parametrize(("using", "theory"), list(zip(USING, THEORY, strict=True)))
def test_the_example_is_worked_out_right(using: str, theory: str) -> None:
    """The table of paths, from all 27."""
    names, _ = run(using, 0)
    crf, emissions = names["crf"].requires_grad_(False), names["emissions"]
    scores = {}
    for path in itertools.product(range(3), repeat=3):
        score = float(crf.score(emissions, torch.tensor([path])))
        if score > -math.inf:
            scores[" ".join("OBI"[tag] for tag in path)] = score
    total = sum(map(math.exp, scores.values()))
    assert len(scores) == 13

    page = text(theory)
    number = r"(\d+\.\d+)"
    told = re.findall(rf"^\| ([OBI] [OBI] [OBI]) \| {number} \| {number} \| {number} \|$", page, re.MULTILINE)
    best = sorted(scores, key=lambda path: -scores[path])
    assert [row[0] for row in told] == best[:3]
    for path, *numbers in told:
        right = scores[path], math.exp(scores[path]), math.exp(scores[path]) / total
        assert numbers == [f"{right[0]:.1f}", f"{right[1]:.1f}", f"{right[2]:.3f}"]
    others = sum(math.exp(scores[path]) for path in best[3:])
    assert f"{scores[best[3]]:.1f}" in page
    assert f" | {others:.1f} | {others / total:.3f} |" in page
    assert f" | {total:.1f} | 1 |" in page
    softmax = emissions[0, 1].softmax(dim=0)[2]
    assert f"{crf.marginals(emissions)[0, 1, 2]:.3f}" in page
    assert f"{softmax:.3f}" in page


@pytest.mark.parametrize("page", NUMBERS)
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


@pytest.mark.parametrize("page", NUMBERS)
def test_the_functions_it_names_exist(page: str) -> None:
    rows = re.findall(r"^\|[^|]+\| (`\w+`[^|]*)\|", text(page), re.MULTILINE)
    names = re.findall(r"`(\w+)`", " ".join(rows))
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "csrc").rglob("*.hpp"))
    assert len(names) == 4
    assert [name for name in names if not re.search(rf"\b{name}\(", sources)] == []
