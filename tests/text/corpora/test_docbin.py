"""spaCy's corpora: read as spaCy itself reads them, written so that it reads them, and never unpickled."""

from __future__ import annotations

import io
import random
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.corpora import Corpus, CorpusError, Habits, Sentence, read_corpus, write_columns
from pybert_crf.text.corpora.conversion import format_of, write_corpus
from pybert_crf.text.units import join_units

spacy = pytest.importorskip("spacy", reason="spacy is not installed")
tokens = pytest.importorskip("spacy.tokens", reason="spacy is not installed")
msgpack = pytest.importorskip("srsly", reason="spacy is not installed").msgpack

VOCAB = spacy.blank("xx").vocab


def saved(folder: Path, *docs: Any, **options: Any) -> Path:
    tokens.DocBin(docs=docs, **options).to_disk(folder / "a.spacy")
    return folder / "a.spacy"


def doc(text: str, *tags: str, **options: Any) -> Any:
    """A document of these words with tags of BIO, each followed by a space."""
    return tokens.Doc(VOCAB, text.split(), ents=list(tags) or None, **options)


def changed(message: dict[str, Any]) -> bytes:
    return zlib.compress(msgpack.packb(message, use_bin_type=True))


def docs_of(path: Path) -> list[Any]:
    return list(tokens.DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab))


def test_documents_without_borders(tmp_path: Path) -> None:
    path = saved(tmp_path, doc("Mara lives here", "B-PER", "O", "O"), doc("New York", "B-LOC", "I-LOC"))
    corpus = read_corpus(path)
    assert corpus.sentences == [
        Sentence(["Mara", "lives", "here"], ["B-PER", "O", "O"], 1, one_line=True),
        Sentence(["New", "York"], ["B-LOC", "I-LOC"], 2, one_line=True),
    ]
    assert corpus.notes == (f"{path}: spaCy, documents without borders of sentences; as BIO",)


def test_sentences_of_documents(tmp_path: Path) -> None:
    first = tokens.Doc(
        VOCAB,
        ["\n", "Mara", "came", "  ", ".", "She", "left", "."],
        [False, True, True, False, False, True, False, False],
        sent_starts=[True, *[False] * 4, True, False, False],
        ents=["O", "B-PER", "O", "O", "O", "B-PER", "O", "O"],
    )
    corpus = read_corpus(saved(tmp_path, first, doc("Yes", "O")))
    assert corpus.sentences == [
        Sentence(
            ["Mara", "came", "."],
            ["B-PER", "O", "O"],
            line=1,
            one_line=True,
            document=1,
            text="\nMara came   .",
            offsets=[(1, 5), (6, 10), (13, 14)],
        ),
        Sentence(
            ["She", "left", "."],
            ["B-PER", "O", "O"],
            line=1,
            one_line=True,
            document=1,
            text="She left.",
            offsets=[(0, 3), (4, 8), (8, 9)],
        ),
        Sentence(["Yes"], ["O"], 2, True, 2),
    ]


def test_borders_of_a_parse(tmp_path: Path) -> None:
    parsed = doc("a b c d", "O", "B-X", "O", "O", heads=[0, 0, 2, 2], deps=["ROOT", "x", "ROOT", "x"])
    assert [s.tokens for s in read_corpus(saved(tmp_path, parsed)).sentences] == [["a", "b"], ["c", "d"]]
    only = saved(tmp_path, parsed, attrs=["HEAD", "ENT_IOB", "ENT_TYPE"])
    assert [s.tokens for s in read_corpus(only).sentences] == [["a", "b", "c", "d"]]


def test_what_is_not_annotated(tmp_path: Path) -> None:
    path = saved(tmp_path, doc("a b", "O", "B-X"), doc("c d"))
    corpus = read_corpus(path)
    assert [sentence.tags for sentence in corpus.sentences] == [["O", "B-X"], ["O", "O"]]
    assert "; 2 tokens without annotation, read as O;" in corpus.notes[0]
    cut = doc("a b c", "B-X", "I-X", "O", sent_starts=[True, True, False])
    corpus = read_corpus(saved(tmp_path, cut))
    assert [sentence.tags for sentence in corpus.sentences] == [["B-X"], ["B-X", "O"]]
    assert "; 1 entities cut at the border of a sentence;" in corpus.notes[0]


def test_white_space_in_an_entity(tmp_path: Path) -> None:
    words = tokens.Doc(VOCAB, ["New", "\n", "York", "Rome"], ents=["B-LOC", "I-LOC", "I-LOC", "B-LOC"])
    corpus = read_corpus(saved(tmp_path, words))
    assert corpus.sentences[0].tags == ["B-LOC", "I-LOC", "B-LOC"]


def test_the_format_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(tmp_path, doc("a b", "O", "B-X")).read_bytes()
    (tmp_path / "b").write_bytes(data)
    assert read_corpus(tmp_path / "b").sentences[0].tokens == ["a", "b"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert read_corpus("-").sentences[0].tokens == ["a", "b"]
    assert format_of("a.spacy") == "spacy"


def test_user_data_is_not_unpacked(tmp_path: Path) -> None:
    first = doc("a b", "O", "B-X")
    first.user_data["x"] = 1
    path = saved(tmp_path, first, store_user_data=True)
    message = msgpack.unpackb(zlib.decompress(path.read_bytes()), raw=False)
    path.write_bytes(changed(message | {"user_data": [b"\xc1 is never used by MessagePack"]}))
    with pytest.raises(msgpack.FormatError):
        docs_of(path)
    assert read_corpus(path).sentences[0].tokens == ["a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        {"attrs": []},
        {"attrs": [3, {}]},
        {"attrs": [75] * 4},
        {"lengths": b"\xff\xff\xff\xff"},
        {"lengths": b"\x09\0\0\0"},
        {"lengths": b"123"},
        {"tokens": b""},
        {"tokens": b"1234567"},
        {"spaces": b""},
        {"flags": [None]},
        {"flags": [{}, {}]},
        {"strings": 7},
        {"strings": []},
        {"tokens": b"\xff" * 64},
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, change: dict[str, Any]) -> None:
    path = saved(tmp_path, doc("Mara sleeps", "B-PER", "O"), attrs=["ENT_IOB", "ENT_TYPE", "HEAD"])
    message = msgpack.unpackb(zlib.decompress(path.read_bytes()), raw=False)
    path.write_bytes(changed(message | change))
    with pytest.raises(CorpusError, match=r"a\.spacy(: damaged, or no corpus|:1: no document) of spaCy \("):
        read_corpus(path)


def test_damaged_files(tmp_path: Path) -> None:
    path = saved(tmp_path, doc("a b", "O", "B-X"), doc("c d", "O", "O", sent_starts=[True, False]))
    whole = path.read_bytes()
    content = zlib.decompress(whole)
    texts = [whole[:stop] for stop in range(0, len(whole), 29)]
    texts += [
        b"a B-X\n",
        zlib.compress(b""),
        zlib.compress(b"\x81" * 5000),
        changed([]),
        changed({b"nd": True}),
    ]
    for text in texts:
        path.write_bytes(text)
        with pytest.raises(CorpusError, match=r"a\.spacy: damaged, or no corpus of spaCy"):
            read_corpus(path)
    draw = random.Random(1)
    for _ in range(400):
        at = draw.randrange(len(content))
        path.write_bytes(zlib.compress(content[:at] + draw.randbytes(1) + content[at + 1 :]))
        try:
            read_corpus(path)
        except CorpusError as error:
            assert str(path) in str(error)  # noqa: PT017 (some bytes do no harm)


def test_a_file_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, doc("a b", "O", "B-X"))
    monkeypatch.setattr("pybert_crf.text.corpora.formats.docbin._LARGEST", 100)
    with pytest.raises(CorpusError, match=r"its end is missing, or beyond 100 bytes"):
        read_corpus(path)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, doc("a b", "O", "B-X"))
    monkeypatch.setitem(sys.modules, "spacy", None)
    extra = r": pip install 'pybert-crf\[spacy\]'$"
    with pytest.raises(ImportError, match=r"a\.spacy is a corpus of spaCy" + extra):
        read_corpus(path)
    write_columns(tmp_path / "c", [Sentence(["a"], ["B-X"])])
    with pytest.raises(ImportError, match=r"b\.spacy is to be a corpus of spaCy" + extra):
        write_corpus(read_corpus(tmp_path / "c"), tmp_path / "b.spacy", "spacy")


def test_what_is_written_is_what_spacy_reads(tmp_path: Path) -> None:
    sentences = [
        Sentence(["New", "York", "sleeps"], ["B-LOC", "E-LOC", "O"], document=1),
        Sentence(["Mara"], ["S-PER"], document=1),
        Sentence(["No"], ["O"], document=2),
    ]
    corpus = Corpus(tmp_path / "x", sentences, "BMES")
    assert write_corpus(corpus, tmp_path / "a.spacy", "spacy").losses == []
    first, second = docs_of(tmp_path / "a.spacy")
    assert [(each.text, each.label_) for each in first.ents] == [("New York", "LOC"), ("Mara", "PER")]
    assert [each.text for each in first.sents] == ["New York sleeps", "Mara"]
    assert (first.text, second.text) == ("New York sleeps Mara", "No")
    assert [token.ent_iob_ for token in second] == ["O"]


def test_tokens_of_white_space_are_lost(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "x", [Sentence(["a", "\u3000", "b"], ["B-X", "I-X", "O"])], "BIO")
    assert write_corpus(corpus, tmp_path / "a.spacy", "spacy").losses == ["1 tokens that are white space"]
    assert read_corpus(tmp_path / "a.spacy").sentences[0].tags == ["B-X", "O"]


def test_plain_tags_are_refused(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "x", [Sentence(["a"], ["NOUN"], 3)], "none")
    with pytest.raises(CorpusError, match="x:3: spaCy's corpora hold entities, not plain tags"):
        write_corpus(corpus, tmp_path / "a.spacy", "spacy")
    assert list(tmp_path.iterdir()) == []


_TOKEN = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=5)
_TAG = st.sampled_from(["O", "B-X", "B-Y-Z"])
_ROWS = st.lists(st.tuples(st.integers(0, 1), st.lists(st.tuples(_TOKEN, _TAG), min_size=2)), min_size=1)


@given(rows=_ROWS, unit=st.sampled_from(["char", "word"]), documents=st.booleans())
def test_columns_to_spacy_and_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], unit: str, documents: bool
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    number, sentences = int(documents), []
    for new, row in [*rows, (1, [("a", "B-X"), ("b", "O")])]:
        number += new * documents
        sentences.append(Sentence([t for t, _ in row], [t for _, t in row], document=number))
    write_columns(folder / "a", sentences)
    first = read_corpus(folder / "a")
    assert write_corpus(first, folder / "b.spacy", "spacy", unit=unit).losses == []
    second = read_corpus(folder / "b.spacy")
    assert [s.text for s in second.sentences] == [join_units(s.tokens, unit)[0] for s in first.sentences]
    assert write_corpus(second, folder / "c", "columns", unit=unit).losses == []
    assert (folder / "a").read_bytes() == (folder / "c").read_bytes()


@given(
    text=st.text("ab \n\t林", min_size=1, max_size=9).filter(lambda text: text.strip()),
    documents=st.integers(0, 2),
    unit=st.sampled_from(["char", "word"]),
)
def test_texts_keep_their_white_space(
    tmp_path_factory: pytest.TempPathFactory, text: str, documents: int, unit: str
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    offsets = [(i, i + 1) for i, each in enumerate(text) if not each.isspace()]
    units = [text[start:stop] for start, stop in offsets]
    tags = [f"{'I' if i else 'B'}-X" for i in range(len(units))]
    sentence = Sentence(units, tags, text=text, offsets=offsets)
    sentences = [sentence._replace(document=min(i, documents)) for i in (1, 1, 2)]
    write_corpus(Corpus(folder / "x", sentences, "BIO"), folder / "a.spacy", "spacy", unit=unit)
    corpus = read_corpus(folder / "a.spacy", habits=Habits(unit=unit))
    for each in corpus.sentences:
        assert (each.text, each.offsets, each.tokens, each.tags) == (text, offsets, units, tags)
