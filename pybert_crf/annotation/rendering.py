"""Annotated text for people: HTML for notebooks and pages, brackets for terminals, spaCy's displacy."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pybert_crf.web_page import Html, element

if TYPE_CHECKING:
    from pybert_crf.annotation.entities import Entity

RULES = """
.entities { line-height: 2.2; overflow-wrap: anywhere; }
.entities mark { color: inherit; padding: .2em .3em; border-radius: .3em; }
.entities mark small { font-weight: bold; margin-inline-start: .4em; opacity: .75; }
"""
"""The style of `html`; once in a page."""


def html(text: str, entities: Sequence[Entity]) -> Html:
    """A text as one HTML paragraph, its entities marked with type and score. All of the text is escaped.

    Each type has its colour, the same everywhere; it is mixed with the page's, so that it fits dark ones too.
    """
    marked = (piece if entity is None else _mark(piece, entity) for piece, entity in _cut(text, entities))
    return element("p", *marked, class_="entities", dir="auto")


def fragment(text: str, entities: Sequence[Entity]) -> str:
    """As `html`, with its style: to be shown alone, as in a notebook."""
    return f"{element('style', Html(RULES))}{html(text, entities)}"


def inline(text: str, entities: Sequence[Entity]) -> str:
    r"""A text with its entities in brackets, ``[text|LABEL]``.

    Brackets, bars and ``\`` of its own follow a ``\``.
    """
    return "".join(
        _escaped(piece) if entity is None else f"[{_escaped(piece)}|{_escaped(entity.label)}]"
        for piece, entity in _cut(text, entities)
    )


def displacy(text: str, entities: Sequence[Entity]) -> dict[str, Any]:
    """What ``spacy.displacy.render(…, style="ent", manual=True)`` draws."""
    ents = [{"start": e.start, "end": e.end, "label": e.label} for e in entities]
    return {"text": text, "ents": ents, "title": None}


def _mark(piece: str, entity: Entity) -> Html:
    hue = zlib.crc32(entity.label.encode("utf-8", "surrogatepass")) % 360
    told = f"{entity.label} {entity.score:.2f}"
    style = f"background: hsl({hue} 70% 50% / .3)"
    return element("mark", piece, element("small", told), style=style, title=told)


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
