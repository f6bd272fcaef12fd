"""Low-rank layers: the weights that are saved compute what the layers compute, in every type of encoder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from adapter_cases import each_type, their_model, write_their
from encoder_cases import CASES, batch_for, kept, our_encoder

from pybert_crf.encoders import Encoder, Plan, adapt, open_encoder
from pybert_crf.encoders.low_rank import adapted_layers

pytest.importorskip("peft")

PLAN = Plan(rank=2, alpha=3.0)
# DeBERTa's attention also reads the weights of its linear layers without calling them.
VARIANTS = [(family, "") for family in CASES] + [
    ("deberta", "c2p"),
    ("deberta", "contents only"),
    ("deberta-v2", "shared projections"),
    ("deberta-v2", "as version 3"),
]


def disturbed(encoder: Any) -> Any:
    """The encoder with low-rank layers that change something: B is not 0."""
    torch.manual_seed(1)
    adapt(encoder, PLAN)
    with torch.no_grad():
        for _, layer in adapted_layers(encoder):
            layer.lora_B["default"].weight.normal_(0, 0.3)
    return encoder.eval()


@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_our_encoders(family: str, variant: str) -> None:
    """Merged, and factors added to the base: all compute the same; every factor gets a gradient."""
    base = our_encoder(family, **CASES[family].variants.get(variant, {})).eval()
    batch = batch_for(base.config)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    encoder = disturbed(copy.deepcopy(base))
    states = encoder(ids, mask)
    assert not torch.allclose(states, base(ids, mask), atol=1e-3)
    merged = Encoder.from_checkpoint(encoder.config, encoder.to_checkpoint()).eval()
    torch.testing.assert_close(merged(ids, mask)[kept(batch)], states[kept(batch)], rtol=1e-4, atol=1e-5)
    base.add_factors(encoder.factors())
    torch.testing.assert_close(base(ids, mask)[kept(batch)], states[kept(batch)], rtol=1e-4, atol=1e-5)
    states[kept(batch)].pow(2).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (".lora_" in name), name
        assert (parameter.grad is not None and bool(parameter.grad.any())) == parameter.requires_grad, name


@each_type
def test_encoders_of_transformers(name: str, tmp_path: Path) -> None:
    write_their(tmp_path / "base", their_model(name))
    base = open_encoder(tmp_path / "base").eval()
    ids = torch.tensor([[4, 5, 6, 7, 8, 9, 10, 11]])
    before = base(ids).detach()
    encoder = disturbed(copy.deepcopy(base))
    states = encoder(ids)
    assert not torch.allclose(states, before, atol=1e-3)
    encoder.save_pretrained(tmp_path / "merged")
    merged = open_encoder(tmp_path / "merged").eval()
    torch.testing.assert_close(merged(ids), states, rtol=1e-4, atol=1e-5)
    base.add_factors(encoder.factors())
    torch.testing.assert_close(base(ids), states, rtol=1e-4, atol=1e-5)
    states.pow(2).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (".lora_" in name), name
        assert (parameter.grad is not None and bool(parameter.grad.any())) == parameter.requires_grad, name


def test_nothing_to_adapt_is_said() -> None:
    with pytest.raises(ValueError, match="the encoder has no linear layers"):
        adapt(our_encoder("bert", num_hidden_layers=0), PLAN)
