"""Texts of every format without regard to their tags: what is tagged, and what is pretrained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybert_crf.text.corpora import CorpusError, Habits
from pybert_crf.text.corpora.passages import mistaken_format, read_passages
from pybert_crf.text.corpora.texts import read_texts

TOKENS = ["Mara", "lives", "here"]


@pytest.mark.parametrize(
    ("format", "text", "expected"),
    [
        ("auto", "Mara lives here\n\nyes\n", ["Mara lives here", "", "yes"]),
        ("columns", "Mara B-PER\nlives O\nhere O\n\nyes O\n", [TOKENS, ["yes"]]),
        ("columns", "Mara\nlives\nhere\n", [TOKENS]),
        ("json", '{"text": "Mara lives here"}\n\n["yes", {"entities": []}]\n', ["Mara lives here", "yes"]),
        ("json", '{"tokens": ["Mara", "lives", "here"]}\n', [TOKENS]),
        ("json", '{"data": {"text": "Mara"}, "annotations": []}\n', ["Mara"]),
        ("csv", "sentence,word\n1,Mara\n1,lives\n1,here\n2,yes\n", [TOKENS, ["yes"]]),
        ("csv", "word\ttag\nMara\tB-PER\nlives\tO\nhere\tO\n", [TOKENS]),
        ("words", "林小雨 在 这里\n", ["林小雨在这里"]),
    ],
)
def test_texts(tmp_path: Path, format: str, text: str, expected: list[object]) -> None:
    (tmp_path / "a").write_text(text, encoding="utf-8")
    assert list(read_texts(tmp_path / "a", Habits(format=format))) == expected


def test_words_are_units_by_word(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("林小雨 在 这里\n", encoding="utf-8")
    assert list(read_texts(tmp_path / "a", Habits(format="words", unit="word"))) == [["林小雨", "在", "这里"]]


def test_brat(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Mara lives here.\nYes.\n")
    (tmp_path / "a.ann").write_text("T1\tPER 0 4\tMara\n")
    assert list(read_texts(tmp_path / "a.txt", Habits(format="brat"))) == ["Mara lives here.", "Yes."]


@pytest.mark.parametrize("line", ["{", '{"id": 1}', "5", '{"tokens": ["a", 1]}'])
def test_lines_that_hold_no_text(tmp_path: Path, line: str) -> None:
    (tmp_path / "a").write_text(f'{{"text": "a"}}\n{line}\n{{"text": "b"}}\n')
    with pytest.raises(CorpusError, match=r"a:2: "):
        list(read_texts(tmp_path / "a", Habits(format="json")))
    faults: list[CorpusError] = []
    assert list(read_texts(tmp_path / "a", Habits(format="json"), fault=faults.append)) == ["a", "b"]
    assert [fault.line for fault in faults] == [2]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['{"text": "a"}'], "json"),
        (["", '{"tokens": []}'], "json"),
        (["a B-X", "", "b O"], "columns"),
        (["{", "a b"], ""),
        (['{"a": 1}'], ""),
        (["a text", "another"], ""),
        ([], ""),
    ],
)
def test_what_plain_text_looks_like(lines: list[str], expected: str) -> None:
    assert mistaken_format(lines) == expected


def test_passages_of_json(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"text": "北京 a"}\n{"tokens": ["b", "c"]}\n', encoding="utf-8")
    passages = list(read_passages(tmp_path / "a", "char", habits=Habits(format="json")))
    assert [passage.units for passage in passages] == [["北", "京", "a"], ["b", "c"]]
