"""What pages quote from the code stands in it."""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType

import pytest
from pages import PAGES, ROOT, text

QUOTING = [page for page in PAGES if "<!-- quote " in text(page)]


@pytest.fixture(scope="module")
def quotes() -> ModuleType:
    sys.path.insert(0, str(ROOT / "docs" / "site"))
    try:
        return importlib.import_module("quotes")
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize("page", QUOTING)
def test_quotations_are_what_the_source_says(quotes: ModuleType, page: str) -> None:
    assert quotes.quoted(text(page)) == text(page), "run: python docs/site/quotes.py"


@pytest.mark.parametrize("page", ["docs/walk-through.md", "docs/walk-through.zh-CN.md"])
def test_all_code_of_the_walk_is_quoted(quotes: ModuleType, page: str) -> None:
    assert page in QUOTING
    assert (
        len(quotes.QUOTE.findall(text(page))) == len(re.findall(r"^```\w+$", text(page), re.MULTILINE)) > 20
    )


def test_the_files_that_the_walk_names_exist() -> None:
    named = re.findall(r"`((?:pybert_crf|csrc|tests|docs)/[\w./-]+)`", text("docs/walk-through.md"))
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_a_changed_quotation_is_noticed(quotes: ModuleType) -> None:
    page = text("docs/walk-through.md")
    changed = page.replace("return load(backend).viterbi(chain)", "return load(backend).decode(chain)")
    assert changed != page
    assert quotes.quoted(changed) == page


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("no such line", "x", "0 lines begin"),
        ("from", "x", "lines begin"),
        ("class CRF", "no such", "after line"),
    ],
)
def test_a_passage_that_is_not_there_is_named(
    quotes: ModuleType, first: str, last: str, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"pybert_crf/crf/module.py: .*{message}"):
        quotes.passage("pybert_crf/crf/module.py", first, last)
