"""EncoderConfig accepts valid values and names invalid ones; conversion from and to config.json."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from encoder_cases import CASES, each_family, our_config, their_class, their_config

from pybert_crf.encoders import (
    ConfigError,
    Encoder,
    EncoderConfig,
    config_from_json,
    config_to_json,
    read_config,
)
from pybert_crf.encoders.config import FIELDS, AttentionConfig
from pybert_crf.encoders.families import FAMILIES

CONFIG = EncoderConfig(61, 36, 2, 3, 47)

WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"num_heads": 5}, ValueError, "hidden_size 36 is not divisible by num_heads 5"),
    ({"vocab_size": 0}, ValueError, "vocab_size must be at least 1, got 0"),
    ({"num_layers": -1}, ValueError, "num_layers must be at least 0"),
    ({"hidden_size": 36.0}, TypeError, "hidden_size must be an integer, got 36.0"),
    ({"max_positions": True}, TypeError, "max_positions must be an integer"),
    ({"activation": "gelo"}, ValueError, "unknown activation 'gelo'; known: gelu,"),
    ({"hidden_dropout": 1.0}, ValueError, "hidden_dropout must be in [0.0, 1.0), got 1.0"),
    ({"attention.dropout": -0.1}, ValueError, "attention.dropout must be in"),
    ({"norms.eps": "1e-12"}, TypeError, "norms.eps must be a number, got '1e-12'"),
    ({"init_std": float("nan")}, ValueError, "init_std must be in"),
    ({"pad_id": 61}, ValueError, "pad_id 61 is outside a vocabulary of 61 pieces"),
    ({"pad_id": -1}, ValueError, "pad_id must be at least 0"),
    (
        {"embeddings.positions": "rotary"},
        ValueError,
        "unknown embeddings.positions 'rotary'; known: after_padding, learned, none",
    ),
    ({"embeddings.positions": "after_padding", "pad_id": None}, ValueError, "need a pad_id"),
    (
        {"embeddings.positions": "after_padding", "pad_id": 60, "max_positions": 61},
        ValueError,
        "leaves none after pad_id 60",
    ),
    ({"norms.first": 1}, TypeError, "norms.first must be true or false, got 1"),
    ({"embeddings.num_languages": 0}, ValueError, "embeddings.num_languages must be at least 1"),
    ({"sharing.num_groups": -1}, ValueError, "sharing.num_groups must be at least 0"),
    ({"embeddings.init_std": -1.0}, ValueError, "embeddings.init_std must be in"),
]


@pytest.mark.parametrize(("change", "error", "message"), WRONG)
def test_impossible_values_are_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        CONFIG.with_fields(change)


def test_groups() -> None:
    """A group is given whole, or by the names of its fields."""
    config = replace(CONFIG, attention=AttentionConfig(dropout=0.3))
    assert config == CONFIG.with_fields({"attention.dropout": 0.3})
    assert config == EncoderConfig.from_fields(config.to_fields())
    assert tuple(config.to_fields()) == FIELDS
    with pytest.raises(TypeError, match="attention must be AttentionConfig, got 'dense'"):
        replace(CONFIG, attention="dense")  # type: ignore[arg-type]


def test_sizes() -> None:
    shapes = {}
    for size in ("tiny", "small", "base"):
        config = EncoderConfig.from_size(size, vocab_size=100, pad_id=4)
        assert (config.vocab_size, config.pad_id, config.max_positions) == (100, 4, 512)
        shapes[size] = (config.num_layers, config.hidden_size, config.num_heads, config.intermediate_size)
    assert shapes == {"tiny": (2, 128, 2, 512), "small": (4, 256, 4, 1024), "base": (12, 768, 12, 3072)}
    with pytest.raises(ValueError, match="unknown encoder size 'huge'; known: tiny, small, base"):
        EncoderConfig.from_size("huge", vocab_size=100)


@each_family
def test_json_round_trip(family: str) -> None:
    """Every key with an unusual value is kept; a configuration that the family cannot express is refused."""
    for change in ({}, *CASES[family].variants.values()):
        config = our_config(family, **change)
        assert config_from_json(json.loads(json.dumps(config_to_json(config)))) == config
        assert config_to_json(config)["model_type"] == family


@each_family
def test_their_defaults_are_ours(family: str) -> None:
    """Missing keys of config.json have the defaults of transformers."""
    needed = ("vocab_size", "hidden_size", "num_layers", "num_heads", "intermediate_size")
    table = FAMILIES[family]
    keys = {table.their_key(name) for name in needed if name in table.config_keys}
    said = {key: value for key, value in their_config(family).to_dict().items() if key in keys}
    said[table.their_key("vocab_size")] = 1 << 16  # that has the padding of every family
    told = config_from_json(their_class(family, "Config")(**said).to_dict())
    assert config_from_json({"model_type": family, **said}) == told


# Keys of published checkpoints that BERT's config.json lacks or has with other values (from the hub).
RELATIVES: dict[str, dict[str, Any]] = {
    "Chinese RoBERTa-wwm, MacBERT, PERT": {
        "architectures": ["BertForMaskedLM"],
        "directionality": "bidi",
        "pooler_fc_size": 768,
        "pooler_type": "first_token_transform",
        "gradient_checkpointing": False,
    },
    "ERNIE 1.0": {"hidden_act": "relu", "max_position_embeddings": 513, "layer_norm_eps": 1e-5},
    "MiniLM": {"position_embedding_type": "absolute", "use_cache": True, "transformers_version": "4.8.2"},
}


@pytest.mark.parametrize("change", RELATIVES.values(), ids=RELATIVES.keys())
def test_relatives_of_bert(change: dict[str, Any]) -> None:
    """They are read as their family, and written with the same values."""
    values = config_to_json(CONFIG) | change
    config = config_from_json(values)
    assert config.model_type == "bert"
    assert config.activation == values["hidden_act"]
    written = config_to_json(config)
    assert {key: written[key] for key in written if key != "architectures"}.items() <= values.items()


OLD_KEYS = [(family, old) for family, table in FAMILIES.items() for old in table.old_keys]


@pytest.mark.parametrize(("family", "old"), OLD_KEYS)
def test_old_keys(family: str, old: str) -> None:
    """Older names of a key are read as in transformers; the current name has precedence."""
    values = config_to_json(our_config(family))
    key = FAMILIES[family].old_keys[old]
    value = values.pop(key)
    assert config_from_json(values | {old: value}) == our_config(family)
    assert getattr(their_class(family, "Config")(**{old: value}), key) == value
    assert config_from_json(values | {old: value + 99, key: value}) == our_config(family)


INEXPRESSIBLE: list[tuple[str, dict[str, Any], str]] = [
    ("bert", {"embeddings.size": 12}, "in bert encoders embeddings.size is 36, not 12"),
    (
        "bert",
        {"embeddings.positions": "sinusoidal"},
        "in bert encoders embeddings.positions is 'learned', not 'sinusoidal'",
    ),
    (
        "distilbert",
        {"embeddings.num_segments": 2},
        "in distilbert encoders embeddings.num_segments is 0, not 2",
    ),
    (
        "distilbert",
        {"embeddings.positions": "none"},
        "no distilbert encoder: sinusoidal_pos_embds has no value for 'none'",
    ),
    ("xlm", {"intermediate_size": 47}, "in xlm encoders intermediate_size is 132, not 47"),
    ("xlm", {"activation": "tanh"}, "no xlm encoder: gelu_activation has no value for 'tanh'"),
]


@pytest.mark.parametrize(("family", "change", "message"), INEXPRESSIBLE)
def test_what_could_not_be_saved_is_not_made(family: str, change: dict[str, Any], message: str) -> None:
    config = CONFIG if family == "bert" else our_config(family)
    with pytest.raises(ConfigError, match=re.escape(message)):
        Encoder(config.with_fields(change))


def test_the_longest_sequence() -> None:
    """RoBERTa's positions begin after the padding's id."""
    assert our_config("bert").max_length == 29
    assert our_config("roberta").max_length == 37 - 7 - 1
    assert our_config("roberta", max_position_embeddings=514, pad_token_id=1).max_length == 512


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model_type": "bart"}, "unknown model_type 'bart'; known: albert, bert, "),
    (
        {"position_embedding_type": "relative_key"},
        "position_embedding_type = 'relative_key' is not supported",
    ),
    ({"is_decoder": True}, "is_decoder = True is not supported"),
    ({"add_cross_attention": True}, "add_cross_attention"),
    ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
    ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ({"hidden_act": "xielu"}, "unknown activation 'xielu'"),
    ({"num_attention_heads": 5}, "hidden_size 36 is not divisible by num_heads 5"),
    ({"hidden_size": "36"}, "hidden_size must be an integer, got '36'"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_another_encoder_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        config_from_json(config_to_json(CONFIG) | change)


REFUSED_BY_FAMILY: list[tuple[str, dict[str, Any], str]] = [
    ("xlm", {"causal": True}, "causal = True is not supported, only False"),
    ("xlm", {"is_encoder": False}, "is_encoder = False is not supported, only True"),
    ("xlm", {"gelu_activation": "tanh"}, "gelu_activation = 'tanh' is not supported, only True, False"),
    ("roberta", {"pad_token_id": None}, "need a pad_id"),
    ("electra", {"is_decoder": True}, "is_decoder = True is not supported"),
    ("albert", {"hidden_act": "prelu"}, "unknown activation 'prelu'"),
    ("distilbert", {"sinusoidal_pos_embds": None}, "sinusoidal_pos_embds = None is not supported"),
]


@pytest.mark.parametrize(("family", "change", "message"), REFUSED_BY_FAMILY)
def test_another_encoder_of_the_family_is_refused(family: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        config_from_json(config_to_json(our_config(family)) | change)


def test_missing_keys_are_named() -> None:
    values = config_to_json(CONFIG)
    del values["hidden_size"], values["num_hidden_layers"]
    with pytest.raises(ConfigError, match=r"config\.json lacks hidden_size, num_hidden_layers"):
        config_from_json(values)


def test_other_keys_do_not_matter() -> None:
    extra = {
        "id2label": {"0": "O"},
        "problem": None,
        "use_cache": True,
        "pruned_heads": {},
        "is_decoder": False,
    }
    values = config_to_json(CONFIG) | extra
    del values["model_type"]  # as in the first BERT releases
    assert config_from_json(values) == CONFIG


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_unreadable_json(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("layer_norm_eps", 0), ("layer_norm_eps", 1e300), ("initializer_range", 5e29)]
)
def test_numbers_with_which_an_encoder_gives_no_numbers(name: str, value: float) -> None:
    """A LayerNorm of equal values divides by 0; initial weights of 1e29 overflow."""
    with pytest.raises(ConfigError, match=rf"config\.json: {name} must be in"):
        config_from_json(config_to_json(CONFIG) | {name: value})


def test_albert_without_groups_is_refused() -> None:
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    values = {"model_type": "albert", "num_hidden_groups": 0, **dict.fromkeys(sizes, 2)}
    with pytest.raises(ConfigError, match=r"config\.json: num_hidden_groups must be at least 1"):
        config_from_json(values)
