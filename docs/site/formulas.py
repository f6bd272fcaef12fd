"""Formulas in Markdown, as code hosts write them, become MathML: browsers show it without a script.

Inline, a formula stands between ``$`` and a backquote on both sides; on lines of its own, in a fenced block
of ``math``, with its number in a ``\\tag``.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import fromstring

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor

TAG = re.compile(r"\\tag\{(\d+)\}")
FUNCTION = re.compile(r"(<mi>(?:exp|log|max|min|ln)</mi>)(?=<m(?:i|sub|row|frac)>)")


def mathml(latex: str, display: str) -> str:
    """MathML of a formula in LaTeX.

    Raises:
        ValueError: a command of LaTeX is left over, which no browser would show.
    """
    known = re.sub(r"\\[bB]ig[lrg]*\\", r"\\", latex.strip()).replace("{aligned}", "{split}")
    made = convert(known, display=display)
    if left := re.findall(r"\\[a-zA-Z]+", "".join(fromstring(made).itertext())):
        raise ValueError(f"formula {latex!r}: {left[0]} has no MathML")
    return FUNCTION.sub(r'\1<mspace width="0.17em"/>', made)


def fenced(source: str, *_: Any, **__: Any) -> str:
    """A block of ``math``: the formula, and its number at the right."""
    number = TAG.search(source)
    shown = f'<span class="number">({number[1]})</span>' if number else ""
    return f'<div class="equation">{mathml(TAG.sub("", source), "block")}{shown}</div>'


class _Inline(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # noqa: N802
        return self.md.htmlStash.store(mathml(m[1], "inline")), m.start(0), m.end(0)


class Formulas(Extension):
    """Inline formulas, found before code between backquotes is."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Register the pattern."""
        md.inlinePatterns.register(_Inline(r"\$`([^`]+)`\$", md), "formula", 195)
