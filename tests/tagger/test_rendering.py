"""Annotated text for people: nothing of a text is lost or read as markup."""

from __future__ import annotations

import re
from html import unescape
from xml.etree import ElementTree

import pytest

from pybert_crf.annotation.entities import Annotation, Entity
from pybert_crf.annotation.rendering import displacy, html, inline

HOSTILE = ["", '<b>张</b> & "三"\'', "[张|三]\\n", "<script>alert(1)</script>", "a\u202eb שלום", "]]>|[["]


def halves(text: str, label: str = "PER") -> list[Entity]:
    """Two entities that touch, of the first two thirds of a text."""
    third = len(text) // 3
    spans = [(0, third), (third, 2 * third)] if third else []
    return [Entity(a, b, label, text[a:b], 0.5) for a, b in spans]


@pytest.mark.parametrize("text", HOSTILE)
def test_html_holds_the_text_and_no_markup_of_it(text: str) -> None:
    label = "<i>&"
    tree = ElementTree.fromstring(html(text, halves(text, label)))
    marks = tree.findall("mark")
    assert {child.tag for child in tree.iter()} <= {"p", "mark", "small"}
    assert [mark.text for mark in marks] == [e.text for e in halves(text)]
    assert all(mark.find("small").text == f"{label} 0.50" for mark in marks)  # type: ignore[union-attr]
    for mark in marks:
        mark.remove(mark.find("small"))  # type: ignore[arg-type]
    assert "".join(tree.itertext()) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_inline_can_be_read_back(text: str) -> None:
    told = inline(text, halves(text))
    found = re.findall(r"(?<!\\)(?:\\\\)*\[((?:\\.|[^\\\[\]|])*)\|PER\]", told, re.S)
    assert [re.sub(r"\\(.)", r"\1", each, flags=re.S) for each in found] == [e.text for e in halves(text)]
    plain = re.sub(r"((?:^|[^\\])(?:\\\\)*)\[((?:\\.|[^\\\[\]|])*)\|PER\]", r"\1\2", told, flags=re.S)
    plain = re.sub(r"((?:^|[^\\])(?:\\\\)*)\[((?:\\.|[^\\\[\]|])*)\|PER\]", r"\1\2", plain, flags=re.S)
    assert re.sub(r"\\(.)", r"\1", plain, flags=re.S) == text


def test_a_notebook_shows_the_annotation() -> None:
    annotation = Annotation(
        "张三在", [(0, 1), (1, 2), (2, 3)], ["B-PER", "I-PER", "O"], [Entity(0, 2, "PER", "张三", 1)]
    )
    shown = annotation._repr_html_()
    assert shown.startswith("<style>")
    assert "张三<small>PER 1.00</small></mark>在</p>" in unescape(shown)
    assert annotation.to_displacy() == {
        "text": "张三在",
        "ents": [{"start": 0, "end": 2, "label": "PER"}],
        "title": None,
    }


def test_displacy_draws_it() -> None:
    spacy = pytest.importorskip("spacy.displacy")
    drawn = spacy.render(displacy("张三在", halves("张三在")), style="ent", manual=True, jupyter=False)
    assert drawn.count("PER") == 2
