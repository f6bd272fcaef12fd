"""Annotated text for people: HTML for notebooks and pages, brackets for terminals, spaCy's displacy."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pybert_crf.entities import Entity

STYLE = """<style>
.entities { line-height: 2.2; overflow-wrap: anywhere; }
.entities mark { color: inherit; padding: .2em .3em; border-radius: .3em; }
.entities mark small { font-weight: bold; margin-inline-start: .4em; opacity: .75; }
</style>"""
"""Of `html`; once in a page."""


def html(text: str, entities: Sequence[Entity]) -> str:
    """A text as one HTML paragraph, its entities marked with type and score. All of the text is escaped.

    Each type has its colour, the same everywhere; it is mixed with the page's, so that it fits dark ones too.
    """
    cut = _cut(text, entities)
    marked = "".join(escape(piece) if entity is None else _mark(piece, entity) for piece, entity in cut)
    return f'<p class="entities" dir="auto">{marked}</p>'


def inline(text: str, entities: Sequence[Entity]) -> str:
    r"""A text with its entities in brackets, ``[text|LABEL]``; its own brackets after a ``\``."""
    return "".join(
        _escaped(piece) if entity is None else f"[{_escaped(piece)}|{_escaped(entity.label)}]"
        for piece, entity in _cut(text, entities)
    )


def displacy(text: str, entities: Sequence[Entity]) -> dict[str, Any]:
    """What ``spacy.displacy.render(…, style="ent", manual=True)`` draws."""
    ents = [{"start": e.start, "end": e.end, "label": e.label} for e in entities]
    return {"text": text, "ents": ents, "title": None}


def _mark(piece: str, entity: Entity) -> str:
    hue = zlib.crc32(entity.label.encode()) % 360
    label, score = escape(entity.label), f"{entity.score:.2f}"
    return (
        f'<mark style="background: hsl({hue} 70% 50% / .3)" title="{label} {score}">{escape(piece)}'
        f"<small>{label} {score}</small></mark>"
    )


def _cut(text: str, entities: Sequence[Entity]) -> Iterator[tuple[str, Entity | None]]:
    """The pieces of a text between entities, and of each entity; together the whole text."""
    at = 0
    for entity in entities:
        if at < entity.start:
            yield text[at : entity.start], None
        yield text[entity.start : entity.end], entity
        at = entity.end
    if at < len(text):
        yield text[at:], None


def _escaped(text: str) -> str:
    return re.sub(r"([\[\]|\\])", r"\\\1", text)
