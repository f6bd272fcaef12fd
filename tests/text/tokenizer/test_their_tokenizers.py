"""Vocabulary files without a tokenizer.json, of types without a family here: read by transformers."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import pytest
from layouts import HOSTILE
from peers import auto, clean, sentencepiece_pieces
from their_layouts import THEIR_LAYOUTS, write_layout

from pybert_crf.reading import ConfigError
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.tokenizer.unit_tokenizer import Encoded

UNITS = ["char", "word"]
SPACED = [name for name in THEIR_LAYOUTS if name not in ("ctrl", "openai-gpt", "nomic_bert", "roformer")]
MODELS = [name for name, layout in THEIR_LAYOUTS.items() if layout.model]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The directory of each layout, written once."""
    return {name: write_layout(name, tmp_path_factory.mktemp(name)) for name in THEIR_LAYOUTS}


def names_of(tokenizer: UnitTokenizer, ids: tuple[int, ...]) -> tuple[str, ...]:
    pieces = {index: piece for piece, index in tokenizer._pieces.vocab().items()}
    return tuple(pieces[index] for index in ids)


def aligned(encoded: Encoded, units: list[str]) -> bool:
    """Whether each unit has a piece of its own."""
    return len(encoded.first) == len(units) == len(set(encoded.first)) and max(encoded.first) < len(
        encoded.ids
    )


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", [name for name in THEIR_LAYOUTS if name != "roformer"])
def test_pieces_are_those_of_transformers(
    name: str, unit: str, files: dict[str, Path], tmp_path: Path
) -> None:
    ours, theirs = UnitTokenizer.from_directory(files[name], unit), auto(files[name])
    assert (names_of(ours, ours.before), names_of(ours, ours.after)) == THEIR_LAYOUTS[name][1:3]
    if name != "rembert":  # whose class of transformers puts nothing around a text
        whole = theirs("the")["input_ids"]
        assert whole[: len(ours.before)] == list(ours.before)
        assert whole[len(whole) - len(ours.after) :] == list(ours.after)
    assert aligned(ours.encode(HOSTILE), HOSTILE)
    byte_level = name in ("gpt2", "gpt_neo", "opt", "qwen2", "qwen3", "bart", "longformer")
    for text in [*HOSTILE, "the cat"]:
        if text == " " and name.startswith("qwen"):
            continue  # a space before a space
        got = ours.encode([text]).ids
        space = " " if byte_level and unit == "word" and text.strip(" ") else ""
        expected = theirs(space + clean(text), add_special_tokens=False)["input_ids"]
        if got == [ours.unk_id] or (name in SPACED and not byte_level and unit == "char"):
            continue  # see below
        if name == "rembert":  # its class takes [CLS] for what is unknown
            expected = [ours.unk_id if index == ours.cls_id else index for index in expected]
        assert got == expected, text

    ours.save(tmp_path)
    again = UnitTokenizer.from_directory(tmp_path, unit)
    assert again.encode(HOSTILE) == ours.encode(HOSTILE)
    assert (again.before, again.after) == (ours.before, ours.after)
    assert (again.pad_id, again.unk_id, again.mask_id) == (ours.pad_id, ours.unk_id, ours.mask_id)
    assert pickle.loads(pickle.dumps(ours)).encode(HOSTILE) == ours.encode(HOSTILE)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", MODELS)
def test_pieces_are_those_of_sentencepiece(name: str, unit: str, files: dict[str, Path]) -> None:
    """With its own normalisation; spaces inside a unit apart, which the rules of T5 remove."""
    ours = UnitTokenizer.from_directory(files[name], unit)
    pieces = sentencepiece_pieces(files[name] / THEIR_LAYOUTS[name].model, unit == "word")
    for text in HOSTILE:
        if not text.isprintable() or any(each in " ▁" for each in text):
            continue
        ids, names = pieces(text)
        if names in ([], ["▁"]):
            assert ours.encode([text]).ids == [ours.unk_id], text
        else:
            assert ours.encode([text]).ids == ids, text


@pytest.mark.parametrize("name", SPACED)
def test_a_character_has_no_space_before_it(name: str, files: dict[str, Path]) -> None:
    char, word = (UnitTokenizer.from_directory(files[name], unit) for unit in UNITS)
    for text in ("中", "国", "7"):
        bare, spaced = (names_of(each, tuple(each.encode([text]).ids)) for each in (char, word))
        assert not any("▁" in piece or "Ġ" in piece for piece in bare), text
        assert spaced[0][0] in "▁Ġ", text


@pytest.mark.parametrize("name", SPACED)
def test_a_space_can_be_taken_away_and_put_back(name: str, files: dict[str, Path], tmp_path: Path) -> None:
    """A tokenizer saved for one unit is right for the other, as when a tagger is trained from an encoder."""
    if name == "m2m_100":
        pytest.skip("it keeps its own files")
    for one, other in (UNITS, UNITS[::-1]):
        UnitTokenizer.from_directory(files[name], one).save(tmp_path)
        again = UnitTokenizer.from_directory(tmp_path, other)
        assert again.encode(HOSTILE) == UnitTokenizer.from_directory(files[name], other).encode(HOSTILE)


def test_padding_without_a_piece_is_no_piece_of_a_text(files: dict[str, Path]) -> None:
    for name in ("gpt2", "qwen2", "llama", "ctrl"):
        tokenizer = UnitTokenizer.from_directory(files[name], "char")
        special = auto(files[name]).all_special_ids
        assert {tokenizer.pad_id, tokenizer.unk_id} <= set(special)


def test_chinese_gpt2_with_berts_vocabulary(files: dict[str, Path], tmp_path: Path) -> None:
    vocab = (files["nomic_bert"] / "vocab.txt").read_text("utf-8")
    (tmp_path / "vocab.txt").write_text(vocab, encoding="utf-8")
    for model_type in ("gpt2", "bart", "t5", "roformer"):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
        tokenizer = UnitTokenizer.from_directory(tmp_path, "char")
        assert (names_of(tokenizer, tokenizer.before), names_of(tokenizer, tokenizer.after)) == (
            ("[CLS]",),
            ("[SEP]",),
        )
        assert tokenizer.encode(HOSTILE) == UnitTokenizer.from_directory(files["nomic_bert"], "char").encode(
            HOSTILE
        )
    with pytest.raises(ConfigError, match=r"cut by jieba.*by character \(unit char\)"):
        UnitTokenizer.from_directory(tmp_path, "word")


def test_what_settles_an_unreadable_format_is_named(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(FileNotFoundError, match="no tokenizer in"):
        UnitTokenizer.from_directory(tmp_path, "char")
    (tmp_path / "spiece.model").write_bytes(b"no model")
    with pytest.raises(
        ConfigError, match=r"does not read its t5 tokenizer \(.*a tokenizer.json settles that"
    ) as told:
        UnitTokenizer.from_directory(tmp_path, "char")
    assert "\n" not in str(told.value)
    (tmp_path / "config.json").write_text('{"model_type": "m2m_100"}')
    (tmp_path / "spiece.model").rename(tmp_path / "sentencepiece.bpe.model")
    with pytest.raises((ConfigError, ImportError, FileNotFoundError), match=r"m2m_100 tokenizer"):
        UnitTokenizer.from_directory(tmp_path, "char")
    (tmp_path / "config.json").write_text('{"model_type": "mt5"}')
    with pytest.raises((ConfigError, ImportError, FileNotFoundError), match=r"mt5 tokenizer"):
        UnitTokenizer.from_directory(tmp_path, "char")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'pybert-crf\[transformers\]'; or a tokenizer.json"):
        UnitTokenizer.from_directory(files["gpt2"], "char")


def test_no_code_of_a_checkpoint_is_run(files: dict[str, Path], tmp_path: Path) -> None:
    write_layout("gpt2", tmp_path)
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    config = {"tokenizer_class": "EvilTokenizer", "auto_map": {"AutoTokenizer": ["evil.EvilTokenizer", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="does not read its EvilTokenizer tokenizer"):
        UnitTokenizer.from_directory(tmp_path, "char")
