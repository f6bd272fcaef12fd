"""Reading the project's Markdown pages: their code blocks, headings and links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ["", "docs", "benchmarks", "csrc", "examples"]  # of which all pages are read, docs with all below
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in (ROOT / folder).glob("**/*.md" if folder == "docs" else "*.md")
)
PAIRS = [(page, chinese) for page in PAGES if (chinese := page.replace(".md", ".zh-CN.md")) in PAGES]


def text(page: str) -> str:
    """A page, given by its path from the root."""
    return (ROOT / page).read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)


def headings(page: str) -> list[tuple[str, str]]:
    """The marks (#, ##, ...) and titles of a page's headings; a comment in a block of code is none."""
    return re.findall(r"^(#+) (.*)$", prose(page), re.MULTILINE)


def anchors(page: str) -> set[str]:
    """What a link to a heading of the page names after its #."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(page)}


def links(page: str) -> list[tuple[str, str]]:
    """The links and images within the project, as (file, anchor); either may be empty."""
    return re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", prose(page))
