"""The text of a run: reading, holding out, splitting, notes; nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pybert_crf.annotation.examples import WindowLayout
from pybert_crf.options import PretrainOptions
from pybert_crf.text.corpora import CorpusError, Habits
from pybert_crf.text.corpora.passages import Passage, read_passages
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training.masked_lm.collation import collate_masked
from pybert_crf.training.masked_lm.learner import build_learner
from pybert_crf.training.masked_lm.masking import Masking
from pybert_crf.training.masked_lm.source import open_source
from pybert_crf.training.masked_lm.texts import encode_text, ordinary_ids

Make = Callable[..., PretrainOptions]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """A function that writes a text file and gives its path."""

    def make(content: str) -> str:
        path = tmp_path / "some.txt"
        path.write_text(content, encoding="utf-8")
        return str(path)

    return make


def test_lines_are_cut_into_units_and_words(write: Callable[[str], str]) -> None:
    path = write("\ufeff北京 的 天气。\r\n\n \t\u3000\n好\n")
    assert list(read_passages(path, "char")) == [
        Passage(list("北京的天气。"), [0, 0, 1, 2, 2, 2]),
        Passage(["好"], [0]),
    ]
    assert list(read_passages(write("It's  fine.\n"), "word")) == [
        Passage(["It", "'s", "fine", "."], [0, 1, 2, 3])
    ]


def test_columns_give_their_tokens(write: Callable[[str], str]) -> None:
    path = write("北 B-LOC\n京 I-LOC\n\n好 O\n")
    assert list(read_passages(path, "char", Habits(format="columns"))) == [
        Passage(["北", "京"], [0, 1]),
        Passage(["好"], [0]),
    ]


def test_the_unit_is_found(options: Make, write: Callable[[str], str]) -> None:
    assert open_source(options()).unit == "char"
    english = write("The weather is fine.\nThe food is, too.\n")
    source = open_source(options(text=english))
    assert (source.unit, source.mask_unit) == ("word", "word")
    assert open_source(options(text=english, mask_unit="piece")).mask_unit == "piece"


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        ("one line\n", {}, "none can be held out"),
        ("\n \n", {}, "no text in this file"),
        ("a word\nand more\n", {"mask_unit": "char"}, "mask_unit must be word or piece"),
        ("北 O\n\n京 O\n", {"mask_unit": "word", "format": "columns"}, "mask_unit must be char or piece"),
        ("北京的天气\n很好\n", {"mask_unit": "word"}, "no line has spaces between words"),
    ],
)
def test_what_cannot_work_is_named(
    options: Make, write: Callable[[str], str], content: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        open_source(options(text=write(content), **changes))


def test_a_line_that_is_not_utf8_is_named(options: Make, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"good\n\xff\n")
    with pytest.raises(CorpusError, match=r"bad\.txt:2: not UTF-8"):
        open_source(options(text=str(tmp_path / "bad.txt")))


def test_what_is_held_out_is_not_trained_on(options: Make, write: Callable[[str], str]) -> None:
    path = write("".join(f"第{i}行\n" for i in range(100, 140)))
    source = open_source(options(text=path, held_out=0.2))
    train, dev = (["".join(p.units) for p in part] for part in (source.train(), source.dev()))
    assert (len(train), len(dev)) == (32, 8)
    assert sorted(train + dev) == [f"第{i}行" for i in range(100, 140)]
    assert dev != ["".join(p.units) for p in open_source(options(text=path, held_out=0.2, seed=1)).dev()]
    given = open_source(options(text=path, dev=write("别的\n")))
    assert [p.units for p in given.dev()] == [["别", "的"]]


@pytest.mark.parametrize(("mask_unit", "expected"), [("piece", 9), ("char", 8), ("word", 3)])
def test_windows_cover_every_piece_once(mask_unit: str, expected: int) -> None:
    units = ["北", "京", "xy", "的", "天", "气", "很", "好"]
    passage = Passage(units, [0, 0, 0, 1, 2, 2, 2, 2])
    tokenizer = UnitTokenizer.build([units], "char", min_count=1)
    layout = WindowLayout(tokenizer.before, tokenizer.after, tokenizer.pad_id, 6)
    text = encode_text([passage] * 3, tokenizer, mask_unit, layout)
    counts = text.counts
    assert (counts.lines, counts.split, counts.unknown, counts.pieces, len(text.ids)) == (3, 3, 0, 27, 27)
    assert text.ids[:9].tolist() == tokenizer.encode(units).ids
    assert len(np.unique(text.groups[:9])) == expected
    covered = [i for start, stop in text.windows for i in range(start, stop)]
    assert covered == list(range(27))
    assert all(stop - start <= 4 for start, stop in text.windows)
    starts = set(np.flatnonzero(np.diff(text.groups[:9], prepend=-1)).tolist())
    assert {start % 9 for start, _ in text.windows} <= starts


def test_special_and_unknown_pieces_are_seen_but_not_masked() -> None:
    tokenizer = UnitTokenizer.build([list("甲乙丙")], "char", min_count=1)
    layout = WindowLayout(tokenizer.before, tokenizer.after, tokenizer.pad_id, 512)
    passages = [Passage([*"甲外乙"], [0, 1, 2]), Passage([*"外"], [0]), Passage(["[MASK]", "丙"], [0, 1])]
    text = encode_text(passages, tokenizer, "char", layout)
    assert text.groups.tolist() == [0, -1, 2, -1, -1, 1]
    assert text.windows == [(0, 3), (4, 6)]
    assert (text.counts.unknown, text.counts.unmaskable) == (2, 1)
    assert set(ordinary_ids(tokenizer).tolist()) == {tokenizer.encode([c]).ids[0] for c in "甲乙丙"}


def test_a_batch_holds_the_windows_and_where_to_predict() -> None:
    tokenizer = UnitTokenizer.build([list("甲乙丙")], "char", min_count=1)
    layout = WindowLayout(tokenizer.before, tokenizer.after, tokenizer.pad_id, 512)
    text = encode_text(
        [Passage([*"甲乙丙丙"], [0, 1, 2, 3]), Passage([*"乙"], [0])], tokenizer, "char", layout
    )
    assert tokenizer.mask_id is not None
    masking = Masking(0.5, 1.0, 0.0, tokenizer.mask_id, ordinary_ids(tokenizer), True, 0)
    batch = collate_masked(text, [1, 0], layout, masking, 1)
    assert batch.attention_mask.tolist() == [[True] * 3 + [False] * 3, [True] * 6]
    assert (batch.input_ids[~batch.attention_mask] == tokenizer.pad_id).all()
    flat = batch.input_ids.flatten()
    assert (flat[batch.places] == tokenizer.mask_id).all()
    assert len(batch.places) == 3
    restored = flat.index_copy(0, batch.places, batch.targets).view(2, 6)
    one, two = tokenizer.encode([*"乙"]).ids, tokenizer.encode([*"甲乙丙丙"]).ids
    assert restored[0, :3].tolist() == [tokenizer.cls_id, *one, tokenizer.sep_id]
    assert restored[1].tolist() == [tokenizer.cls_id, *two, tokenizer.sep_id]
    assert batch.input_ids.dtype == batch.places.dtype == batch.targets.dtype == torch.int64


def test_what_a_user_should_know_is_told(options: Make, write: Callable[[str], str]) -> None:
    path = write("甲乙\n\n\n" + "甲乙丙" * 30 + "\n甲\n乙\n")
    _, notes = build_learner(open_source(options(text=path, dev=write_dev(path), max_length=20)))
    assert notes[0] == "2 empty lines are skipped"
    assert "1 lines of train are longer than 18 pieces, and are split into windows" in notes
    assert "50.0% of the pieces of dev are unknown to the vocabulary; they are never masked" in notes
    columns = write("甲 B-PER\n乙 I-PER\n\n甲 O\n")
    (note,) = [n for n in open_source(options(text=columns)).notes if "column" in n]
    assert note.endswith(
        "looks like a column file but is read as plain text, including its tags: see --format columns"
    )


def write_dev(beside: str) -> str:
    """A dev file of which the vocabulary knows half."""
    path = Path(beside).with_name("dev.txt")
    path.write_text("甲外\n", encoding="utf-8")
    return str(path)


def test_lines_without_spaces_are_told_where_words_are_masked(
    options: Make, write: Callable[[str], str]
) -> None:
    path = write("北京 的 天气\n很好\n好\n")
    assert open_source(options(text=path, mask_unit="word")).notes == (
        "1 lines have no space: each is taken for one word, and masked as a whole",
    )
    assert open_source(options(text=path, mask_unit="char")).notes == ()


def test_a_window_longer_than_the_encoder_is_refused(options: Make) -> None:
    with pytest.raises(ValueError, match="max_length is 513, but the encoder has 512 positions"):
        build_learner(open_source(options(max_length=513)))


def test_a_dev_part_of_unknown_pieces_is_refused(options: Make, write: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match="the dev part holds nothing to predict"):
        build_learner(open_source(options(dev=write("外\n"))))


def test_columns_of_characters_have_no_words(options: Make, tmp_path: Path) -> None:
    path = tmp_path / "columns.txt"
    path.write_text("北\n京\n\n上\n海\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a column file of characters has no words"):
        open_source(options(text=str(path), mask_unit="word", format="columns"))
