"""The pieces of every family equal those of transformers' AutoTokenizer, converter, and sentencepiece."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from layouts import HOSTILE, LAYOUTS, Make
from peers import auto, clean, converted, expected, own, sentencepiece_pieces
from their_layouts import THEIR_LAYOUTS

from pybert_crf.encoders.checkpoint.hub import CONFIG_AND_TOKENIZER
from pybert_crf.encoders.families import FAMILIES
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.tokenizer.families import TOKENIZER_FAMILIES

UNIT = pytest.mark.parametrize("unit", ["word", "char"])
# transformers 5 omits the normalisation of these families' sentencepiece models.
NOT_NORMALISED = ("deberta-v2", "big_bird")


def test_every_encoder_has_a_tokenizer() -> None:
    model_types = {name for family in TOKENIZER_FAMILIES for name in family.model_types}
    theirs = set(THEIR_LAYOUTS) | {"mt5", "umt5"}  # T5's; ModernBERT's checkpoints have a tokenizer.json
    assert set(FAMILIES) - {"modernbert"} <= model_types | theirs
    assert all(set(LAYOUTS) & set(family.model_types) for family in TOKENIZER_FAMILIES)  # tested below
    assert set(LAYOUTS) <= model_types
    files = {file for family in TOKENIZER_FAMILIES for file in family.files}
    assert files | {"tokenizer.json", "tokenizer_config.json"} <= set(CONFIG_AND_TOKENIZER)


CASES = [(model_type, config) for model_type, layout in LAYOUTS.items() for config in ({}, *layout.config)]
CASE = pytest.mark.parametrize(
    ("model_type", "config"), [case for case in CASES if case[0] not in NOT_NORMALISED]
)
OTHER_CASE = pytest.mark.parametrize(
    ("model_type", "config"), [case for case in CASES if case[0] in NOT_NORMALISED]
)


@UNIT
@CASE
def test_pieces_are_those_of_transformers(
    model_type: str, config: dict[str, Any], unit: str, make_checkpoint: Make
) -> None:
    directory = make_checkpoint(model_type, **config)
    theirs, ours = (
        auto(directory, add_prefix_space=unit == "word"),
        UnitTokenizer.from_directory(directory, unit),
    )
    assert [text for text in HOSTILE if own(ours, text) != expected(theirs, text)] == []


@pytest.mark.parametrize("model_type", LAYOUTS)
def test_pieces_of_characters_from_all_of_unicode(model_type: str, make_checkpoint: Make) -> None:
    directory = make_checkpoint(model_type)
    ours = UnitTokenizer.from_directory(directory)
    characters = [chr(code) for code in range(0x21, 0x20000, 29) if not 0xD800 <= code < 0xE000]
    if model_type in NOT_NORMALISED:
        tokenizer = converted(model_type, directory, {}, space_before=True)
        encodings = [tokenizer.encode(c, add_special_tokens=False) for c in characters]
        ids = [e.ids if e.tokens not in ([], ["▁"]) else [ours.unk_id] for e in encodings]
    else:
        theirs = auto(directory, add_prefix_space=True)
        ids = [expected(theirs, character) for character in characters]
    pairs = zip(characters, ids, strict=True)
    assert [ascii(character) for character, theirs in pairs if own(ours, character) != theirs] == []


@UNIT
@OTHER_CASE
def test_pieces_are_those_of_transformers_converter(
    model_type: str, config: dict[str, Any], unit: str, make_checkpoint: Make
) -> None:
    """And those of its class, for units that normalisation does not change."""
    directory = make_checkpoint(model_type, **config)
    ours = UnitTokenizer.from_directory(directory, unit)
    theirs = converted(model_type, directory, config, unit == "word")
    space = theirs.token_to_id("▁")
    special = set(LAYOUTS[model_type].special)
    for text in HOSTILE:
        ids = theirs.encode(clean(text), add_special_tokens=False).ids
        if unit == "char" and space in ids and len(ids) > 1:
            continue  # a unit of one character contains no space
        assert own(ours, text) == (ids if ids not in ([], [space]) else [ours.unk_id]), ascii(text)
    if unit == "word":
        theirs = auto(directory, add_prefix_space=True)
        plain = [t for t in HOSTILE if unicodedata.normalize("NFKC", t) == t and t.isprintable()]
        plain = [t for t in plain if t not in ("▁", "\ufffd", " ")]  # a space or nothing to the model
        assert len(plain) > 30
        assert [text for text in plain if own(ours, text) != expected(theirs, text)] == []
        assert all(own(ours, piece) == expected(theirs, piece) for piece in special)


IDENTITY = {"normalization_rule_name": "identity"}
MODELS = [(name, kind) for name, layout in LAYOUTS.items() if layout.model for kind in ("unigram", "bpe")]


@UNIT
@pytest.mark.parametrize(("model_type", "kind"), MODELS)
@pytest.mark.parametrize("more", [{}, {"byte_fallback": True}, IDENTITY])
def test_pieces_are_those_of_sentencepiece(
    model_type: str, kind: str, more: dict[str, Any], unit: str, tmp_path: Path
) -> None:
    layout = LAYOUTS[model_type]
    layout.write(tmp_path, model_type=kind, vocab_size=600 if more else 300, **more)
    config = {"do_lower_case": False, "keep_accents": True, "model_type": model_type}
    for name in ("config.json", "tokenizer_config.json"):
        (tmp_path / name).write_text(json.dumps(config))
    reference = sentencepiece_pieces(tmp_path / layout.model, unit == "word")
    ours = UnitTokenizer.from_directory(tmp_path, unit)
    for text in HOSTILE:
        ids, pieces = reference(text)
        if unit == "char" and any("▁" in piece for piece in pieces):
            continue  # a unit of one character contains no space
        if "``" in text or (more == IDENTITY and any(c.isspace() or c == "▁" for c in text)):
            continue  # ALBERT's quotes; white space that only normalisation turns into a space
        ids = [layout.spm_ids(index) for index in ids] or [ours.unk_id]
        assert own(ours, text) == ids, ascii(text)
