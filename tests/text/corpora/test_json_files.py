"""Corpora in JSON: every public form is read, spans are held against their surfaces, faults name the line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpus_entities import entities
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.corpora import CorpusError, Habits, read_corpus

Write = Callable[..., Path]
TEXT = "林小雨在青河市工作。"
TAGS = ["B-PER", "I-PER", "I-PER", "O", "B-LOC", "I-LOC", "I-LOC", "O", "O", "O"]
PAIR = [("PER", "林小雨"), ("LOC", "青河市")]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def one(*values: Any) -> Path:
        path = tmp_path / "corpus.json"
        path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), "utf-8")
        return path

    return one


def studio(**more: Any) -> dict[str, Any]:
    result = [{"value": {"start": 0, "end": 3, "text": "林小雨", "labels": ["PER"]}, "type": "labels"}]
    result += [{"value": {"start": 4, "end": 7, "labels": ["LOC"]}}, {"value": {"choices": ["good"]}}]
    return {"data": {"text": TEXT}, "annotations": [{"result": result, **more}]}


FORMS: dict[str, Any] = {
    "ours": {
        "text": TEXT,
        "entities": [{"start": 0, "end": 3, "label": "PER"}, {"start": 4, "end": 7, "label": "LOC"}],
    },
    "doccano, old": {"id": 1, "text": TEXT, "labels": [[0, 3, "PER"], [4, 7, "LOC"]]},
    "doccano, new": {
        "text": TEXT,
        "entities": [
            {"id": 7, "label": "PER", "start_offset": 0, "end_offset": 3},
            {"id": 8, "label": "LOC", "start_offset": 4, "end_offset": 7},
        ],
        "relations": [],
    },
    "CLUENER": {"text": TEXT, "label": {"PER": {"林小雨": [[0, 2]]}, "LOC": {"青河市": [[4, 6]]}}},
    "spaCy": [TEXT, {"entities": [[0, 3, "PER"], [4, 7, "LOC"]]}],
    "Label Studio": studio(),
    "tokens and tags": {
        "tokens": list(TEXT),
        "ner_tags": TAGS,
    },
    "text and tags": {
        "text": TEXT,
        "label": TAGS,
    },
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read(write: Write, name: str) -> None:
    for path in (write(FORMS[name], FORMS[name]), write([FORMS[name], FORMS[name]])):
        corpus = read_corpus(path)
        assert entities(corpus) == PAIR * 2
        assert corpus.sentences[0].tokens == list(TEXT)
        assert corpus.notes[0].startswith(f"{path}: JSON, ")


def test_ends_are_inclusive_or_not_for_a_whole_file(write: Write) -> None:
    inclusive = {"text": "青河市", "label": {"LOC": {"青河市": [[0, 2]]}}}
    assert "inclusive ends" in read_corpus(write(inclusive, FORMS["CLUENER"])).notes[0]
    half_open = {"text": "青河市", "label": {"LOC": {"青河市": [[0, 3]]}}}
    assert "half-open character" in read_corpus(write(half_open)).notes[0]
    told = r"json:3: the span 0 to 3 does not hold '青河市' by inclusive ends, as the others do"
    with pytest.raises(CorpusError, match=told):
        read_corpus(write(inclusive, inclusive, half_open))


def test_offsets_in_utf16_units_are_recognised(write: Write) -> None:
    value = {"text": "😀林雨", "entities": [{"start": 2, "end": 4, "label": "PER", "text": "林雨"}]}
    corpus = read_corpus(write(value))
    assert entities(corpus) == [("PER", "林雨")]
    assert "UTF-16" in corpus.notes[0]


def test_english_is_read_by_word(write: Write) -> None:
    values = [{"text": "Mara visits New York.", "label": [[0, 4, "PER"], [12, 20, "LOC"]]}] * 3
    corpus = read_corpus(write(*values))
    assert entities(corpus, " ")[:2] == [("PER", "Mara"), ("LOC", "New York")]
    assert corpus.sentences[0].tokens == ["Mara", "visits", "New", "York", "."]


def test_a_unit_is_cut_at_the_border_of_an_entity(write: Write) -> None:
    corpus = read_corpus(write({"text": "the Oslo-based firm", "label": [[4, 8, "LOC"]]}))
    assert entities(corpus) == [("LOC", "Oslo")]
    assert "1 words cut at the border" in corpus.notes[0]


def test_overlapping_entities(write: Write) -> None:
    path = write(
        {"text": TEXT, "label": []}, {"text": TEXT, "label": [[0, 2, "A"], [1, 7, "B"], [8, 9, "C"]]}
    )
    with pytest.raises(CorpusError, match=r"json:2: .*overlap: --overlaps longest or first"):
        read_corpus(path)
    for overlaps, kept in (("longest", "B"), ("first", "A")):
        corpus = read_corpus(path, habits=Habits(overlaps=overlaps))
        assert [label for label, _ in entities(corpus)] == [kept, "C"]
        assert "1 overlapping entities left out" in corpus.notes[0]


def test_numbers_need_names(write: Write) -> None:
    path = write({"tokens": ["Ada", "left"], "ner_tags": [1, 0]})
    with pytest.raises(CorpusError, match=r"json:1: the tag 1 has no name: --labels"):
        read_corpus(path)
    assert entities(read_corpus(path, habits=Habits(labels="O,B-PER"))) == [("PER", "Ada")]


def test_label_studio_with_several_annotators(write: Write) -> None:
    task = studio(completed_by=1)
    task["annotations"].append({"completed_by": 2, "result": []})
    with pytest.raises(CorpusError, match=r"json:1: 2 annotations of one text, by 1, 2: --annotator"):
        read_corpus(write(task))
    assert entities(read_corpus(write(task), habits=Habits(annotator="1"))) == PAIR
    task["annotations"][1]["was_cancelled"] = True
    assert entities(read_corpus(write(task))) == PAIR


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "ab", "label": [[0, 1', r"json:2: not JSON \("),
        ('{"text": "ab", "label": "good"}', "json:2: entities of no known form"),
        ('{"text": "ab", "label": [[0, "1", "X"]]}', "json:2: entities of no known form"),
        ('{"text": "ab", "label": [[0, 9, "X"]]}', "json:2: no span: 0 to 9; the text has 2 characters"),
        ('{"text": "a  b", "label": [[1, 3, "X"]]}', "json:2: only white space from 1 to 3"),
        ('{"text": "ab"}', "json:2: a text without entities, label, labels, spans"),
        ('{"id": 4}', "json:2: neither tokens and tags nor a text with entities"),
        ("7", "json:2: neither tokens and tags"),
        ('{"tokens": ["a"], "tags": ["O", "O"]}', "json:2: neither tokens"),
    ],
)
def test_faults_are_named_with_their_line(write: Write, line: str, message: str) -> None:
    path = write({"text": "ab", "label": [[0, 1, "X"]]})
    path.write_text(path.read_text("utf-8") + line + "\n", "utf-8")
    with pytest.raises(CorpusError, match=message):
        read_corpus(path)


def test_many_entities_of_a_long_text(write: Write) -> None:
    several = {"text": "ab " * 20_000, "entities": [[3 * i, 3 * i + 1, "X"] for i in range(20_000)]}
    corpus = read_corpus(write(several), habits=Habits(unit="word"))  # in a second: each word is cut in two
    assert corpus.statistics.tokens == 40_000
    assert corpus.statistics.entities == {"X": 20_000}
    wide = {"text": "ab" * 20_000, "entities": [[i, i + 3, "X"] for i in range(39_000)]}
    assert read_corpus(write(wide), habits=Habits(overlaps="first")).statistics.entities == {"X": 13_000}


def test_a_long_offset_is_cut_in_the_message(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"json:1: no span: 0 to 10{10,40}\.\.\.") as raised:
        read_corpus(write({"text": "ab", "entities": [[0, 10**4000, "X"]]}))
    assert len(raised.value.message) < 200


def test_a_token_may_be_white_space_as_in_columns(write: Write) -> None:
    corpus = read_corpus(write({"tokens": ["\u3000", "a"], "ner_tags": ["B-X", "O"]}))
    assert corpus.sentences[0].tokens == ["\u3000", "a"]
    space = write({"tokens": [" ", "a"], "ner_tags": ["B-X", "O"]})
    with pytest.raises(CorpusError, match="json:1: a token is empty"):
        read_corpus(space)
    assert read_corpus(space, habits=Habits(space_tokens="keep")).sentences[0].tokens == [" ", "a"]


def test_unequal_lists_are_refused(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"json:1: 1 tokens and 2 tags"):
        read_corpus(write({"tokens": ["a"], "tags": ["O", "O"]}))


def test_brackets_in_column_files_are_tokens(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("[ O\n{ B-X\n] O\n")
    assert read_corpus(path).sentences[0].tokens == ["[", "{", "]"]


@given(
    words=st.lists(st.text("ab林雨 😀", min_size=1, max_size=4), min_size=1, max_size=6),
    labelled=st.sets(st.integers(0, 5)),
)
def test_spans_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], labelled: set[int]
) -> None:
    text, given_spans = "", []
    for number, word in enumerate(words):
        if number in labelled and word.strip():
            given_spans.append([len(text), len(text) + len(word), "X"])
        text += word
    path = tmp_path_factory.mktemp("spans") / "corpus.json"
    path.write_text(json.dumps({"text": text + "。", "label": given_spans}))
    found = entities(read_corpus(path, habits=Habits(unit="char")))
    expected = ["".join(text[start:end].split()) for start, end, _ in given_spans]
    assert [surface for _, surface in found] == expected


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"tokens": ["a", "b"], "ner_tags": ["B-X", "Ox"]}', "tag 'Ox' is neither"),
        ('{"data": {"text": "a"}, "annotations": 4}', "no list of annotations of Label Studio: 4"),
        ('{"text": "a", "label": {"": {"a": [[0, 0]]}}}', "entities of no known form"),
        ('{"text": "a\\ud800", "label": []}', "half of a pair of surrogates"),
        ('{"text": ' + "[" * 3000, "too deeply nested"),
    ],
    ids=["tag", "annotations", "type", "surrogate", "deep"],
)
def test_what_the_fuzzer_found_is_refused_by_its_line(line: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "corpus.json").write_text(line)
    with pytest.raises(CorpusError, match=rf"corpus\.json:1: .*{told}"):
        read_corpus(tmp_path / "corpus.json")


def test_label_studio_in_its_short_form(write: Write) -> None:
    """JSON-MIN: the labels of an entity are a list, as in the long form; several are several entities."""
    given = {"id": 7, "text": TEXT, "label": [{"start": 0, "end": 3, "text": "林小雨", "labels": ["PER"]}]}
    assert entities(read_corpus(write(given))) == [("PER", "林小雨")]
    given["label"][0]["labels"] = ["PER", "ORG"]  # type: ignore[index]
    with pytest.raises(CorpusError, match=r"1: the entities .* overlap: --overlaps"):
        read_corpus(write(given))
    given["label"][0]["labels"] = []  # type: ignore[index]
    with pytest.raises(CorpusError, match=r"1: entities of no known form"):
        read_corpus(write(given))


def test_another_encoding_is_named_in_general(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("café O\n".encode("cp1252"))
    with pytest.raises(CorpusError, match=r"a:1: not UTF-8 .*--encoding names another encoding"):
        read_corpus(tmp_path / "a")
