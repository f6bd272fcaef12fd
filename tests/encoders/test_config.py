"""EncoderConfig accepts what can be and names what cannot; config.json maps to it and back."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import transformers

from pybert_crf.encoders import (
    ConfigError,
    EncoderConfig,
    config_from_json,
    config_to_json,
    read_config,
)

CONFIG = EncoderConfig(61, 36, 2, 3, 47)

WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"num_heads": 5}, ValueError, "hidden_size 36 is not divisible by num_heads 5"),
    ({"vocab_size": 0}, ValueError, "vocab_size must be at least 1, got 0"),
    ({"num_layers": -1}, ValueError, "num_layers must be at least 0"),
    ({"hidden_size": 36.0}, TypeError, "hidden_size must be an integer, got 36.0"),
    ({"max_positions": True}, TypeError, "max_positions must be an integer"),
    ({"activation": "gelo"}, ValueError, "unknown activation 'gelo'; known: gelu,"),
    ({"hidden_dropout": 1.0}, ValueError, "hidden_dropout must be in [0.0, 1.0), got 1.0"),
    ({"attention_dropout": -0.1}, ValueError, "attention_dropout must be in"),
    ({"norm_eps": "1e-12"}, TypeError, "norm_eps must be a number, got '1e-12'"),
    ({"init_std": float("nan")}, ValueError, "init_std must be in"),
    ({"pad_id": 61}, ValueError, "pad_id 61 is outside a vocabulary of 61 pieces"),
    ({"pad_id": -1}, ValueError, "pad_id must be at least 0"),
]


@pytest.mark.parametrize(("change", "error", "message"), WRONG)
def test_impossible_values_are_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        replace(CONFIG, **change)


def test_sizes() -> None:
    shapes = {}
    for size in ("tiny", "small", "base"):
        config = EncoderConfig.from_size(size, vocab_size=100, pad_id=4)
        assert (config.vocab_size, config.pad_id, config.max_positions) == (100, 4, 512)
        shapes[size] = (config.num_layers, config.hidden_size, config.num_heads, config.intermediate_size)
    assert shapes == {"tiny": (2, 128, 2, 512), "small": (4, 256, 4, 1024), "base": (12, 768, 12, 3072)}
    with pytest.raises(ValueError, match="unknown encoder size 'huge'; known: tiny, small, base"):
        EncoderConfig.from_size("huge", vocab_size=100)


def test_json_round_trip() -> None:
    config = EncoderConfig(61, 36, 2, 3, 47, 29, 5, "relu", 1e-5, 0.2, 0.3, 0.01, None)
    assert config_from_json(json.loads(json.dumps(config_to_json(config)))) == config


def test_their_defaults_are_ours() -> None:
    """A config.json that says little means to us what it means to transformers."""
    theirs = transformers.BertConfig(**_said(CONFIG))
    assert config_from_json(theirs.to_dict()) == config_from_json(_said(CONFIG)) == CONFIG


def _said(config: EncoderConfig) -> dict[str, Any]:
    needed = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    return {key: config_to_json(config)[key] for key in needed}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model_type": "t5"}, "unknown model_type 't5'; known: albert, bert, "),
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
