"""Column files: no sentence is lost, unusual characters are kept, faults are named with file and line."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pybert_crf.text.corpora import (
    Corpus,
    CorpusError,
    Habits,
    Sentence,
    read_columns,
    read_corpus,
    write_columns,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "corpus.txt"


def _read(file: Path, content: str | bytes) -> Corpus:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_corpus(file)


def _tokens(corpus: Corpus) -> list[list[str]]:
    return [sentence.tokens for sentence in corpus.sentences]


def test_first_column_is_the_token_and_last_the_tag(file: Path) -> None:
    corpus = _read(file, "EU NNP I-NP B-ORG\nrejects \tVBZ\t I-VP O  \n\nPeter NN\tI-NP B-PER\n")
    assert corpus.sentences == [
        Sentence(["EU", "rejects"], ["B-ORG", "O"], 1),
        Sentence(["Peter"], ["B-PER"], 4),
    ]
    assert (corpus.scheme, corpus.labels, corpus.path) == ("BIO", ["O", "B-ORG", "B-PER"], file)


@pytest.mark.parametrize(
    "content",
    [
        "a O\nb O\n\nc O",  # no newline at the end
        "a O\nb O\n\n\n\nc O\n\n",
        "\n\na O\nb O\n\nc O\n",
        "a O\r\nb O\r\n\r\nc O\r\n",
        "a O\nb O\n\t\nc O\n \n",  # blank lines that are not empty
        "\ufeffa O\nb O\n\nc O\n",
        "\ufeff\na O\nb O\n\nc O\n\ufeff\n",  # a stray byte order mark at the end, as in W-NUT 2017
        "-DOCSTART- -X- O O\n\na O\nb O\n\n-DOCSTART-\n\nc O\n",
        "-DOCSTART-\tO\na O\nb O\n-DOCSTART- O\nc O\n",  # without blank lines
    ],
)
def test_no_sentence_is_lost(file: Path, content: str) -> None:
    assert _tokens(_read(file, content)) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    "token",
    [
        "\u2028",
        "\u2029",
        "\x85",
        "\u3000",
        "\xa0",
        "\u200e",
        "\u00ad",
        "\x0b",
        "\x1c",
        "\ufe0f",
        "\u200b",
        "𠮷",
        "0",
        "-",
    ],
)
def test_odd_characters_are_tokens(file: Path, token: str) -> None:
    assert _tokens(_read(file, f"a O\n{token} B-X\nb{token}b\tO\n")) == [["a", token, f"b{token}b"]]


def test_a_byte_order_mark_with_a_tag_is_a_token(file: Path) -> None:
    assert _tokens(_read(file, "a O\n\ufeff O\n")) == [["a", "\ufeff"]]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("a O\nb\nc O\n", 2, "one column, expected 'token … tag', separated by spaces or tabs: 'b'"),
        ("a O\n\u3000\n", 2, "one column"),
        ("a O\n\n\tO\n", 3, r"the token column is empty \(expected 'token … tag'\): '\\tO'"),
        ("a O\n O\n", 2, "the token column is empty"),
        ("a O\nb X-PER\n", 2, "tag 'X-PER' is neither 'O' nor PREFIX-TYPE"),
        ("a O\nb B-\n", 2, "tag 'B-'"),
        ("a B-X\n\nb O\nc B\n", 4, "tag 'B' has no type, but other tags of the file have one"),
        ("a o\n", 1, "tag 'o'"),
        ("a O\rb O\r", 1, "a carriage return inside the line"),
        (b"a O\n\nb\xff O\n", 3, "not UTF-8 .byte 2 of the line is ff.: b'b.xff O'"),
        ("a O\nb O\n".encode("utf-16"), 1, "not UTF-8"),
        ("a O\n\nb B-X\nc O\nd I-X\ne O\nf I-X\n\ng B-X\n", 5, r"'I-X' cannot follow 'O' \(2 such faults\)"),
        ("a B-X\nb M-X\nc L-X\n", 3, "prefix of 'L-X'"),
        ("a B-X\nb E-X\n\nc B-X\n\nd S-X\ne B-X\n", 4, "'O' cannot follow 'B-X'"),
    ],
)
def test_faults_are_named_with_file_and_line(
    file: Path, content: str | bytes, line: int, message: str
) -> None:
    with pytest.raises(CorpusError, match=message) as error:
        _read(file, content)
    assert str(error.value).startswith(f"{file}:{line}: ")
    assert (error.value.path, error.value.line) == (str(file), line)


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", "-DOCSTART- O\n\n"])
def test_a_file_without_a_sentence_is_an_error(file: Path, content: str) -> None:
    with pytest.raises(CorpusError, match="no sentence in this file") as error:
        _read(file, content)
    assert error.value.line is None
    assert str(error.value).startswith(f"{file}: ")


def test_a_missing_file_is_the_systems_error(file: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"corpus\.txt"):
        read_corpus(file)


def test_the_scheme_of_another_part_can_be_demanded(file: Path) -> None:
    file.write_text("a B-X\nb E-X\n")  # BIOES or BMES
    assert read_corpus(file).scheme == "BIOES"
    assert read_corpus(file, scheme="BMES").scheme == "BMES"
    assert read_corpus(file, scheme="BIO").scheme == "BIOES"  # it does not fit
    with pytest.raises(CorpusError, match=r":2: the tags do not fit the scheme: in BIO, the prefix of 'E-X'"):
        read_corpus(file, habits=Habits(scheme="BIO"))


def test_statistics_and_labels(file: Path) -> None:
    corpus = _read(file, "a S-X\nb B-Y\nc E-Y\n\nd O\ne S-X\n")
    assert corpus.labels == ["O", "B-Y", "E-Y", "S-X"]
    statistics = corpus.statistics
    assert (statistics.sentences, statistics.tokens, statistics.longest) == (2, 5, 3)
    assert statistics.entities == {"X": 2, "Y": 1}
    assert ("entities", 3) in statistics.rows()
    assert ("entities Y", 1) in statistics.rows()


def test_word_segmentation_needs_no_types(file: Path) -> None:
    corpus = _read(file, "上 B\n海 E\n的 S\n\n天 B\n安 M\n门 E\n")
    assert (corpus.scheme, corpus.labels) == ("BMES", ["B", "E", "M", "S"])
    assert corpus.statistics.entities == {"word": 3}


def test_o_is_a_label_even_where_every_token_belongs_to_something(file: Path) -> None:
    assert _read(file, "a S-W\nb S-W\n").labels == ["O", "S-W"]


def test_tolerated_faults_are_listed(file: Path) -> None:
    corpus = _read(file, "a B-X\nb E-X\n\n" * 100 + "c O\nd B-X\n")
    assert corpus.scheme == "BIOES"
    assert corpus.illegal_lines == [302]


def test_one_fault_in_a_small_file_is_listed(file: Path) -> None:
    corpus = _read(file, "a B-X\nb I-X\n\nc I-X\nd O\n")
    assert (corpus.scheme, corpus.illegal_lines) == ("BIO", [4])


def test_read_columns_takes_tokens_alone(file: Path) -> None:
    file.write_bytes("\ufeffa X O\nb X O\n\n-DOCSTART-\nc X whatever\n".encode())
    assert list(read_columns(file)) == [["a", "b"], ["c"]]
    file.write_bytes(b"a\n b\n")
    with pytest.raises(CorpusError, match=r":2: the token column is empty \(expected a token\)"):
        list(read_columns(file))
    file.write_bytes(b"")
    assert list(read_columns(file)) == []


def test_read_columns_streams() -> None:
    """The first sentence is read before the third is written."""
    descriptor, writing = os.pipe()
    with os.fdopen(descriptor, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(b"a\nb\n\nc\n" + b"\n" * 20_000)  # more than a read-ahead buffer; the pipe stays open
        sentences = read_columns(stream)
        assert next(sentences) == ["a", "b"]
        assert next(sentences) == ["c"]
        pipe.write(b"d\n")
        pipe.close()
        assert list(sentences) == [["d"]]


def test_a_streams_name_is_in_the_error() -> None:
    with pytest.raises(CorpusError, match=r"^<stream>:2: "):
        list(read_columns(io.BytesIO(b"a\n\tb\n")))


_TOKEN = st.text(
    st.characters(exclude_characters=" \t\r\n", exclude_categories=["Cs"]), min_size=1, max_size=4
).filter(lambda token: token != "-DOCSTART-")
_SENTENCE = st.lists(st.tuples(_TOKEN, st.sampled_from(["O", "B-X", "B-Y-Z"])), min_size=1, max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_SENTENCE, min_size=1, max_size=4))
def test_what_is_written_is_read_back(file: Path, content: list[list[tuple[str, str]]]) -> None:
    sentences = [Sentence([token for token, _ in rows], [tag for _, tag in rows]) for rows in content]
    write_columns(file, sentences)
    assert [(s.tokens, s.tags) for s in read_corpus(file).sentences] == [
        (s.tokens, s.tags) for s in sentences
    ]
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("token", ['{"', '{"":', "[[", "[{", "{}", "[]"])
def test_a_token_that_looks_like_json(file: Path, token: str) -> None:
    write_columns(file, [Sentence([token], ["O"])])
    assert read_corpus(file).sentences[0].tokens == [token]


def test_a_leading_byte_order_mark_token_survives(file: Path) -> None:
    write_columns(file, [Sentence(["\ufeff"], ["O"])])
    assert read_corpus(file).sentences[0].tokens == ["\ufeff"]


@pytest.mark.parametrize(
    ("tokens", "tags"),
    [(["a b"], ["O"]), ([""], ["O"]), (["a\n"], ["O"]), (["\r"], ["O"]), (["-DOCSTART-"], ["O"]),
     (["a"], [""]), (["a"], []), ([], []), (["\ud800"], ["O"])],
)  # fmt: skip
def test_what_could_not_be_read_back_is_not_written(file: Path, tokens: list[str], tags: list[str]) -> None:
    file.write_text("before")
    with pytest.raises(ValueError, match=r"sentence 1|surrogates"):
        write_columns(file, [Sentence(["a"], ["O"]), Sentence(tokens, tags)])
    assert file.read_text() == "before"
    assert list(file.parent.iterdir()) == [file]
