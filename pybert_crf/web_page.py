"""One HTML page that needs nothing else: elements whose text is escaped, tables, and bars in SVG."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --bar: #3b76b0; --second: #b5651d; --line: #8885; --error: #c0392b;
  --muted: #57606a;
  --warning: #8a5a00; --good: #2e7d321f; --good-line: #2e7d32; --bad: #c0392b24; --cell: 59 118 176; }
@media (prefers-color-scheme: dark) { :root { --bar: #6fa8dc; --second: #e0a060; --error: #ff7b6b;
  --muted: #a3adb8;
  --warning: #e8b14f; --good: #66bb6a2e; --good-line: #66bb6a; --bad: #ff7b6b33; --cell: 111 168 220; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
li.error::marker, b.error { color: var(--error); } li.warning::marker, b.warning { color: var(--warning); }
li, h1, h2, p, .text { overflow-wrap: anywhere; }
svg { width: 100%; height: auto; max-width: 40rem; } rect { fill: var(--bar); }
text { fill: currentColor; font: 12px system-ui, sans-serif; }
small { color: var(--muted); }
"""
BARS = 24
"""Bars of a picture at the most."""


class Html(str):
    """Text that is markup already; any other is escaped where it becomes part of a page."""

    __slots__ = ()


def html(value: object) -> Html:
    """A value as markup: escaped unless it is `Html`.

    Lone surrogates, which no file can hold, and control characters other than tabs and line ends become
    U+FFFD.
    """
    if isinstance(value, Html):
        return value
    return Html(escape("".join(map(_shown, str(value)))))


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r"
    return "\ufffd" if hidden else character


def element(name: str, *children: object, **attributes: object) -> Html:
    """``<name attributes>children</name>``; ``class_`` stands for ``class``, another ``_`` for ``-``."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{html(v)}"' for key, v in attributes.items())
    return Html(f"<{name}{given}>{''.join(map(html, children))}</{name}>")


def page(title: str, body: Iterable[Html], language: str = "en", style: str = "") -> str:
    """The whole page, with more rules of `style` after those of all pages."""
    head = Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width">')
    rules = element("style", Html(_STYLE + style))
    whole = element("head", head, rules, element("title", title)), Html("\n"), element("body", *body)
    return f"<!doctype html>\n{element('html', *whole, lang=language)}\n"


def table(names: Sequence[object], rows: Iterable[Sequence[object]], **attributes: object) -> Html:
    """A table with a heading for each column; without names, of rows alone."""
    head = [element("tr", *(element("th", name) for name in names))] if names else []
    body = (element("tr", *(element("td", cell) for cell in row)) for row in rows)
    return element("table", *head, *body, **attributes)


def bars(rows: Sequence[tuple[str, int]], what: str) -> Html:
    """A picture of `what`: horizontal bars with their names and counts."""
    most = max((count for _, count in rows), default=1) or 1
    drawn = []
    for i, (name, count) in enumerate(rows):
        y, length = 18 * i, 360 * count / most
        shown = name if len(name) <= 18 else f"{name[:17]}…"
        drawn += [
            element("text", shown, x=128, y=y + 13, text_anchor="end"),
            element("rect", x=134, y=y + 2, width=f"{length:.1f}", height=14),
            element("text", f"{count:,}", x=f"{140 + length:.1f}", y=y + 13),
        ]
    return element("svg", *drawn, viewBox=f"0 0 580 {18 * len(rows)}", role="img", aria_label=what)


def length_classes(lengths: Counter[int], more: str = "and more") -> list[tuple[str, int]]:
    """How many have which length: classes of equal width, the last of which holds all longer ones."""
    total, passed = lengths.total(), 0
    bound = max(lengths, default=1)
    for length in sorted(lengths):  # 99 % of them, so that one long one does not flatten the rest
        passed += lengths[length]
        if passed >= 0.99 * total:
            bound = length
            break
    width = -(-bound // (BARS - 1)) or 1
    classes: Counter[int] = Counter()
    for length, count in lengths.items():
        classes[min(length // width, bound // width + 1)] += count
    last = bound // width + 1
    shown = {i: f"{i * width}" if width == 1 else f"{i * width}–{(i + 1) * width - 1}" for i in range(last)}
    shown[last] = f"{last * width} {more}"
    return [
        (shown[i], classes[i]) for i in range(min(classes, default=0), last + 1) if i < last or classes[i]
    ]
