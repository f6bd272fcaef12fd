"""Peculiarities of DeBERTa's checkpoints and configurations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from encoder_cases import as_ours, our_config, their_config, their_model

from pybert_crf.encoders import CheckpointError, ConfigError, Encoder, config_from_json

each_version = pytest.mark.parametrize("family", ["deberta", "deberta-v2"])


@each_version
def test_the_newer_masked_words_head(family: str) -> None:
    theirs = their_model(family, "ForMaskedLM", legacy=False)
    state = theirs.state_dict()
    assert any(name.startswith("lm_predictions.") for name in state)
    state["mask_predictions.dense.weight"] = torch.zeros(3, 3)  # version 3's discriminator
    ours = Encoder.from_checkpoint(as_ours(theirs).config, state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in ours.to_checkpoint("deberta.").items())


@each_version
def test_an_idle_table_of_positions(family: str) -> None:
    """Position embeddings are ignored if the configuration does not use them, and else required."""
    state = their_model(family).state_dict()
    ours = Encoder.from_checkpoint(our_config(family, position_biased_input=False), state)
    assert "embeddings.position_embeddings.weight" not in ours.to_checkpoint()
    del state["embeddings.position_embeddings.weight"]
    with pytest.raises(CheckpointError, match=r"missing: embeddings\.position_embeddings\.weight"):
        Encoder.from_checkpoint(our_config(family), state)


@each_version
def test_terms_as_the_authors_write_them(family: str) -> None:
    values = their_config(family).to_dict()
    config = config_from_json(values | {"pos_att_type": "p2c| C2P"})
    assert config == config_from_json(values | {"pos_att_type": ["p2c", "c2p"]})
    assert config.disentangled.position_terms == ("p2c", "c2p")


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"disentangled.position_terms": ("c2p", "c2p")},
        "position_terms must be some of .* each once",
    ),
    ({"disentangled.position_terms": ("p2p",)}, "disentangled.position_terms must be some of"),
    ({"disentangled.max_distance": -2}, "disentangled.max_distance must be at least -1"),
    ({"disentangled.position_buckets": 34}, "disentangled.position_buckets must be 2 to 33, got 34"),
    ({"convolution.kernel_size": 4}, "convolution.kernel_size must be odd"),
    ({"convolution.kernel_size": 3, "convolution.groups": 2}, "not divisible by convolution.groups 2"),
    ({"convolution.kernel_size": 3, "attention.kind": "dense"}, "needs disentangled attention, not dense"),
    ({"attention.kind": "sparse"}, "unknown attention.kind 'sparse'"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_values(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        our_config("deberta-v2").with_fields(change)


def test_a_wrong_type_of_terms() -> None:
    with pytest.raises(ConfigError, match="pos_att_type must be a list or names"):
        config_from_json(their_config("deberta").to_dict() | {"pos_att_type": 3})
