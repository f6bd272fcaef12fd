"""WordPiece: the pieces of transformers' BertTokenizerFast, and at least one piece for every unit."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import Encoded, UnitTokenizer
from pybert_crf.text.tokenizer.vocabulary import SPECIAL

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # raised by this import
    from transformers import BertTokenizerFast  # type: ignore[attr-defined]  # known at run time only

VOCAB = [*SPECIAL, "7", ".", "##7", "a", "##b", "b", "e", "é", "E", "中", "国", "##中", "！", "😂", "\u2028x"]


def write_vocab(directory: Path, pieces: list[str] = VOCAB, **config: Any) -> Path:
    """Write vocab.txt and, if there are options, tokenizer_config.json."""
    (directory / "vocab.txt").write_text("".join(f"{p}\n" for p in pieces), encoding="utf-8", newline="\n")
    if config:
        (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return directory


def names_of(encoded: Encoded) -> list[str]:
    return [VOCAB[index] for index in encoded.ids]


def their_ids(tokenizer: Any, words: list[str]) -> list[int]:
    ids: list[int] = tokenizer(words, is_split_into_words=True, add_special_tokens=False)["input_ids"]
    return ids


def test_nothing_merges_across_units(tmp_path: Path) -> None:
    tokenizer = UnitTokenizer.from_directory(write_vocab(tmp_path))
    assert names_of(tokenizer.encode(["7", ".", "7"])) == ["7", ".", "7"]
    assert tokenizer.encode(["7", ".", "7"]).first == [0, 1, 2]
    assert names_of(tokenizer.encode(["a", "b"])) == ["a", "b"]
    assert tokenizer.encode([]) == Encoded([], [])


def test_first_points_at_each_units_first_piece(tmp_path: Path) -> None:
    tokenizer = UnitTokenizer.from_directory(write_vocab(tmp_path))
    encoded = tokenizer.encode(["ab", "7.7", "中国", "zz", "a"])
    assert names_of(encoded) == ["a", "##b", "7", ".", "7", "中", "国", "[UNK]", "a"]
    assert encoded.first == [0, 2, 5, 7, 8]


SWALLOWED = ["\u200e", "\xad", "\x01", "\ufe0f", "\u200d", "\ufffd", "", " ", "\u3000", chr(0xD800)]


@pytest.mark.parametrize("unit", SWALLOWED, ids=ascii)
def test_a_unit_that_the_normaliser_swallows_is_unknown(tmp_path: Path, unit: str) -> None:
    tokenizer = UnitTokenizer.from_directory(write_vocab(tmp_path))
    encoded = tokenizer.encode(["a", unit, "中", unit])
    assert names_of(encoded) == ["a", "[UNK]", "中", "[UNK]"]
    assert encoded.first == [0, 1, 2, 3]


@given(units=st.lists(st.text(st.characters(), max_size=3), max_size=10))
def test_every_unit_has_a_piece_of_its_own(units: list[str]) -> None:
    encoded = _BUILT.encode(units)
    assert len(encoded.first) == len(units)
    assert encoded.first == sorted(set(encoded.first))
    assert encoded.first[:1] == [0][: len(units)]
    assert all(0 <= index < _BUILT.vocab_size for index in encoded.ids)
    alone = [_BUILT.encode([unit]).ids for unit in units]
    assert encoded.ids == [index for ids in alone for index in ids]


_BUILT = UnitTokenizer.build([["a", "b", "中", "é", "7", "ab"]], "char", min_count=1)


def test_do_lower_case_and_strip_accents(tmp_path: Path) -> None:
    words = ["É", "E", "é"]
    assert names_of(UnitTokenizer.from_directory(write_vocab(tmp_path)).encode(words)) == ["e", "e", "e"]
    cased = UnitTokenizer.from_directory(write_vocab(tmp_path, do_lower_case=False))
    assert names_of(cased.encode(words)) == ["[UNK]", "E", "é"]
    kept = UnitTokenizer.from_directory(write_vocab(tmp_path, do_lower_case=True, strip_accents=False))
    assert names_of(kept.encode(words)) == ["é", "e", "é"]
    whole = UnitTokenizer.from_directory(write_vocab(tmp_path, tokenize_chinese_chars=False))
    assert names_of(whole.encode(["国中"])) == ["国", "##中"]


@pytest.mark.parametrize("lowercase", [False, True])
def test_pieces_of_words_are_those_of_transformers(
    minilm_dir: Path, data_dir: Path, tmp_path: Path, lowercase: bool
) -> None:
    """With the tokenizer.json of MiniLM, which truncates and pads, and with its vocab.txt alone, cased."""
    corpus = read_corpus(data_dir / "wnut17" / "dev.conll")
    theirs = BertTokenizerFast.from_pretrained(minilm_dir)
    ours = UnitTokenizer.from_directory(minilm_dir)
    if not lowercase:
        pieces = (minilm_dir / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        write_vocab(tmp_path, pieces, do_lower_case=False)
        theirs, ours = BertTokenizerFast.from_pretrained(tmp_path), UnitTokenizer.from_directory(tmp_path)
    for sentence in corpus.sentences[::3]:
        # transformers drops units that the normaliser removes; here they become [UNK].
        words = [word for word in sentence.tokens if their_ids(theirs, [word])]
        assert ours.encode(words).ids == their_ids(theirs, words)
    assert (ours.unk_id, ours.cls_id, ours.sep_id, ours.pad_id) == (100, 101, 102, 0)
    assert ours.vocab_size == 30522


def test_a_long_unit_is_not_truncated(minilm_dir: Path) -> None:
    tokenizer = UnitTokenizer.from_directory(minilm_dir)
    assert len(tokenizer.encode(["a."] * 400).ids) == 800
    assert len(tokenizer.encode(["a." * 400]).ids) == 800


def test_characters_get_berts_ordinary_ids(minilm_dir: Path) -> None:
    tokenizer = UnitTokenizer.from_directory(minilm_dir)
    theirs = BertTokenizerFast.from_pretrained(minilm_dir)
    text = "Paris在7.7！é"
    assert tokenizer.encode(list(text)).ids == [
        theirs(c, add_special_tokens=False)["input_ids"][0] for c in text
    ]


@pytest.mark.parametrize("unit", ["char", "word"])
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("only_vocab", [False, True])
def test_what_is_saved_opens_here_and_in_transformers(
    tmp_path: Path, unit: str, lowercase: bool, only_vocab: bool
) -> None:
    text = {"char": list("在Élan里，7.7Ab"), "word": ["The", "Élan", "is", "in", "in", "北京", "ab", "abc"]}[
        unit
    ]
    sentences = [text] * 3
    built = UnitTokenizer.build(sentences, unit, lowercase=lowercase)
    built.save(tmp_path / "new" / "folder")
    if only_vocab:
        (tmp_path / "new" / "folder" / "tokenizer.json").unlink()
    again = UnitTokenizer.from_directory(tmp_path / "new" / "folder")
    theirs = BertTokenizerFast.from_pretrained(tmp_path / "new" / "folder")
    units = [*text, "élan", "AB", "unseen", "[UNK]"]
    assert again.encode(units) == built.encode(units)
    assert built.encode(units).ids == their_ids(theirs, units)
    assert theirs.convert_ids_to_tokens(theirs("x")["input_ids"])[0] == "[CLS]"
    assert (len(theirs), theirs.unk_token_id, theirs.pad_token_id) == (
        built.vocab_size,
        built.unk_id,
        built.pad_id,
    )
    assert (theirs.cls_token_id, theirs.sep_token_id) == (built.cls_id, built.sep_id)


def test_a_repeated_piece_keeps_its_last_id_through_saving(tmp_path: Path) -> None:
    write_vocab(tmp_path, [*SPECIAL, "a", "b", "a", "c"])
    tokenizer = UnitTokenizer.from_directory(tmp_path)
    assert tokenizer.encode(["a", "b", "c"]).ids == [7, 6, 8]
    assert tokenizer.vocab_size == 9
    tokenizer.save(tmp_path / "saved")
    (tmp_path / "saved" / "tokenizer.json").unlink()
    assert UnitTokenizer.from_directory(tmp_path / "saved").encode(["a", "b", "c"]).ids == [7, 6, 8]


def test_vocab_with_windows_line_ends_and_other_special_names(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"<pad>\r\n<unk>\r\n<s>\r\n</s>\r\na\r\n")
    names = {"unk_token": "<unk>", "cls_token": {"content": "<s>"}, "sep_token": "</s>", "pad_token": "<pad>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(names))
    tokenizer = UnitTokenizer.from_directory(tmp_path)
    assert tokenizer.encode(["a", "b"]).ids == [4, 1]
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id, tokenizer.sep_id) == (0, 1, 2, 3)
    tokenizer.save(tmp_path / "saved")
    assert UnitTokenizer.from_directory(tmp_path / "saved").cls_id == 2


def test_missing_files_and_pieces_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"looked for tokenizer\.json, vocab\.txt, vocab\.json"):
        UnitTokenizer.from_directory(tmp_path)
    write_vocab(tmp_path, ["[UNK]", "[CLS]", "a"])
    with pytest.raises(ValueError, match=r"vocabulary of .* lacks \[SEP\], \[PAD\]"):
        UnitTokenizer.from_directory(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"[UNK]\n\xff\n")
    with pytest.raises(ValueError, match=r"vocab\.txt: not UTF-8"):
        UnitTokenizer.from_directory(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json: not a tokenizer"):
        UnitTokenizer.from_directory(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: not JSON"):
        UnitTokenizer.from_directory(tmp_path)


def test_the_memory_of_units_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybert_crf.text.tokenizer.unit_tokenizer._MEMO_LIMIT", 5)
    tokenizer = UnitTokenizer.build([["a", "b", "ab"]], "char", min_count=1)
    expected = _BUILT.encode(list("abab")).first
    for start in range(0, 300, 3):
        tokenizer.encode([chr(0x4E00 + start + i) for i in range(3)] + ["a"])
        assert len(tokenizer._memo) <= 5
    assert tokenizer.encode([*map(chr, range(0x4E00, 0x4E20)), "a"]).ids[-1] == tokenizer.encode(["a"]).ids[0]
    assert tokenizer.encode(list("abab")).first == expected


def test_a_tokenizer_travels_to_another_process() -> None:
    copy = pickle.loads(pickle.dumps(_BUILT))
    assert copy.encode(["a", "ab", "x"]) == _BUILT.encode(["a", "ab", "x"])
