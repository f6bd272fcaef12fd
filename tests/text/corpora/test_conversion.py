"""Conversion between formats and schemes: nothing is lost that the target can hold; the rest is named."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.corpora import (
    Corpus,
    CorpusError,
    Habits,
    Sentence,
    open_corpus,
    read_corpus,
    write_columns,
)
from pybert_crf.text.corpora.conversion import format_of, write_corpus
from pybert_crf.text.tagging.entity_spans import Span, spans, tags_from_spans
from pybert_crf.text.tagging.schemes import SCHEMES


def entities(corpus: Corpus) -> list[list[tuple[str, str]]]:
    return [
        [(label, "|".join(s.tokens[start:end])) for start, end, label in spans(s.tags, corpus.scheme)]
        for s in corpus.sentences
    ]


@pytest.mark.parametrize(
    ("name", "expected"), [("a.JSONL", "json"), ("a.json", "json"), ("a.conll", "columns")]
)
def test_the_name_says_the_format(name: str, expected: str) -> None:
    assert format_of(name) == expected


def test_columns_become_json_lines(tmp_path: Path) -> None:
    write_columns(tmp_path / "a", [Sentence(["New", "York", "is", "big"], ["B-LOC", "I-LOC", "O", "O"])] * 2)
    assert write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b.jsonl", "json").losses == []
    line = json.loads((tmp_path / "b.jsonl").read_text().splitlines()[1])
    assert line == {
        "text": "New York is big",
        "entities": [{"start": 0, "end": 8, "label": "LOC", "text": "New York"}],
    }


def test_a_text_is_kept_as_it_is(tmp_path: Path) -> None:
    text = "  Ada  left,Rome "
    values = {"text": text, "entities": [{"start": 12, "end": 16, "label": "LOC", "text": "Rome"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(values) + "\n")
    corpus = read_corpus(tmp_path / "a.jsonl")
    assert write_corpus(corpus, tmp_path / "b.jsonl", "json").losses == []
    assert json.loads((tmp_path / "b.jsonl").read_text()) == values
    assert write_corpus(corpus, tmp_path / "c", "columns").losses == ["1 texts lose their white space"]


def test_illegal_tags_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a B-X\nb O\n\n" * 200 + "c O\nd I-X\n")
    losses = write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b", "columns", "BIOES").losses
    assert losses == ["1 illegal tags are read as conlleval reads them"]
    assert read_corpus(tmp_path / "b").sentences[-1].tags == ["O", "S-X"]


def test_what_a_scheme_cannot_hold_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a O\n\nOslo B-LOC\nBergen B-LOC\n")
    with pytest.raises(CorpusError, match=r"a:4: two adjacent entities of one type .* in IO"):
        write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b", "columns", "IO")
    assert not (tmp_path / "b").exists()


def test_what_columns_cannot_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("New York\tB-LOC\nis\tO\n")
    with pytest.raises(CorpusError, match="'New York' cannot stand in a column file"):
        write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b", "columns")


_UNITS = st.text("林雨ab。", min_size=1, max_size=8)


def _sentences(texts: list[str], data: st.DataObject, scheme: str, unit: str) -> list[Sentence]:
    """Sentences of these characters (or words), with entities none of which touches another of its type."""
    sentences = []
    for text in texts:
        borders = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
        pairs = list(zip(borders[::2], borders[1::2], strict=False))
        labels = [f"T{i}" for i in range(len(pairs))]
        drawn = [Span(start, end, label) for (start, end), label in zip(pairs, labels, strict=True)]
        tokens = [f"{unit}{'abc'[i % 3]}" if unit else each for i, each in enumerate(text)]
        sentences.append(Sentence(tokens, tags_from_spans(drawn, len(text), scheme)))
    return sentences


TARGETS = [("columns", ".txt"), ("json", ".jsonl"), ("lists", ".json"), ("csv", ".csv"), ("brat", ".ann")]
TARGETS += [("parquet", "")] if find_spec("pyarrow") else []
TARGETS += [("spacy", ".spacy")] if find_spec("spacy") else []


@given(
    texts=st.lists(_UNITS, min_size=1, max_size=4),
    data=st.data(),
    scheme=st.sampled_from(SCHEMES[:-1]),
    path=st.lists(st.sampled_from(TARGETS), min_size=1, max_size=3),
    unit=st.sampled_from(["", "w"]),
)
def test_every_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    data: st.DataObject,
    scheme: str,
    path: list[tuple[str, str]],
    unit: str,
) -> None:
    """Columns of a scheme → any formats, one after another → columns of the scheme: the same entities."""
    folder = tmp_path_factory.mktemp("trip")
    habits = Habits(unit="word" if unit else "char")
    write_columns(folder / "a", _sentences(texts, data, scheme, unit))
    first = corpus = read_corpus(folder / "a", scheme)
    for number, (target, suffix) in enumerate(path):
        file = folder / f"{number}{suffix}"
        assert write_corpus(corpus, file, target, unit=habits.unit).losses == []
        corpus = read_corpus(file, scheme, habits)
    write_corpus(corpus, folder / "z", "columns", scheme)
    last = read_corpus(folder / "z", scheme)
    assert entities(first) == entities(last)
    assert [s.tokens for s in first.sentences] == [s.tokens for s in last.sentences]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("林小雨 在 青河市 工作 。\n今天 休息\n", "char"),
        ("今天/t 休息/v 。/w\n", "char"),
        ("今天/t 休息/v 。/w\n", "word"),
    ],
)
def test_segmented_text_and_back(tmp_path: Path, text: str, unit: str) -> None:
    (tmp_path / "a").write_text(text, encoding="utf-8")
    corpus = read_corpus(tmp_path / "a", habits=Habits(unit=unit))
    assert corpus.scheme == ("none" if unit == "word" else "BMES")
    assert write_corpus(corpus, tmp_path / "b.seg", "words", unit=unit).losses == []
    assert (tmp_path / "b.seg").read_text("utf-8") == text


def test_plain_tags_become_conllu_and_come_back(tmp_path: Path) -> None:
    text = "-DOCSTART- O\n\nMara PROPN\nsees VERB\n\n-DOCSTART- O\n\n. PUNCT\n"
    (tmp_path / "a").write_text(text)
    corpus = read_corpus(tmp_path / "a")
    assert write_corpus(corpus, tmp_path / "b.conllu", "conllu").losses == []
    again = read_corpus(tmp_path / "b.conllu")
    assert [s[:2] for s in again.sentences] == [s[:2] for s in corpus.sentences]
    assert [s.document for s in again.sentences] == [1, 2]
    write_columns(tmp_path / "c", [Sentence(["a"], ["B-X"])])
    with pytest.raises(CorpusError, match="of plain tags alone, not of BIO"):
        write_corpus(read_corpus(tmp_path / "c"), tmp_path / "d", "conllu")


def test_entities_in_segmented_text(tmp_path: Path) -> None:
    write_columns(tmp_path / "a", [Sentence(list("在北京住"), ["O", "B-LOC", "I-LOC", "O"])])
    write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b", "words", unit="char")
    assert (tmp_path / "b").read_text("utf-8") == "在/O 北京/LOC 住/O\n"


def test_a_segmenter_without_o_loses_nothing_but_o(tmp_path: Path) -> None:
    write_columns(tmp_path / "a", [Sentence(list("北京。"), ["B", "E", "O"])])
    losses = write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b", "words", unit="char").losses
    assert losses == ["1 characters outside words become words"]


@pytest.mark.parametrize(
    ("token", "format", "told"),
    [
        ("a\u00a0", "csv", "CSV cannot hold the white space"),
        ("/", "words", "cannot hold"),
        ("word", "words", "holds entities of characters"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, token: str, format: str, told: str) -> None:
    write_columns(tmp_path / "a", [Sentence(["b"], ["O"])] * 9 + [Sentence([token], ["B-X"])])
    unit = "word" if token == "word" else "char"
    line = 1 if unit == "word" else 19
    with pytest.raises(CorpusError, match=rf"a:{line}: .*{told}"):
        write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b", format, unit=unit)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("value", "format", "told"),
    [
        ({"text": "ab", "entities": [[0, 1, "X\nY"]]}, "csv", "CSV cannot hold the white space of the tag"),
        ({"text": "ab", "entities": [[0, 1, "X Y"]]}, "brat", "brat cannot hold the white space in the type"),
        ({"text": "ab", "entities": [[0, 1, "地名"]]}, "words", "text cannot hold the type '地名'"),
        ({"tokens": ["a"], "tags": ["B-X/Y"]}, "words", "text cannot hold the type 'X/Y'"),
        ({"tokens": ["\ufeff"], "tags": ["\ufeff"]}, "columns", "the tag '.*' cannot stand in a column"),
        ({"tokens": ["\u3000"], "tags": ["B-X"]}, "json", "white space at an end of the entity"),
        ({"tokens": ["\u3000"], "tags": ["B-X"]}, "brat", "white space at an end of the entity"),
        ({"tokens": ["a\u3000b"], "tags": ["B-X"]}, "words", "a token that word-segmented text cannot hold"),
    ],
)
def test_what_could_not_be_read_back_is_refused(
    tmp_path: Path, value: object, format: str, told: str
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(CorpusError, match=rf"a\.json:1: .*{told}"):
        write_corpus(read_corpus(tmp_path / "a.json"), tmp_path / "b.ann", format, unit="char")
    assert not (tmp_path / "b.ann").exists()


@pytest.mark.parametrize("format", ["words", "brat", "columns"])
def test_a_byte_order_mark_as_the_first_token(tmp_path: Path, format: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"tokens": ["\ufeff", "b"], "tags": ["B-X", "O"]}))
    corpus = read_corpus(tmp_path / "a.json")
    write_corpus(corpus, tmp_path / "b.ann", format, unit="char")
    again = read_corpus(tmp_path / "b.ann", habits=Habits(format=format, unit="char"))
    assert again.sentences[0].tokens == ["\ufeff", "b"]
    assert entities(again) == entities(corpus)


def test_documents_stay_apart_in_columns(tmp_path: Path) -> None:
    text = "-DOCSTART- O\n\na B-X\n\nb O\n\n-DOCSTART- O\n\nc O\n"
    (tmp_path / "a").write_text(text)
    corpus = read_corpus(tmp_path / "a")
    assert [sentence.document for sentence in corpus.sentences] == [1, 1, 2]
    assert write_corpus(corpus, tmp_path / "b", "columns").losses == []
    assert read_corpus(tmp_path / "b").sentences[2].document == 2
    for format in ("json", "lists"):
        assert write_corpus(corpus, tmp_path / "b", format).losses == []
        again = read_corpus(tmp_path / "b")
        assert [sentence.document for sentence in again.sentences] == [1, 1, 2]
        assert "of the documents in 'document'" in again.notes[0]
    assert write_corpus(corpus, tmp_path / "b", "csv").losses == ["1 borders between documents"]


def test_a_stream_is_what_is_held(tmp_path: Path) -> None:
    text = "a B_X\nb I_X\n\n" * 3 + "c O\n"
    (tmp_path / "a").write_text(text)
    stream = open_corpus(tmp_path / "a", habits=Habits(map_tags=True))
    held = read_corpus(tmp_path / "a", habits=Habits(map_tags=True))
    for _ in range(2):
        assert list(stream.sentences) == held.sentences
    assert (stream.scheme, stream.notes) == (held.scheme, held.notes)
    sizes = write_corpus(stream, tmp_path / "b", "json").sizes
    assert sizes == held.statistics
