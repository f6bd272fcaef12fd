"""Opening and saving tokenizers of every family; at least one piece for every unit; error messages."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import HOSTILE, LAYOUTS, Make
from peers import auto, converted, expected, own, read_proto

from pybert_crf.reading import ConfigError
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.tokenizer.byte_pairs import read_merges

EVERY = pytest.mark.parametrize("model_type", LAYOUTS)
UNIT = pytest.mark.parametrize("unit", ["word", "char"])


@EVERY
def test_special_pieces(model_type: str, make_checkpoint: Make) -> None:
    directory = make_checkpoint(model_type)
    theirs, ours = auto(directory), UnitTokenizer.from_directory(directory)
    ids = (ours.cls_id, ours.sep_id, ours.pad_id, ours.unk_id, ours.mask_id)
    assert ids == tuple(theirs.convert_tokens_to_ids(list(LAYOUTS[model_type].special)))
    around = theirs("the")["input_ids"]
    assert (ours.cls_id, ours.sep_id) == (around[0], around[-1])
    assert (ours.pad_id, ours.unk_id, ours.mask_id) == (
        theirs.pad_token_id,
        theirs.unk_token_id,
        theirs.mask_token_id,
    )
    assert ours.vocab_size == len(theirs)


@EVERY
@UNIT
def test_what_is_saved_opens_here_and_in_transformers(
    model_type: str, unit: str, make_checkpoint: Make
) -> None:
    """With the encoder's configuration, as in a tagger's directory, and without it."""
    directory = make_checkpoint(model_type)
    ours = UnitTokenizer.from_directory(directory, unit)
    ours.save(directory)
    ours.save(directory.parent / "alone")
    for folder in (directory, directory.parent / "alone"):
        again, theirs = UnitTokenizer.from_directory(folder, unit), auto(folder)
        assert [text for text in HOSTILE if own(again, text) != own(ours, text)] == []
        assert [text for text in HOSTILE if own(ours, text) != expected(theirs, text)] == []
        around = theirs("the")["input_ids"]
        assert (again.cls_id, again.sep_id) == (ours.cls_id, ours.sep_id) == (around[0], around[-1])
        assert (theirs.pad_token_id, theirs.mask_token_id) == (again.pad_id, again.mask_id)
        assert again.vocab_size == ours.vocab_size == len(theirs)
        if LAYOUTS[model_type].spaces:  # the mask replaces a word and the space before it
            with_mask = theirs(f"the {theirs.mask_token}")["input_ids"]
            assert with_mask == [*around[:-1], ours.mask_id, around[-1]]
    # A saved tokenizer can be opened for the other unit and then follows that unit's rule.
    other = UnitTokenizer.from_directory(directory, "char" if unit == "word" else "word")
    assert (own(other, "the") != own(ours, "the")) == LAYOUTS[model_type].spaces


@EVERY
@UNIT
def test_what_transformers_saves_opens_here(model_type: str, unit: str, make_checkpoint: Make) -> None:
    """Its tokenizer.json (XLM: its files), whatever the option for the space was when it was saved."""
    directory = make_checkpoint(model_type)
    auto(directory).save_pretrained(directory.parent / "theirs")
    ours = UnitTokenizer.from_directory(directory.parent / "theirs", unit)
    theirs = auto(directory.parent / "theirs", add_prefix_space=unit == "word")
    if (model_type, unit) == ("deberta-v2", "char"):
        return  # not possible with transformers' DeBERTa-v2
    assert [text for text in HOSTILE if own(ours, text) != expected(theirs, text)] == []
    assert (ours.pad_id, ours.unk_id, ours.mask_id) == (
        theirs.pad_token_id,
        theirs.unk_token_id,
        theirs.mask_token_id,
    )


@EVERY
@UNIT
@given(data=st.data())
@settings(max_examples=30)
def test_every_unit_has_a_piece_of_its_own(
    model_type: str, unit: str, opened: Callable[[str, str], UnitTokenizer], data: st.DataObject
) -> None:
    ours = opened(model_type, unit)
    texts = st.text(st.characters(), max_size=3) | st.sampled_from(HOSTILE)
    units = data.draw(st.lists(texts, max_size=10))
    encoded = ours.encode(units)
    assert len(encoded.first) == len(units)
    assert encoded.first == sorted(set(encoded.first))
    assert encoded.first[:1] == [0][: len(units)]
    assert all(0 <= index < ours.vocab_size for index in encoded.ids)
    assert encoded.ids == [index for text in units for index in own(ours, text)]


@EVERY
def test_a_tokenizer_travels_to_another_process(
    model_type: str, opened: Callable[[str, str], UnitTokenizer]
) -> None:
    ours = opened(model_type, "word")
    assert pickle.loads(pickle.dumps(ours)).encode(HOSTILE) == ours.encode(HOSTILE)


SPACED = [model_type for model_type, layout in LAYOUTS.items() if layout.spaces]


@pytest.mark.parametrize("model_type", SPACED)
def test_a_space_stands_before_a_word_and_not_before_a_character(
    model_type: str, make_checkpoint: Make
) -> None:
    directory = make_checkpoint(model_type)
    names = {index: piece for piece, index in auto(directory).get_vocab().items()}
    word = UnitTokenizer.from_directory(directory, "word")
    char = UnitTokenizer.from_directory(directory, "char")
    for text in ("the", "don't", "中", "国", ",", "7", "ไทย", "café"):
        before, bare = ([names[index] for index in own(ours, text)] for ours in (word, char))
        assert before[0][0] in "▁Ġ", text
        assert not any("▁" in piece or "Ġ" in piece for piece in bare), text
    assert len(own(char, "中")) == 1  # otherwise sentences would be twice as long


def test_a_character_is_a_word_to_xlm(make_checkpoint: Make) -> None:
    directory = make_checkpoint("xlm")
    vocab = auto(directory).get_vocab()
    for unit in ("word", "char"):
        ours = UnitTokenizer.from_directory(directory, unit)
        assert own(ours, "北") == [vocab["北</w>"]]


def test_what_xlm_merges_on_the_way_is_unknown(make_checkpoint: Make) -> None:
    directory = make_checkpoint("xlm", do_lowercase_and_remove_accent=False)
    theirs, ours = auto(directory), UnitTokenizer.from_directory(directory)
    vocab = theirs.get_vocab()
    lines = (directory / "merges.txt").read_text(encoding="utf-8").splitlines()
    merged = ["".join(line.split()[:2]) for line in lines]
    words = [piece.removesuffix("</w>") for piece in merged if piece.endswith("</w>") and piece not in vocab]
    words = [word for word in words if word.isalpha()]
    assert len(words) > 5
    assert [own(ours, word) for word in words] == [expected(theirs, word) for word in words]
    assert [own(ours, word) for word in words].count([ours.unk_id]) > 3


def test_albert_has_no_piece_of_a_number_and_its_comma(make_checkpoint: Make) -> None:
    """As in its pretraining, such pieces of the vocabulary are not used."""
    directory = make_checkpoint("albert")
    proto = read_proto(directory / "spiece.model")
    number = next(piece for piece in proto.pieces if len(piece.piece) > 2 and piece.type == 1)
    number.piece, number.score = "\u25811,", 0.0
    (directory / "spiece.model").write_bytes(proto.SerializeToString())
    ours = UnitTokenizer.from_directory(directory)
    theirs = converted("albert", directory, {"do_lower_case": True}, space_before=True)
    encoding = theirs.encode("1,", add_special_tokens=False)
    assert encoding.tokens == ["▁1", ","]
    assert own(ours, "1,") == encoding.ids


@pytest.mark.parametrize("newer", [False, True])
def test_added_tokens_keep_their_ids(newer: bool, make_checkpoint: Make) -> None:
    """DeBERTa-v3's mask is not in its spm.model."""
    directory = make_checkpoint("deberta-v2")
    size = len(read_proto(directory / "spm.model").pieces)

    def add(tokens: dict[str, int]) -> None:
        if newer:
            flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
            added = {
                str(i): {"content": text, "special": text == "[MASK]", **flags} for text, i in tokens.items()
            }
            (directory / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
        else:
            (directory / "added_tokens.json").write_text(json.dumps(tokens))

    add({"[MASK]": size, "newword": size + 1})
    ours = UnitTokenizer.from_directory(directory)
    theirs = auto(directory)
    assert (ours.mask_id, ours.vocab_size) == (size, size + 2)
    assert own(ours, "newword") == expected(theirs, "newword") == [size + 1]
    add({"[MASK]": size, "newword": size + 5})
    with pytest.raises(ValueError, match=rf"'newword' should have the id {size + 5}, but gets {size + 1}"):
        UnitTokenizer.from_directory(directory)


@UNIT
def test_an_older_tokenizer_json_obeys_the_unit(unit: str, make_checkpoint: Make) -> None:
    """Files of 2020 have another option for the space before a word."""
    directory = make_checkpoint("xlm-roberta")
    ours = UnitTokenizer.from_directory(directory, unit)
    ours.save(directory)
    state = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
    metaspace = {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True}
    state["pre_tokenizer"]["pretokenizers"][-1] = metaspace
    (directory / "tokenizer.json").write_text(json.dumps(state), encoding="utf-8")
    assert UnitTokenizer.from_directory(directory, unit).encode(HOSTILE) == ours.encode(HOSTILE)


def test_relatives_share_a_tokenizer(make_checkpoint: Make) -> None:
    directory = make_checkpoint("xlm-roberta")
    ours = UnitTokenizer.from_directory(directory)
    (directory / "config.json").write_text(json.dumps({"model_type": "xlm-roberta-xl"}))
    assert UnitTokenizer.from_directory(directory).encode(HOSTILE) == ours.encode(HOSTILE)


def test_special_pieces_of_an_older_checkpoint(make_checkpoint: Make) -> None:
    directory = make_checkpoint("roberta")
    (directory / "special_tokens_map.json").write_text(json.dumps({"pad_token": {"content": "<mask>"}}))
    assert UnitTokenizer.from_directory(directory).pad_id == auto(directory).pad_token_id == 4


@pytest.mark.parametrize("lower", [None, True, False])
def test_the_configuration_overrules_berts_tokenizer_json(lower: bool | None, make_checkpoint: Make) -> None:
    directory = make_checkpoint("bert", do_lower_case=False)
    UnitTokenizer.from_directory(directory).save(directory)
    options = {} if lower is None else {"do_lower_case": lower}
    (directory / "tokenizer_config.json").write_text(json.dumps(options))
    ours, theirs = UnitTokenizer.from_directory(directory), auto(directory)
    assert [text for text in HOSTILE if own(ours, text) != expected(theirs, text)] == []


def test_files_and_what_is_missing_are_named(make_checkpoint: Make) -> None:
    directory = make_checkpoint("deberta")
    open_ = UnitTokenizer.from_directory
    with pytest.raises(ValueError, match="unit must be 'char' or 'word', got 'byte'"):
        open_(directory, "byte")
    merges = (directory / "merges.txt").read_text(encoding="utf-8")
    (directory / "merges.txt").write_text(merges + "lonely\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"merges\.txt, line \d+: expected two pieces, got 'lonely'"):
        open_(directory)
    (directory / "merges.txt").write_text(merges + "never seen\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocab\.json: the merges do not fit the vocabulary"):
        open_(directory)
    (directory / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"merges\.txt missing$"):
        open_(directory)
    (directory / "bpe_encoder.bin").touch()
    with pytest.raises(FileNotFoundError, match=r"merges\.txt missing \(bpe_encoder\.bin, a pickle, is not"):
        open_(directory)
    (directory / "vocab.json").write_text('{"a": "b"}')
    (directory / "merges.txt").write_text(merges, encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocab\.json: the id of 'a' is 'b'"):
        open_(directory)
    (directory / "config.json").unlink()
    with pytest.raises(ValueError, match=r"neither tokenizer_config\.json \(tokenizer_class\) nor config"):
        open_(directory)
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "BertJapaneseTokenizer"}')
    with pytest.raises(ValueError, match="does not read its BertJapaneseTokenizer tokenizer"):
        open_(directory)


def test_a_damaged_sentencepiece_model_is_named(make_checkpoint: Make) -> None:
    directory = make_checkpoint("xlm-roberta")
    path = directory / "sentencepiece.bpe.model"
    proto, whole = read_proto(path), path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"\xff" * 20, b"", b"<html></html>", whole[:40]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"bpe\.model: not a sentencepiece model"):
            UnitTokenizer.from_directory(directory)
    proto.trainer_spec.model_type = 3
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match=r"bpe\.model: it is neither a unigram model nor one of byte-pair"):
        UnitTokenizer.from_directory(directory)
    proto.trainer_spec.model_type = 1
    proto.pieces[2].type = 1
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match=r"bpe\.model: its first three pieces should be the special ones"):
        UnitTokenizer.from_directory(directory)


def test_what_xlm_needs_is_named(make_checkpoint: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_checkpoint("xlm")
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    with pytest.raises(ImportError, match=r"pip install 'pybert-crf\[xlm\]'"):
        UnitTokenizer.from_directory(directory)
    monkeypatch.undo()
    (directory / "added_tokens.json").write_text('{"newword": 999}')
    with pytest.raises(ValueError, match=r"'newword' should have the id 999, but gets None"):
        UnitTokenizer.from_directory(directory)
    vocab = json.loads((directory / "vocab.json").read_text(encoding="utf-8"))
    (directory / "vocab.json").write_text(json.dumps({**vocab, "gap": len(vocab) + 7}))
    with pytest.raises(ValueError, match=r"vocab\.json: its ids do not run from 0 without gaps"):
        UnitTokenizer.from_directory(directory)


def test_a_carriage_return_in_a_merge_is_refused(tmp_path: Path) -> None:
    """It would be written back as the end of a line."""
    (tmp_path / "merges.txt").write_bytes(b"t h\r\nth \r 7\n")
    with pytest.raises(ConfigError, match=r"merges\.txt, line 2: expected two pieces"):
        read_merges(tmp_path / "merges.txt")
