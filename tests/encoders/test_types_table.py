"""The table of all types in the docs is what is found with tiny models of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from types_table import PAGES, SURVEY, TYPES, as_line, heading, row

from pybert_crf.encoders.families import FAMILIES

SOME = ("distilbert", "gpt2", "GPT-3", "t5", "camembert", "qwen3")

pytestmark = pytest.mark.filterwarnings("ignore")


def _mark(name: str) -> pytest.MarkDecorator:
    """Longformer's row needs a process in which nothing was exported before: it is run by itself."""
    return pytest.mark.long if name == "longformer" else pytest.mark.slow


@pytest.mark.parametrize(
    "name", [name if name in SOME else pytest.param(name, marks=_mark(name)) for name in TYPES]
)
def test_the_row_of(name: str) -> None:
    for package in ("peft", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    cells = row(name)
    for page, chinese in PAGES.items():
        lines = page.read_text("utf-8").splitlines()
        assert as_line(cells, chinese) in lines, f"run: python {Path(__file__).with_name('types_table.py')}"


@pytest.mark.parametrize(("page", "chinese"), PAGES.items())
def test_every_type_has_a_row(page: Path, chinese: bool) -> None:
    text = page.read_text("utf-8")
    rows = text.partition(heading(chinese))[2].partition("\n\n")[0].splitlines()
    assert len(rows) - 1 == len(TYPES)
    assert len(SURVEY) == 18
    assert set(FAMILIES) <= set(TYPES)
