"""Conversion between formats and schemes: nothing is lost that the target can hold; the rest is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.corpora import Corpus, CorpusError, Habits, Sentence, read_corpus, write_columns
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
    assert write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b.jsonl", "json") == []
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
    assert write_corpus(corpus, tmp_path / "b.jsonl", "json") == []
    assert json.loads((tmp_path / "b.jsonl").read_text()) == values
    assert write_corpus(corpus, tmp_path / "c", "columns") == ["1 texts lose their white space"]


def test_illegal_tags_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a B-X\nb O\n\n" * 200 + "c O\nd I-X\n")
    losses = write_corpus(read_corpus(tmp_path / "a"), tmp_path / "b", "columns", "BIOES")
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


@given(texts=st.lists(_UNITS, min_size=1, max_size=4), data=st.data(), scheme=st.sampled_from(SCHEMES[:-1]))
def test_every_round_trip(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject, scheme: str
) -> None:
    """Spans → columns of a scheme → JSON → columns: the same entities."""
    folder = tmp_path_factory.mktemp("trip")
    sentences = []
    for text in texts:
        borders = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
        pairs = list(zip(borders[::2], borders[1::2], strict=False))
        labels = [f"T{i}" for i in range(len(pairs))]  # none touches another of its type
        drawn = [Span(start, end, label) for (start, end), label in zip(pairs, labels, strict=True)]
        sentences.append(Sentence(list(text), tags_from_spans(drawn, len(text), scheme)))
    write_columns(folder / "a", sentences)
    first = read_corpus(folder / "a", scheme)
    write_corpus(first, folder / "b.jsonl", "json", unit="char")
    second = read_corpus(folder / "b.jsonl", habits=Habits(unit="char"))
    write_corpus(second, folder / "c", "columns", scheme)
    third = read_corpus(folder / "c", scheme)
    assert entities(first) == entities(second) == entities(third)
    assert [s.tokens for s in first.sentences] == [s.tokens for s in third.sentences]
