"""Column files of every habit: what is found out is said, what is not clear is refused with the option."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus_entities import entities

from pybert_crf.text.corpora import Corpus, CorpusError, Habits, read_columns, read_corpus

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def one(content: str | bytes) -> Path:
        path = tmp_path / "corpus.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return one


def told(corpus: Corpus) -> str:
    assert len(corpus.notes) == 1
    return corpus.notes[0].partition("corpus.txt: ")[2]


@pytest.mark.parametrize("first", [0, 1])
def test_a_first_column_that_counts_is_left_out_and_said(write: Write, first: int) -> None:
    rows = ["Ada B-PER", "left O", "Rome B-LOC"]
    sentences = [rows, rows[:2], rows[:1]]
    text = "\n\n".join(
        "\n".join(f"{i}\t{row}".replace(" ", "\t") for i, row in enumerate(rows, first)) for rows in sentences
    )
    corpus = read_corpus(write(text))
    assert entities(corpus) == [("PER", "Ada"), ("LOC", "Rome"), ("PER", "Ada"), ("PER", "Ada")]
    assert told(corpus).endswith("tokens in column 2, tags in column 3, column 1 counts and is left out")
    assert list(read_columns(write(text)))[1] == ["Ada", "left"]


def test_numbers_that_do_not_count_are_tokens(write: Write) -> None:
    corpus = read_corpus(write("1 X O\n2 X O\n\n2 X B-N\n"))
    assert [sentence.tokens for sentence in corpus.sentences] == [["1", "2"], ["2"]]
    assert read_corpus(write("0 O\n1 O\n\n0 B-N\n")).sentences[0].tokens == ["0", "1"]


LAYERS = (
    "#\tsource\t[2010]\t\n1\tUni\tB-ORG\tO\n2\tRom\tI-ORG\tB-LOC\n\n#\tsource\t[2011]\n1\tAda\tB-PER\tO\n"
)


def test_two_layers_of_tags_are_refused(write: Write) -> None:
    path = write(LAYERS)
    with pytest.raises(CorpusError, match=r"txt:1: columns 3 and 4 hold tags of a scheme: --tag-column says"):
        read_corpus(path)
    for column, expected in (("3", [("ORG", "Uni Rom"), ("PER", "Ada")]), ("4", [("LOC", "Rom")])):
        assert entities(read_corpus(path, habits=Habits(tag_column=column)), " ") == expected
    with pytest.raises(CorpusError, match="--tag-column 5: the file has no such column; there are 1 to 4"):
        read_corpus(path, habits=Habits(tag_column="5"))


def test_the_chunks_of_conll_2003_are_no_second_layer(write: Write) -> None:
    corpus = read_corpus(write("EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n"))
    assert entities(corpus) == [("ORG", "EU"), ("PER", "Peter")]


def test_tags_before_the_last_column_are_found(write: Write) -> None:
    corpus = read_corpus(write("Ada B-PER 7\nleft O 3\n"))
    assert (corpus.sentences[0].tags, told(corpus)[-43:]) == (
        ["B-PER", "O"],
        "or tabs, tokens in column 1, tags in column 2"[-43:],
    )


def test_comments_and_hashtags(write: Write) -> None:
    text = "# id 1 domain=en\nada _ _ B-PER\n#rome _ _ O\n# _ _ O\n\n# newdoc\nleft _ _ O\n"
    assert [s.tokens for s in read_corpus(write(text)).sentences] == [["ada", "#rome", "#"], ["left"]]
    assert list(read_columns(write(text))) == [["ada", "#rome", "#"], ["left"]]


def test_conllu_has_ranges_and_empty_nodes(write: Write) -> None:
    def row(number: str, form: str, misc: str = "_") -> str:
        return "\t".join([number, form, form, "X", "Y", "_", "0", "dep", "_", misc])

    rows = [row("1-2", "Don't"), row("1", "Do"), row("2", "n't"), row("2.1", "gone"), row("3", "go")]
    path = write("# text = Don't go\n" + "\n".join(rows) + "\n\n")
    assert list(read_columns(path)) == [["Do", "n't", "go"]]
    with pytest.raises(CorpusError, match="no such column; there are 1 to 10, or id, form, lemma, upos"):
        read_corpus(path, habits=Habits(tag_column="ner"))


def test_only_tabs_separate_where_every_line_has_one(write: Write) -> None:
    corpus = read_corpus(write("New York\tB-Big City\nis \tO\n\nSan José\tB-Big City\n"))
    assert entities(corpus) == [("Big City", "New York"), ("Big City", "San José")]
    assert told(corpus).startswith("columns separated by tabs")


def test_a_varying_number_of_columns_is_an_error(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"txt:3: 2 columns, expected 3 as in the other lines"):
        read_corpus(write("a X O\nb X O\nc O\n"))


def test_segment_numbers_are_stripped_and_said(write: Write) -> None:
    corpus = read_corpus(write("科0\tB-PER\n小1\tI-PER\n在0\tO\n3 0\tO\n".replace("3 0", "30")))
    assert entities(corpus) == [("PER", "科小")]
    assert corpus.sentences[0].tokens == ["科", "小", "在", "3"]
    assert told(corpus).endswith("is a segment number and is stripped")


@pytest.mark.parametrize("text", ["B2 O\nC3 O\n", "a0 O\nbb O\n", "a0 O\nb2 O\n", "a0 O\nb0 O\n", "x0 O\n"])
def test_other_digits_are_parts_of_tokens(write: Write, text: str) -> None:
    tokens = [line.split()[0] for line in text.splitlines()]
    assert read_corpus(write(text)).sentences[0].tokens == tokens


def test_a_space_as_a_token(write: Write) -> None:
    path = write("林\tB-PER\n \tO\n医\tO\n")
    with pytest.raises(CorpusError, match=r"txt:2: the token column is empty .*--space-tokens keep"):
        read_corpus(path)
    kept = Habits(space_tokens="keep")
    assert read_corpus(path, habits=kept).sentences[0][:2] == (["林", " ", "医"], ["B-PER", "O", "O"])
    assert list(read_columns(path, habits=kept)) == [["林", " ", "医"]]


def test_a_space_as_a_token_of_a_later_column(write: Write) -> None:
    path = write("1\ta\tO\n2\t \tO\n")
    with pytest.raises(CorpusError, match=r"txt:2: the token is a space: .*--space-tokens keep"):
        read_corpus(path)
    assert read_corpus(path, habits=Habits(space_tokens="keep")).sentences[0].tokens == ["a", " "]


def test_columns_that_are_not_read_may_be_empty(write: Write) -> None:
    path = write("x\ta\tO\n\tb\tB-X\n")
    assert read_corpus(path, habits=Habits(token_column="2")).sentences[0].tokens == ["a", "b"]


@pytest.mark.parametrize("space", ["\xa0", "\u3000", " "])
def test_white_space_around_a_tag_is_no_part_of_it(write: Write, space: str) -> None:
    corpus = read_corpus(write(f"a\tB-X{space}\nb\tB-X\nc\t{space}O\n"))
    assert corpus.labels == ["O", "B-X"]


CHINESE = "林 B-PER\n雨 I-PER\n。 O\n"


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-16-le"])
def test_encodings(write: Write, encoding: str) -> None:
    path = write(CHINESE.encode(encoding))
    assert entities(read_corpus(path, habits=Habits(encoding=encoding))) == [("PER", "林雨")]
    if encoding != "utf-16-le":
        with pytest.raises(CorpusError, match=rf"txt:1: not UTF-8 .*--encoding {encoding}"):
            read_corpus(path)


def test_choices_that_there_are_not(write: Write) -> None:
    with pytest.raises(ValueError, match="overlaps must be one of refuse, longest, first; got 'Longest'"):
        Habits(overlaps="Longest")
    with pytest.raises(CorpusError, match=r"txt:1: --token-column 9{40}: the file has no such column"):
        read_corpus(write(CHINESE), habits=Habits(token_column="9" * 5000))


def test_a_wrong_encoding_is_named(write: Write) -> None:
    with pytest.raises(CorpusError, match="not ascii, as --encoding says: ordinal not in range"):
        read_corpus(write(CHINESE), habits=Habits(encoding="ascii"))
    for encoding in ("klingon", "hex", "rot13", "quopri", "a\0b"):  # some of bytes, which are no text
        with pytest.raises(CorpusError, match=rf"--encoding {encoding}: Python knows no such encoding"):
            read_corpus(write(CHINESE), habits=Habits(encoding=encoding))


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_compressed_files(write: Write, compress: Callable[[bytes], bytes]) -> None:
    assert entities(read_corpus(write(compress(CHINESE.encode())))) == [("PER", "林雨")]


def test_zstd(write: Write) -> None:
    zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")
    assert entities(read_corpus(write(zstandard.compress(CHINESE.encode())))) == [("PER", "林雨")]


def test_a_line_separator_alone_is_a_token(write: Write) -> None:
    """Beside a blank line of spaces: for Python both are white space."""
    with pytest.raises(CorpusError, match=r"corpus\.txt:2: one column"):
        read_corpus(write(" \n\u2028"))
    assert list(read_columns(write(" \n\u2028"))) == [["\u2028"]]


@pytest.mark.parametrize(
    "damaged",
    [
        gzip.compress(b"a B-X\n")[:-5],
        b"\x1f\x8bno gzip",
        gzip.compress(b"a B-X\n" * 99)[:20],
        lzma.compress(b"a")[:20],
    ],
    ids=["gzip without its end", "no gzip", "gzip cut", "xz cut"],  # gzip's bytes hold the time
)
def test_a_damaged_compressed_file_is_named(damaged: bytes, write: Write) -> None:
    with pytest.raises(CorpusError, match=r"corpus\.txt: compressed, but damaged"):
        read_corpus(write(damaged))


def test_a_space_alone_has_no_tag(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a O\n \nb O\n")
    with pytest.raises(CorpusError, match="a:2: a space as a token, but no tag behind it"):
        read_corpus(tmp_path / "a", habits=Habits(space_tokens="keep"))
    assert len(read_corpus(tmp_path / "a").sentences) == 2  # otherwise the line ends a sentence
