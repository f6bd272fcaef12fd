"""CSV, word-segmented text and brat: read right, or refused with file and line."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from pybert_crf.text.corpora import Corpus, CorpusError, Habits, converted, read_corpus
from pybert_crf.text.corpora.formats.columns import conllu_lines
from pybert_crf.text.tagging.entity_spans import spans

KAGGLE = """\
Sentence #,Word,POS,Tag
Sentence: 1,Thousands,NNS,O
,of,IN,O
,London,NNP,B-geo
Sentence: 2,Iranian,JJ,B-gpe
"""


def read(folder: Path, text: str, **habits: object) -> Corpus:
    (folder / "file").write_text(text, encoding="utf-8")
    return read_corpus(folder / "file", habits=Habits(**habits))  # type: ignore[arg-type]


def tokens(corpus: Corpus) -> list[str]:
    return [" ".join(sentence.tokens) for sentence in corpus.sentences]


@pytest.mark.parametrize(
    "text",
    [
        KAGGLE,
        KAGGLE.replace(",", ";"),
        KAGGLE.replace(",", "\t"),
        "sentence_id,token,label\n0,Thousands,O\n0,of,O\n0,London,B-geo\n1,Iranian,B-gpe\n",
        "word\ttag\nThousands\tO\nof\tO\nLondon\tB-geo\n\nIranian\tB-gpe\n",
        "Word,Tag\r\nThousands,O\r\nof,O\r\nLondon,B-geo\r\n,\r\nIranian,B-gpe\r\n",
    ],
)
def test_files_with_a_header(tmp_path: Path, text: str) -> None:
    corpus = read(tmp_path, text)
    assert tokens(corpus) == ["Thousands of London", "Iranian"]
    assert corpus.sentences[0].tags == ["O", "O", "B-geo"]
    assert corpus.sentences[1].line in (5, 6)


def test_columns_by_name(tmp_path: Path) -> None:
    text = "wort,klasse,satz\nBerlin,B-LOC,1\nlebt,O,1\nja,O,2\n"
    names = {"token_column": "Wort", "tag_column": "klasse", "sentence_column": "satz"}
    assert tokens(read(tmp_path, text, **names)) == ["Berlin lebt", "ja"]


def test_quotation_marks(tmp_path: Path) -> None:
    assert tokens(read(tmp_path, 'word,tag\n"a,b",O\n"""",O\n')) == ['a,b "']
    assert tokens(read(tmp_path, 'word\ttag\n"\tO\n"x\tO\n')) == ['" "x']


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("word,tag\na,O\nb\n", r"file:3: 1 fields, but the header has 2"),
        ("word,tag\na,O\n ,O\n", r"file:3: the token is empty"),
        ("tokens,ner_tags\n\"['EU', 'a']\",\"['B-X', 'O']\"\n", r"file:2: a whole list in one field"),
        ("word,tag\n" + "a,O\n" * 1001, r"file:1: nothing ends a sentence in 1,001 lines: --sentence-column"),
        ("word,tag\na,B-X\nb,X\n", r"file:3: tag 'X' is neither"),
    ],
)
def test_faults_of_files_with_a_header(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(CorpusError, match=told):
        read(tmp_path, text)


def test_a_token_in_brackets_is_no_list(tmp_path: Path) -> None:
    assert tokens(read(tmp_path, "word,tag\n[1],O\n['a'],O\n")) == ["[1] ['a']"]


def test_a_header_without_the_columns(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"file:1: no column of tags among a, word: --tag-column names it"):
        read(tmp_path, "a,word\nx,y\n", format="csv")


def test_a_column_file_is_no_csv(tmp_path: Path) -> None:
    assert tokens(read(tmp_path, "word,tag O\nb,c B-X\n")) == ["word,tag b,c"]


def test_segmented_text(tmp_path: Path) -> None:
    corpus = read(tmp_path, "林小雨 在 青河市 。\n\n今天\u3000休息\n")
    assert corpus.sentences[0][:2] == (list("林小雨在青河市。"), list("BMESBMES"))
    assert corpus.sentences[1][:3] == (list("今天休息"), list("BEBE"), 3)
    assert corpus.scheme == "BMES"
    assert "words between spaces, read by character, as BMES" in corpus.notes[0]


def test_segmented_text_with_tags(tmp_path: Path) -> None:
    text = "林小雨/nr 在/p 青河市/ns 。/w\n"
    corpus = read(tmp_path, text)
    assert spans(corpus.sentences[0].tags, corpus.scheme)[0] == (0, 3, "nr")
    by_word = read(tmp_path, text, unit="word")
    assert by_word.sentences[0][:2] == (["林小雨", "在", "青河市", "。"], ["nr", "p", "ns", "w"])
    assert by_word.scheme == "none"


def test_words_outside_entities(tmp_path: Path) -> None:
    corpus = read(tmp_path, "在/O 北京/LOC 住/O\n")
    assert corpus.sentences[0][:2] == (list("在北京住"), ["O", "B-LOC", "E-LOC", "O"])


@pytest.mark.parametrize(
    "text",
    [
        "林 B-PER\n小 I-PER\n雨\n",  # columns, one line damaged
        "Mara sees the dog .\nYes .\n",  # words of a script with spaces
        "Mara NOUN\nsees\n",
    ],
)
def test_what_is_no_segmented_text(tmp_path: Path, text: str) -> None:
    with pytest.raises(CorpusError, match="column"):
        read(tmp_path, text)


def test_faults_of_segmented_text(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"file:2: a word without a tag, unlike the others: '休息'"):
        read(tmp_path, "今天/t 休息/v 。/w\n休息 了/u\n", format="words")
    with pytest.raises(CorpusError, match=r"file:2: words with tags, unlike the first line: '今天/t"):
        read(tmp_path, "标题 一 、\n今天/t 休息/v 。/w\n", format="words")
    with pytest.raises(CorpusError, match=r"file:1: .*--unit char"):
        read(tmp_path, "今天 休息 了\n了\n", unit="word")


def brat(folder: Path, text: str, notes: str, name: str = "a") -> Path:
    (folder / f"{name}.txt").write_bytes(text.encode())
    (folder / f"{name}.ann").write_text(notes, encoding="utf-8")
    return folder / f"{name}.ann"


def test_brat(tmp_path: Path) -> None:
    text = "Mara visits Oslo.\r\n\r\nOslo is big.\n"
    notes = "T1\tPER 0 4\tMara\nT2\tLOC 12 16\tOslo\nR1\tIn Arg1:T1 Arg2:T2\nT3\tLOC 21 25\tOslo\n"
    for path in (brat(tmp_path, text, notes), tmp_path / "a.txt", tmp_path):
        corpus = read_corpus(path)
        assert tokens(corpus) == ["Mara visits Oslo .", "Oslo is big ."]
        assert [spans(s.tags, "BIO") for s in corpus.sentences] == [
            [(0, 1, "PER"), (2, 3, "LOC")],
            [(0, 1, "LOC")],
        ]
    brat(tmp_path, "Rome.\n", "", "b")
    assert [s.document for s in read_corpus(tmp_path).sentences] == [1, 1, 2]
    assert "2 texts with annotations of brat" in read_corpus(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("text", "notes", "told"),
    [
        ("Mara here\n", "T1\tPER 0 3\tMara\n", r"a\.ann:1: the span 0 to 3 does not hold 'Mara'"),
        ("Mara here\n", "\nT1\tPER 0 2;5 9\tMa here\n", r"a\.ann:2: an entity in several parts"),
        (
            "Mara\nhere\n",
            "T1\tPER 0 9\tMara here\n",
            r"a\.ann:1: the entity .* reaches over the end",
        ),
        ("Mara\n", "T1\tPER 50 54\tMara\n", r"a\.ann:1: the span 50 to 54 is outside a\.txt"),
        ("Mara\n", "T1 PER 0 4 Mara\n", r"a\.ann:1: no annotation of brat"),
        ("Mara\n", "T1\tPER 0 4\tMara\nT2\tLOC 0 4\tMara\n", r"a\.ann:1: .*overlap: --overlaps"),
        ("Mara\nhere\n", "T1\tPER 4 5\t\n", r"a\.ann:1: the entity '' reaches over the end"),
        ("Mara\n", f"T1\tPER 0 {'9' * 5000}\tMara\n", r"a\.ann:1: no annotation of brat"),
    ],
)
def test_faults_of_brat(tmp_path: Path, text: str, notes: str, told: str) -> None:
    with pytest.raises(CorpusError, match=told):
        read_corpus(brat(tmp_path, text, notes))


def test_a_fault_names_the_file_of_a_folder(tmp_path: Path) -> None:
    brat(tmp_path, "Rome\n\nis\t\n", "T1\tLOC 0 4\tRome\n")
    brat(tmp_path, "Oslo Bonn\n", "\nT1\tLOC 0 4\tOslo\nT2\tLOC 5 9\tBonn\n", "b")
    corpus = read_corpus(tmp_path)
    assert [(Path(s.file or "").name, s.line) for s in corpus.sentences] == [
        ("a.ann", 1),
        ("a.txt", 3),
        ("b.ann", 2),
    ]
    with pytest.raises(CorpusError, match=r"b\.ann:2: two adjacent entities"):
        converted(corpus, "IO")


def test_the_encoding_of_brat(tmp_path: Path) -> None:
    path = brat(tmp_path, "", "T1\tPER 0 1\t林\n")
    (tmp_path / "a.txt").write_bytes("好\n林小雨".encode("gb18030"))
    with pytest.raises(CorpusError, match=r"a\.txt:1: not UTF-8 .*--encoding gb18030"):
        read_corpus(path)
    path.write_bytes("T1\tPER 2 5\t林小雨\n".encode("gb18030"))
    corpus = read_corpus(path, habits=Habits(encoding="gb18030"))
    assert spans(corpus.sentences[1].tags, "BIO") == [(0, 3, "PER")]
    with pytest.raises(CorpusError, match=r"a\.txt: not punycode, as --encoding says"):
        read_corpus(path, habits=Habits(encoding="punycode"))


def test_a_folder_without_texts(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no text with annotations of brat: NAME\.txt beside NAME\.ann"):
        read_corpus(tmp_path)


def test_a_header_that_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"file:1: not CSV: new-line character"):
        read(tmp_path, "token\r,tag\na,O\n", format="csv")


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a B-X\nb X\n")))
    with pytest.raises(CorpusError, match=r"^<stdin>:2: tag 'X' is neither"):
        read_corpus("-")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a B-X\nb I-X\n")))
    assert read_corpus("-").sentences[0].tokens == ["a", "b"]


def test_conllu_is_written_and_read_back(tmp_path: Path) -> None:
    text, offsets = "Mara  sees it.", [(0, 4), (6, 10), (11, 13), (13, 14)]
    plain = conllu_lines(text, offsets, ["PROPN", "VERB", "PRON", "PUNCT"], "none")
    assert plain.splitlines()[0] == "# text = Mara sees it."
    assert plain.splitlines()[3] == "3\tit\t_\tPRON\t_\t_\t_\t_\t_\tSpaceAfter=No"
    corpus = read(tmp_path, plain + "\n")
    assert corpus.sentences[0][:2] == (["Mara", "sees", "it", "."], ["PROPN", "VERB", "PRON", "PUNCT"])
    tagged = conllu_lines(text, offsets, ["B-PER", "O", "O", "O"], "BIO")
    assert tagged.splitlines()[1].endswith("\tTag=B-PER")
