"""The page on the encoders, in both languages: its code prints what it says, its tables name every family."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
from pages import ROOT, blocks

from pybert_crf.encoders.families import FAMILIES

PAGES = ["docs/encoders.md", "docs/encoders.zh-CN.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_code_prints_what_the_page_says(page: str) -> None:
    codes, outputs = blocks(page, "python"), blocks(page, "text")
    assert len(codes) == 3
    for code, expected in zip(codes, outputs, strict=True):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, {})
        assert output.getvalue() == expected


@pytest.mark.parametrize("page", PAGES)
def test_every_family_is_in_the_tables(page: str) -> None:
    """What is opened, and how it compares: one row each, in the order of the registry."""
    rows = re.findall(r"^\| `([\w-]+)` \|", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    names = list(FAMILIES)
    assert rows[: 2 * len(names)] == 2 * names


def test_the_figures_are_the_same_in_both_languages() -> None:
    first, second = (
        re.findall(r"^\| `[\w-]+` \| \d.*$", (ROOT / page).read_text("utf-8"), re.MULTILINE) for page in PAGES
    )
    assert first == second
    assert len(first) == 2 * len(FAMILIES)  # how far, and how fast
