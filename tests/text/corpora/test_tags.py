"""What the tags of a file are: a scheme's, in other spellings, or plain; and parts in different schemes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybert_crf.text.corpora import Corpus, CorpusError, Habits, converted, mended, read_corpus
from pybert_crf.text.tagging.entity_spans import Span, spans
from pybert_crf.text.tagging.metrics import evaluate


def read(folder: Path, tags: str, like: str | None = None, **habits: object) -> Corpus:
    """A corpus of one token a tag; ``|`` is a blank line."""
    lines = ("" if tag == "|" else f"word\t{tag}" for tag in tags.split(" "))
    (folder / "file.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_corpus(folder / "file.txt", like, Habits(**habits))  # type: ignore[arg-type]


def test_plain_tags(tmp_path: Path) -> None:
    corpus = read(tmp_path, "PROPN VERB DET NOUN PUNCT | M NN-SHORT")
    assert corpus.scheme == "none"
    assert corpus.labels == ["DET", "M", "NN-SHORT", "NOUN", "PROPN", "PUNCT", "VERB"]  # no O
    assert "7 plain tags, of no scheme: DET, M, NN-SHORT" in corpus.notes[-1]
    assert corpus.illegal_lines == []
    assert corpus.statistics.entities["NOUN"] == 1


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (" ".join(f"T{i}" for i in range(101)), r":1: 101 different values .*--tag-column.*--scheme none"),
        ("O PER O", r":2: the tag 'PER' has no prefix.*--map-tags reads it as 'I-PER'; --scheme none"),
        ("O B_PER I_PER", r":2: tag 'B_PER' is neither.*--map-tags reads 'B_PER' as 'B-PER'; --scheme none"),
        ("O PER-B", r":2: .*--map-tags reads 'PER-B' as 'B-PER'"),
        ("o b-per i-per", r":1: .*--map-tags reads 'o' as 'O'"),
        ("O X-PER", r":2: tag 'X-PER' is neither 'O' nor PREFIX-TYPE.*--scheme none"),
        ("O B-PER I_PER", r":3: tag 'I_PER' is neither.*; --map-tags reads 'I_PER' as 'I-PER'$"),
        ("O B-PER PER", r":3: tag 'PER' is neither[^;]*$"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_option_that_settles_it(
    tmp_path: Path, tags: str, told: str
) -> None:
    with pytest.raises(CorpusError, match=told):
        read(tmp_path, tags)
    assert read(tmp_path, tags, "BIO", scheme="none").scheme == "none"  # what is said is not questioned


@pytest.mark.parametrize(
    ("tags", "usual"),
    [
        ("O B_PER I_PER", "O B-PER I-PER"),
        ("O PER-B PER.E", "O B-PER E-PER"),
        ("o b-per i-per 0", "O B-per I-per O"),
        ("O PER PER LOC", "O I-PER I-PER I-LOC"),
        ("O B-PER", "O B-PER"),
    ],
)
def test_other_spellings_are_read_if_asked_for(tmp_path: Path, tags: str, usual: str) -> None:
    corpus = read(tmp_path, tags, map_tags=True)
    assert corpus.sentences[0].tags == usual.split()
    assert "--map-tags reads" in corpus.notes[-1]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.conllu", "1-2\tab\tO\n1\ta\tB-X\n# so\n2\tb\tI_X\n", 4),
        ("a.csv", 'token,tag\n"a\nb",B-X\nc,I_X\n', 4),
    ],
)
def test_a_tag_is_named_by_its_own_line(tmp_path: Path, name: str, text: str, line: int) -> None:
    """Also where comments, ranges or a quoted line end stand between the tokens of a sentence."""
    (tmp_path / name).write_text(text)
    with pytest.raises(CorpusError, match=rf"{name}:{line}: tag 'I_X' is neither"):
        read_corpus(tmp_path / name)


def test_no_white_space_at_the_end_of_a_type(tmp_path: Path) -> None:
    assert read(tmp_path, "PER\u3000-B o", map_tags=True).labels == ["O", "B-PER"]


def test_a_spelling_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r":2: --map-tags cannot read the tag 'PER'"):
        read(tmp_path, "B_PER PER", map_tags=True)


def test_bios(tmp_path: Path) -> None:
    corpus = read(tmp_path, "B-PER I-PER O S-LOC | B-LOC I-LOC S-PER")
    assert corpus.scheme == "BIOS"
    assert spans(corpus.sentences[1].tags, "BIOS") == [Span(0, 2, "LOC"), Span(2, 3, "PER")]


def test_a_small_part_is_read_as_the_large_one(tmp_path: Path) -> None:
    assert read(tmp_path, "O B-X O").scheme == "BIO"
    assert read(tmp_path, "O B-X O", "BIOS").scheme == "BIOS"
    assert read(tmp_path, "NN VB", "none").scheme == "none"
    assert read(tmp_path, "NN O", "none").scheme == "none"


def test_parts_that_cannot_be_converted_name_the_line(tmp_path: Path) -> None:
    touching = read(tmp_path, "B-LOC B-LOC O", "IO")
    assert touching.scheme == "BIO"
    with pytest.raises(CorpusError, match=r"file\.txt:2: two adjacent entities of one type .* in IO"):
        converted(touching, "IO")
    with pytest.raises(CorpusError, match=r"file\.txt:1: plain tags cannot be read as BIO"):
        converted(read(tmp_path, "NN VB", "BIO"), "BIO")
    with pytest.raises(CorpusError, match=r"file\.txt:1: BIO is not plain tags"):
        converted(touching, "none")


def test_conversion_is_said_once(tmp_path: Path) -> None:
    corpus = converted(read(tmp_path, "B-LOC E-LOC S-PER"), "BIO")
    assert corpus.sentences[0].tags == ["B-LOC", "I-LOC", "B-PER"]
    assert corpus.notes[-1].endswith("is written in BIOES; it is converted to BIO")
    assert converted(corpus, "BIO") is corpus


def test_mending(tmp_path: Path) -> None:
    corpus = read(tmp_path, "O I-PER I-PER B-LOC")
    assert corpus.illegal_lines == [2]
    assert mended(corpus).sentences[0].tags == ["O", "B-PER", "I-PER", "B-LOC"]


def test_a_plain_tag_of_a_hash_is_no_comment(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("#\tSYM\n", encoding="utf-8")
    assert read_corpus(tmp_path / "file.txt").sentences[0][:2] == (["#"], ["SYM"])
    (tmp_path / "file.txt").write_text("# only comments\n# here\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="no sentence"):
        read_corpus(tmp_path / "file.txt")


def test_plain_tags_are_scored_one_by_one() -> None:
    report = evaluate([["NN", "NN", "VB", "O"]], [["NN", "VB", "VB", "O"]], "none")
    assert report.f1 == report.conlleval.micro.precision == 0.75
    assert report.average_name == "accuracy"
    assert report.conlleval.types["NN"].recall == 0.5
    assert report.strict == report.conlleval


def test_words_have_a_name() -> None:
    report = evaluate([["B", "E", "S"]], [["B", "E", "S"]], "BMES")
    assert list(report.conlleval.types) == ["word"]
