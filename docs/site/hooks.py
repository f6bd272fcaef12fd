"""Hooks of MkDocs: the pages as the repository holds them become the source of the site.

A page is written to be read on a code host too: its links name files of the repository, ``X.md`` and
``X.zh-CN.md`` point to each other, and formulas stand between ``$`` and backquotes. `gather` copies the pages
(those at the root too) to one folder, with links as MkDocs wants them; MkDocs then checks each link.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from formulas import Formulas, fenced

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "build" / "site-source"
CHINESE = ".zh-CN.md"

OTHERS = {
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "examples/README.md": "examples.md",
    "csrc/README.md": "csrc.md",
    "docs/README.md": "pages.md",
}
"""Pages with another place in the site than ``docs/`` gives them, by their place in the repository."""

LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]+)?\)")
LANGUAGE = re.compile(r"^\[(?:中文|English|中文说明)\]\([^)]*\)(?: · )?", re.MULTILINE)
HAN = r"[\u2018-\u201d\u3000-\u9fff\uff00-\uffef]"
CHINESE_BREAK = re.compile(rf"(?<={HAN})\n(?={HAN})|(?<=[，。；：、！？（）])\n(?=[\w`$\[])")
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)


def place_in_site(file: str) -> str | None:
    """The place in the site of a file of the repository, None if it is not part of the site."""
    english = file.replace(CHINESE, ".md")
    if english in OTHERS:
        return OTHERS[english] if english == file else OTHERS[english].replace(".md", CHINESE)
    is_shown = file.startswith("docs/") and file.endswith((".md", ".svg", ".png", ".css"))
    return file.removeprefix("docs/") if is_shown else None


def with_site_links(text: str, file: str) -> str:
    """The text of a page with links between places in the site.

    A link to a file that is no page, such as one of the source, becomes plain text. The link to the other
    language goes: each page of the site has one in its header. A line break between Chinese characters, which
    browsers show as a space, goes too.
    """
    here = place_in_site(file)
    assert here is not None, file

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(file), match[1]))
        place = place_in_site(target)
        if place is None:
            return "](!)"
        # The plugin for languages finds the page in the language of the one that links to it.
        relative = posixpath.relpath(place.replace(CHINESE, ".md"), posixpath.dirname(here) or ".")
        return f"]({relative}{match[2] or ''})"

    def linked(prose: str) -> str:
        prose = CHINESE_BREAK.sub("", LINK.sub(moved, LANGUAGE.sub("", prose)))
        return re.sub(r"(?<!!)\[([^\[\]]*)\]\(!\)", r"\1", prose)

    parts = FENCE.split(text)
    return "".join(part if i % 2 else linked(part) for i, part in enumerate(parts))


def gather() -> None:
    """Bring `SOURCE` up to date; a file that did not change is not written, so that `mkdocs serve` rests."""
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.*") if path.is_file()}
    for page in OTHERS:
        files |= {file for file in (page, page.replace(".md", CHINESE)) if (ROOT / file).exists()}
    wanted = {SOURCE / place: file for file in files if (place := place_in_site(file))}
    for old in SOURCE.rglob("*.*"):
        if old.is_file() and old not in wanted:
            old.unlink()
    for path, file in wanted.items():
        content = (ROOT / file).read_bytes()
        if file.endswith(".md"):
            content = with_site_links(content.decode(), file).encode()
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def slug(title: str, separator: str) -> str:
    """The anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", separator)


def on_config(config: Any) -> Any:
    """Build from `SOURCE`, with formulas as MathML and with the anchors of code hosts."""
    gather()
    config.docs_dir = str(SOURCE)
    config.mdx_configs.setdefault("toc", {}).update(slugify=slug)
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    if not any(fence["name"] == "math" for fence in fences):
        fences.append({"name": "math", "class": "math", "format": fenced})
        config.markdown_extensions.append(Formulas())
    return config
