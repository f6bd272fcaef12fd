"""The page on safety names tests that exist, the same in both languages."""

from __future__ import annotations

import re

import pytest
from pages import ROOT, text

PAGES = ["docs/safety.md", "docs/safety.zh-CN.md"]


def named(page: str) -> list[str]:
    return re.findall(r"`(\w+\.(?:py|cpp))`", text(page))


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    known = {path.name for path in (ROOT / "tests").rglob("*.*")}
    assert named(page)
    assert set(named(page)) <= known


def test_both_languages_name_the_same() -> None:
    assert named(PAGES[0]) == named(PAGES[1])
