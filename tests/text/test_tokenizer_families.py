"""Every family's pieces are those of transformers' AutoTokenizer, and every unit has one of its own."""

from __future__ import annotations

import json
import shutil
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizer_layouts import HOSTILE, LAYOUTS, clean, sentencepiece_pieces
from tokenizers import Tokenizer

from pybert_crf.encoders.families import FAMILIES
from pybert_crf.encoders.hub import CONFIG_AND_TOKENIZER
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.tokenizer_families import TOKENIZER_FAMILIES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of an import that is not ours
    import transformers.convert_slow_tokenizer as conversion
    from transformers import AutoTokenizer  # type: ignore[attr-defined]  # known at run time only

EVERY = pytest.mark.parametrize("model_type", LAYOUTS)
UNIT = pytest.mark.parametrize("unit", ["word", "char"])
# transformers 5 opens these without their sentencepiece model's normalisation.
NOT_NORMALISED = ("deberta-v2", "big_bird")
Make = Callable[..., Path]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a family's own files; to be copied, not changed."""
    made: dict[int, Path] = {}

    def directory(model_type: str) -> Path:
        write = LAYOUTS[model_type].write
        if id(write) not in made:
            made[id(write)] = tmp_path_factory.mktemp(model_type)
            write(made[id(write)])
        return made[id(write)]

    return directory


@pytest.fixture
def make(tmp_path: Path, trained: Callable[[str], Path]) -> Make:
    """A new checkpoint's directory with the family's own files and configuration."""

    def checkpoint(model_type: str, **config: Any) -> Path:
        directory = tmp_path / "checkpoint"
        shutil.copytree(trained(model_type), directory)
        (directory / "config.json").write_text(json.dumps({"model_type": model_type}))
        if config:
            (directory / "tokenizer_config.json").write_text(json.dumps(config))
        return directory

    return checkpoint


def auto(directory: Path, unit: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoTokenizer.from_pretrained(directory, add_prefix_space=unit == "word")


def expected(theirs: Any, unit: str) -> list[int]:
    """The ids that transformers gives a unit; unknown where it drops it or has no way to take it."""
    ids: list[int] = theirs([clean(unit)], is_split_into_words=True, add_special_tokens=False)["input_ids"]
    return ids or [theirs.unk_token_id]


def converted(model_type: str, directory: Path, config: dict[str, Any], space_before: bool) -> Tokenizer:
    """What transformers' converter, written for its slow tokenizers, makes of a sentencepiece model."""
    converter = {
        "albert": conversion.AlbertConverter,
        "deberta-v2": conversion.DebertaV2Converter,
        "big_bird": conversion.BigBirdConverter,
    }[model_type]
    options = {"do_lower_case": False, "keep_accents": False, "split_by_punct": False} | config
    slow = SimpleNamespace(
        vocab_file=str(directory / LAYOUTS[model_type].model),
        add_prefix_space=space_before,
        convert_tokens_to_ids=lambda piece: 0,
        **options,
    )
    tokenizer: Tokenizer = converter(slow).converted()
    tokenizer.add_special_tokens(list(LAYOUTS[model_type].special))
    return tokenizer


def own(ours: UnitTokenizer, unit: str) -> list[int]:
    return ours.encode([unit]).ids


def test_every_encoder_has_a_tokenizer() -> None:
    assert set(FAMILIES) <= set(LAYOUTS)
    assert {family.model_type for family in TOKENIZER_FAMILIES} == set(LAYOUTS)
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
    model_type: str, config: dict[str, Any], unit: str, make: Make
) -> None:
    directory = make(model_type, **config)
    theirs, ours = auto(directory, unit), UnitTokenizer.from_directory(directory, unit)
    assert [text for text in HOSTILE if own(ours, text) != expected(theirs, text)] == []


@UNIT
@OTHER_CASE
def test_pieces_are_those_of_transformers_converter(
    model_type: str, config: dict[str, Any], unit: str, make: Make
) -> None:
    """Of transformers' own conversion of the model, that is; its class, where normalisation has no work."""
    directory = make(model_type, **config)
    ours = UnitTokenizer.from_directory(directory, unit)
    theirs = converted(model_type, directory, config, unit == "word")
    space = theirs.token_to_id("▁")
    special = set(LAYOUTS[model_type].special)
    for text in HOSTILE:
        ids = theirs.encode(clean(text), add_special_tokens=False).ids
        if unit == "char" and space in ids and len(ids) > 1:
            continue  # no character has a space in it
        assert own(ours, text) == (ids if ids not in ([], [space]) else [ours.unk_id]), ascii(text)
    if unit == "word":
        theirs = auto(directory, unit)
        plain = [t for t in HOSTILE if unicodedata.normalize("NFKC", t) == t and t.isprintable()]
        plain = [t for t in plain if t not in ("▁", "\ufffd", " ")]  # to the model a space, or nothing
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
            continue  # no character has a space in it
        if "``" in text or (more == IDENTITY and any(c.isspace() or c == "▁" for c in text)):
            continue  # ALBERT's quotes; what is a space only where it is normalised
        ids = [layout.spm_ids(index) for index in ids] or [ours.unk_id]
        assert own(ours, text) == ids, ascii(text)
