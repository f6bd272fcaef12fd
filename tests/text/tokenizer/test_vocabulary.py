"""Construction of vocabularies from a training text."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.tokenizer.vocabulary import SPECIAL


def pieces_of(tokenizer: UnitTokenizer, directory: Path) -> list[str]:
    """The vocabulary in the order of its ids, as saved."""
    tokenizer.save(directory)
    return (directory / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")


def test_characters_by_frequency_then_code_point(tmp_path: Path) -> None:
    sentences = [list("中国人中国中"), list("乙甲人乙甲"), ["罕", "2003", "2003"]]
    tokenizer = UnitTokenizer.build(sentences, "char")
    expected = ["中", "##0", "国", "人", "乙", "甲", "2", "##3"]
    counts = {"中": 3, "##0": 4, "国": 2, "人": 2, "乙": 2, "甲": 2, "2": 2, "##3": 2}
    expected.sort(key=lambda piece: (-counts[piece], piece))
    assert pieces_of(tokenizer, tmp_path) == [*SPECIAL, *expected]
    assert tokenizer.encode(["罕"]).ids == [tokenizer.unk_id]
    assert len(tokenizer.encode(["2003"]).ids) == 4


def test_size_and_min_count(tmp_path: Path) -> None:
    sentences = [list("aaabbc")]
    assert pieces_of(UnitTokenizer.build(sentences, "char", min_count=1), tmp_path)[5:] == ["a", "b", "c"]
    assert pieces_of(UnitTokenizer.build(sentences, "char", min_count=3), tmp_path)[5:] == ["a"]
    assert pieces_of(UnitTokenizer.build(sentences, "char", size=7), tmp_path)[5:] == ["a", "b"]
    assert pieces_of(UnitTokenizer.build([], "char"), tmp_path) == list(SPECIAL)


def test_lowercase_joins_the_counts(tmp_path: Path) -> None:
    assert pieces_of(UnitTokenizer.build([["É", "e"]], "char", lowercase=True), tmp_path)[5:] == ["e"]
    assert pieces_of(UnitTokenizer.build([["É", "e"]], "char"), tmp_path)[5:] == []


def test_words_seen_often_are_one_piece_and_rare_ones_several() -> None:
    sentences = [["lower", "lowest", "low", "new", "newest", "wide"]] * 5 + [["q", "slow"]]
    tokenizer = UnitTokenizer.build(sentences, "word", min_count=2)
    assert len(tokenizer.encode(["newest"]).ids) == 1
    assert 1 < len(tokenizer.encode(["widest"]).ids) < 6
    assert tokenizer.encode(["q"]).ids == [tokenizer.unk_id]  # its letter occurs once
    assert tokenizer.encode(["slow"]).ids == [tokenizer.unk_id]  # as does an s at the beginning of a word


def test_a_word_vocabulary_covers_a_real_corpus(data_dir: Path) -> None:
    sentences = [sentence.tokens for sentence in read_corpus(data_dir / "wnut17" / "train.conll").sentences]
    tokenizer = UnitTokenizer.build(sentences, "word", size=2000)
    assert tokenizer.vocab_size == 2000
    ids = [index for tokens in sentences for index in tokenizer.encode(tokens).ids]
    assert ids.count(tokenizer.unk_id) == 0  # none of its characters occurs only once
    assert len(set(ids)) > 1800
    unseen = [sentence.tokens for sentence in read_corpus(data_dir / "wnut17" / "test.conll").sentences]
    ids = [index for tokens in unseen for index in tokenizer.encode(tokens).ids]
    assert 0 < ids.count(tokenizer.unk_id) < 0.02 * len(ids)


_BUILD = """
import sys
from pybert_crf.text.tokenizer import UnitTokenizer
words = [f"{a}{b}{c}ing" for a in "bcdfgh" for b in "aeiou" for c in "klmnprst"]
UnitTokenizer.build([words, words], "word", size=200).save(sys.argv[1])
"""


def test_another_process_makes_the_same_vocabulary(tmp_path: Path) -> None:
    """The trainer alone would not: it breaks ties (here, nearly all merges) by the order of a hash table."""
    digests = set()
    for name in ("first", "second", "third"):
        environment = {**os.environ, "TOKENIZERS_PARALLELISM": "true"}
        subprocess.run([sys.executable, "-c", _BUILD, str(tmp_path / name)], check=True, env=environment)
        digests.add(hashlib.sha256((tmp_path / name / "vocab.txt").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_impossible_requests_are_errors() -> None:
    with pytest.raises(ValueError, match="unit must be 'char' or 'word', got 'byte'"):
        UnitTokenizer.build([["a"]], "byte")
    for unit in ("char", "word"):
        with pytest.raises(ValueError, match="more than 5 pieces, got size=5"):
            UnitTokenizer.build([["a"]], unit, size=5)
