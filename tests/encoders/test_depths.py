"""The depth of each parameter, in every type of encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
from adapter_cases import each_type, their_model, write_their
from encoder_cases import CASES, our_encoder

from pybert_crf.encoders import open_encoder
from pybert_crf.encoders.depths import depths


@pytest.mark.parametrize("family", CASES)
def test_our_encoders(family: str) -> None:
    encoder = our_encoder(family)
    check(depths(encoder), len(encoder.layers))
    assert depths(encoder)["embeddings.word.weight"] == 0


def test_an_encoder_without_layers_has_embeddings() -> None:
    assert set(depths(our_encoder("bert", num_hidden_layers=0)).values()) == {0}


@each_type
def test_encoders_of_transformers(name: str, tmp_path: Path) -> None:
    write_their(tmp_path, their_model(name))
    deep = depths(open_encoder(tmp_path))
    check(deep, 2)
    assert all(depth == 0 for key, depth in deep.items() if "embed" in key and ".0." not in key)


def check(deep: dict[str, int], layers: int) -> None:
    assert set(deep.values()) == set(range(layers + 1))
    for name, depth in deep.items():
        numbers = [int(part) for part in name.split(".") if part.isdigit()]
        if numbers:
            assert depth == numbers[0] + 1, name
        elif "norm" not in name and "ln_f" not in name:
            assert depth == 0, name
