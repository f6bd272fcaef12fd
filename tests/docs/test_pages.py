"""Every page: its links lead somewhere, and its translation shows the same."""

from __future__ import annotations

import re

import pytest
from pages import PAGES, PAIRS, ROOT, anchors, blocks, headings, links, text


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_project_lead_somewhere(page: str) -> None:
    """To files, and to headings within them."""
    for file, anchor in links(page):
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), file
        if anchor:
            assert anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), (file, anchor)


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_show_the_same_code_equations_and_sections(english: str, chinese: str) -> None:
    def bare(page: str) -> list[str]:
        kinds = ("sh", "python", "text", "json", "toml")
        return [re.sub(r" *#.*", "", block) for kind in kinds for block in blocks(page, kind)]

    assert bare(english) == bare(chinese)
    assert blocks(english, "math") == blocks(chinese, "math")
    assert [mark for mark, _ in headings(english)] == [mark for mark, _ in headings(chinese)]


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_each_language_links_to_the_other(english: str, chinese: str) -> None:
    for page, other in ((english, chinese), (chinese, english)):
        assert other.rpartition("/")[2] in [file for file, _ in links(page)]


@pytest.mark.parametrize("language", ["", ".zh-CN"])
def test_the_index_lists_every_page_of_the_folder(language: str) -> None:
    listed = {file for file, _ in links(f"docs/README{language}.md")}
    pages = {page.removeprefix("docs/") for page, _ in PAIRS} - {"README.md"}
    wanted = {page.replace(".md", f"{language}.md") for page in pages if (ROOT / "docs" / page).exists()}
    assert wanted <= listed


def test_every_page_of_the_folder_is_in_both_languages() -> None:
    pages = {page for page in PAGES if page.startswith("docs/")}
    assert pages == {page for pair in PAIRS for page in pair if page.startswith("docs/")}


def test_pages_end_with_one_line_break_and_have_no_tabs() -> None:
    assert [page for page in PAGES if not text(page).endswith("\n") or "\t" in text(page)] == []
