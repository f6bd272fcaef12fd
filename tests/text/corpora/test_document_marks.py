"""Which sentences of a file belong to one document: its marks, and what the options say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pybert_crf.text.corpora import CorpusError, Habits, read_corpus
from pybert_crf.text.corpora.texts import read_texts_of_documents

COLUMNS = "a O\n\n-DOCSTART- O\n\nb B-X\n\nc O\n\n-DOCSTART- O\n\nd O\n"
_ROW = "{}\t{}\t_\tX\t_\t_\t_\t_\t_\t_\n"
_PAIRS = [_ROW.format(1, first) + _ROW.format(2, second) + "\n" for first, second in ("ab", "cd", "ef")]
CONLLU = f"# newdoc\n{_PAIRS[0]}{_PAIRS[1]}# newdoc id = 2\n{_PAIRS[2]}"
CSV = "doc,sentence,token,tag\nx,1,a,O\n,,b,B-X\n,2,c,O\ny,3,d,O\nx,4,e,O\n"
LISTS = "".join(
    json.dumps({"tokens": ["a"], "ner_tags": ["O"], **each}) + "\n"
    for each in ({"document": "x"}, {"document": "x"}, {"document": 7}, {}, {"document": "x"})
)
SPANS = "".join(
    json.dumps({"text": "ab", "entities": [], "id": each, "document": {"no": "name"}}) + "\n"
    for each in "xxy"
)
WORDS = "今天 休息 。\n他们 在 工作 。\n\n\n林 小雨 在 。\n"


@pytest.mark.parametrize(
    ("text", "habits", "expected"),
    [
        (COLUMNS, {}, [0, 1, 1, 2]),
        (COLUMNS, {"documents": "file"}, [1, 1, 1, 1]),
        (COLUMNS, {"documents": "none"}, [0, 0, 0, 0]),
        (CONLLU, {}, [1, 1, 2]),
        (CSV, {}, [0, 0, 0, 0]),
        (CSV, {"document_column": "Doc"}, [1, 1, 2, 1]),
        (LISTS, {}, [1, 1, 2, 0, 1]),
        (LISTS, {"documents": "none"}, [0, 0, 0, 0, 0]),
        (SPANS, {}, [0, 0, 0]),
        (SPANS, {"document_column": "id"}, [1, 1, 2]),
        (WORDS, {}, [0, 0, 0]),
        (WORDS, {"documents": "blank"}, [1, 1, 2]),
        (WORDS, {"documents": "file"}, [1, 1, 1]),
    ],
)
def test_documents_of_a_file(tmp_path: Path, text: str, habits: dict[str, str], expected: list[int]) -> None:
    (tmp_path / "a").write_text(text, encoding="utf-8")
    corpus = read_corpus(tmp_path / "a", habits=Habits(**habits))
    assert [sentence.document for sentence in corpus.sentences] == expected
    assert corpus.has_documents == any(expected)


@pytest.mark.parametrize(
    ("text", "habits", "told"),
    [
        (COLUMNS, {"documents": "blank"}, "--documents blank is for plain or word-segmented text"),
        (COLUMNS, {"document_column": "doc"}, "--document-column is for JSON, CSV and tables"),
        (
            CSV,
            {"document_column": "text"},
            r"a:1: --document-column text is none of doc, sentence, token, tag",
        ),
        (LISTS, {"document_column": "document"}, "a:4: no text or number in the field .* names: document"),
        (SPANS, {"document_column": "document"}, "a:1: no text or number in the field"),
    ],
)
def test_documents_that_a_file_does_not_tell_are_refused(
    tmp_path: Path, text: str, habits: dict[str, str], told: str
) -> None:
    (tmp_path / "a").write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=told):
        read_corpus(tmp_path / "a", habits=Habits(**habits))


@pytest.mark.parametrize(
    ("text", "habits", "expected"),
    [
        ("a\nb\n\nc\n", {}, [("a", 0), ("b", 0), ("", 0), ("c", 0)]),
        ("a\nb\n\nc\n", {"documents": "file"}, [("a", 1), ("b", 1), ("", 1), ("c", 1)]),
        ("a\nb\n\nc\n", {"documents": "blank"}, [("a", 1), ("b", 1), ("", 2), ("c", 2)]),
        (COLUMNS, {"format": "columns"}, [(["a"], 0), (["b"], 1), (["c"], 1), (["d"], 2)]),
        (
            CSV,
            {"format": "csv", "document_column": "doc"},
            [(["a", "b"], 1), (["c"], 1), (["d"], 2), (["e"], 1)],
        ),
        (LISTS, {"format": "json"}, [(["a"], number) for number in (1, 1, 2, 0, 1)]),
        (
            WORDS,
            {"format": "words", "documents": "file"},
            [("今天休息。", 1), ("他们在工作。", 1), ("", 1), ("", 1), ("林小雨在。", 1)],
        ),
        (
            CONLLU,
            {"format": "columns", "documents": "none"},
            [(list(pair), 0) for pair in ("ab", "cd", "ef")],
        ),
    ],
)
def test_documents_of_texts(
    tmp_path: Path, text: str, habits: dict[str, str], expected: list[tuple[object, int]]
) -> None:
    (tmp_path / "a").write_text(text, encoding="utf-8")
    assert list(read_texts_of_documents(tmp_path / "a", Habits(**habits))) == expected


def test_a_folder_of_brat_keeps_its_documents(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("Mara lives here.\nYes.\n")
        (tmp_path / f"{name}.ann").write_text("T1\tPER 0 4\tMara\n")
    for documents, expected in (("auto", [1, 1, 2, 2]), ("file", [1, 1, 2, 2]), ("none", [0] * 4)):
        corpus = read_corpus(tmp_path, habits=Habits(documents=documents))
        assert [sentence.document for sentence in corpus.sentences] == expected


def test_documents_of_a_table(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {
        "tokens": [["a"], ["b"], ["c"]],
        "ner_tags": [["O"]] * 3,
        "document": ["x", "x", None],
        "n": [1, 2, 2],
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "a")
    for given, expected in (({}, [1, 1, 0]), ({"document_column": "n"}, [1, 2, 2])):
        corpus = read_corpus(tmp_path / "a", habits=Habits(**given))
        assert [sentence.document for sentence in corpus.sentences] == expected
