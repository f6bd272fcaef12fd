"""The site of the docs builds with no warning, in both languages, and all its links and pictures are there.

The fast tests run wherever the extra `docs` is installed; CI installs it and builds the site.
"""

from __future__ import annotations

import importlib
import json
import posixpath
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
from pages import PAGES, ROOT, text

import pybert_crf

CHINESE = "zh-CN/"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    pytest.importorskip("latex2mathml", reason="the extra `docs` is not installed")
    pytest.importorskip("markdown", reason="the extra `docs` is not installed")
    sys.path.insert(0, str(ROOT / "docs" / "site"))
    try:
        return importlib.import_module("hooks")
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("[中文](install.zh-CN.md)", ""),
        ("[中文](install.zh-CN.md) · [next](corpora.md)", "[next](corpora.md)"),
        ("[it](../README.md#start)", "[it](index.md#start)"),
        ("[它](crf/using.zh-CN.md#a)", "[它](crf/using.md#a)"),
        ("[code](../pybert_crf/taggers/tagger.py), ![way](images/way.svg)", "code, ![way](images/way.svg)"),
        ("```sh\n[a](../README.md)\n```", "```sh\n[a](../README.md)\n```"),
        ("[a](https://example.org), [b](#here)", "[a](https://example.org), [b](#here)"),
        ("一行，\n两行\nand three，\n`four`", "一行，两行\nand three，`four`"),
        ("一项：\n\n- 甲。\n- 乙", "一项：\n\n- 甲。\n- 乙"),
    ],
)
def test_links_become_those_of_the_site(hooks: ModuleType, line: str, wanted: str) -> None:
    assert hooks.with_site_links(line, "docs/install.md") == wanted


def test_formulas_become_mathml(hooks: ModuleType) -> None:
    from formulas import fenced, mathml

    block = fenced(r"\exp x \tag{7}")
    assert block.startswith('<div class="equation"><math')
    assert block.endswith('<span class="number">(7)</span></div>')
    assert "(7)" not in block.partition("</math>")[0]
    with pytest.raises(ValueError, match=r"\\nosuch has no MathML"):
        mathml(r"x + \nosuch", "inline")


def test_every_page_is_in_the_navigation(hooks: ModuleType) -> None:
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"[\w/-]+\.md$", nav, re.MULTILINE)
    places = [hooks.place_in_site(page) for page in PAGES]
    assert sorted(listed) == sorted({place for place in places if place and "zh-CN" not in place})


@pytest.mark.parametrize("page", ["docs/api.md", "docs/api.zh-CN.md"])
def test_the_reference_has_every_public_name(page: str) -> None:
    shown = re.findall(r"^::: pybert_crf\.(\w+)$", text(page), re.MULTILINE)
    assert sorted(shown) == sorted(set(pybert_crf.__all__) - {"__version__"})


class _Html(HTMLParser):
    """The anchors of a page, what it links to and what it loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {found[key] or "" for key in ("id", "name") if key in found}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        elif tag in ("img", "script", "link") and found.get("rel") not in ("canonical", "alternate"):
            self.loaded += [found[key] or "" for key in ("src", "href") if found.get(key)]


@pytest.fixture(scope="module")
def site(hooks: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    for package in ("mkdocs", "material", "mkdocs_static_i18n", "mkdocstrings", "jieba"):
        pytest.importorskip(package, reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def built(site: Path) -> dict[str, _Html]:
    """Each page of the site, by its path."""
    paths = [path for path in site.rglob("*.html") if path.name != "404.html"]
    return {path.relative_to(site).as_posix(): _Html(path.read_text("utf-8")) for path in paths}


@pytest.mark.slow
def test_each_page_is_there_in_both_languages(built: dict[str, _Html]) -> None:
    chinese = {page.removeprefix(CHINESE) for page in built if page.startswith(CHINESE)}
    assert len(chinese) > 20
    assert chinese == {page for page in built if not page.startswith(CHINESE)}


@pytest.mark.slow
def test_links_lead_to_pages_and_anchors_of_the_site(site: Path, built: dict[str, _Html]) -> None:
    missing = []
    for page, html in built.items():
        for link in html.links + html.loaded:
            url = urlsplit(link)
            if url.scheme in ("http", "https", "data", "mailto"):
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(url.path)))
            target = (
                page if not url.path else target.lstrip("/") or "."
            )  # a link of the language switch is absolute
            if (site / target).is_dir():
                target = posixpath.normpath(f"{target}/index.html")
            fragment = unquote(url.fragment)
            anchors = built[target].anchors if target in built else {fragment}
            if not (site / target).exists() or (fragment and fragment not in anchors):
                missing.append((page, link))
    assert missing == []


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(built: dict[str, _Html]) -> None:
    loaded = {link for html in built.values() for link in html.loaded}
    assert loaded
    assert [link for link in loaded if urlsplit(link).scheme in ("http", "https") or link[:2] == "//"] == []


@pytest.mark.slow
def test_search_finds_words_of_both_languages(site: Path) -> None:
    """The index cuts Chinese into words, as the browser's search looks them up."""
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    assert index["config"]["lang"] == ["en", "zh"]
    assert re.split(index["config"]["separator"], "发射\u200b分数") == ["发射", "分数"]
    entries = index["docs"]
    for word, place in (("emissions", "crf/using/"), ("发射\u200b分数", "zh-CN/crf/theory/")):
        found = [entry["location"] for entry in entries if word in entry["text"]]
        assert any(location.startswith(place) for location in found), word


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.startswith("docs/") and "```math" in text(page)]
)
def test_formulas_are_shown(site: Path, page: str) -> None:
    name = page.removeprefix("docs/").removesuffix(".md")
    place = f"{CHINESE}{name.removesuffix('.zh-CN')}" if name.endswith(".zh-CN") else name
    html = (site / place / "index.html").read_text("utf-8")
    assert html.count('<div class="equation"><math') == len(re.findall("^```math$", text(page), re.MULTILINE))
    assert "$<code>" not in html


@pytest.mark.slow
def test_the_reference_shows_methods_and_no_roles(site: Path) -> None:
    page = (site / "api" / "index.html").read_text("utf-8")
    for name in ("CRF.viterbi", "Tagger.annotate", "Encoder.from_pretrained", "train"):
        assert f'id="pybert_crf.{name}"' in page
    assert not re.search(r":(?:func|class|meth|mod):", page)
