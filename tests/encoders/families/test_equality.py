"""The encoders of every family equal transformers', forward and backward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from encoder_cases import CASES, PAD, as_ours, batch_for, each_family, kept, their_class, their_model
from parity import activations, batches, gradient_errors, half_errors, rounding_error, state_error
from transformers.activations import ACT2FN

from pybert_crf.encoders import Encoder
from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.embeddings import sinusoids
from pybert_crf.encoders.families import FAMILIES


def test_every_family_is_tested() -> None:
    """There are cases for every registered family, on which the tests below run."""
    assert CASES.keys() == FAMILIES.keys()


SETTINGS = [
    pytest.param(family, change, id=f"{family}, {name}")
    for family in FAMILIES
    for name, change in {"plain": {}, **CASES[family].variants}.items()
]


@pytest.mark.parametrize(("family", "change"), SETTINGS)
def test_all_hidden_states(family: str, change: dict[str, Any]) -> None:
    """With all inputs, without segments and languages, and without a mask.

    They differ by at most 1e-5, or by thrice the error of transformers in float32, which depends on the
    processor and on torch.
    """
    theirs = their_model(family, **change)
    ours = as_ours(theirs)
    for batch in batches(ours):
        error = state_error(ours, theirs, batch)
        assert error < 1e-5 or error < 3 * rounding_error(theirs, batch)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    """Each activation is the function that transformers calls by its name."""
    x = torch.cat([torch.linspace(-30, 30, 4001), torch.tensor([0.0, -0.0, 1e4, -1e4])])
    torch.testing.assert_close(ACTIVATIONS[name](x), ACT2FN[name](x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["relu2", "quick_gelu"])
@each_family
def test_a_family_reads_its_activation(family: str, name: str) -> None:
    """The activation that the configuration names is the one in the layers, and in the right place."""
    settings = [change for change in activations(family) if {name, f"gated-{name}"} & {*change.values()}]
    for change in settings:
        theirs = their_model(family, **change)
        ours = as_ours(theirs)
        assert state_error(ours, theirs, batch_for(ours.config)) < 1e-5


def test_all_activations_without_weights_are_known() -> None:
    """prelu and xielu have weights, and no checkpoint of these families is known to use them."""
    assert set(ACTIVATIONS) == set(ACT2FN) - {"prelu", "xielu"}


@pytest.mark.parametrize("family", [name for name in FAMILIES if "roberta" in name])
def test_positions_skip_padding(family: str) -> None:
    """The padding's id is not counted anywhere, masked or not; the longest sequence fits."""
    theirs = their_model(family)
    ours = as_ours(theirs)
    input_ids = torch.arange(8, 8 + 2 * ours.config.max_length).view(2, -1) % 61
    input_ids[1, [0, 1, 5, 13]] = PAD
    assert state_error(ours, theirs, {"input_ids": input_ids}) < 1e-5
    assert ours.config.max_length == 29


@pytest.mark.parametrize("dropout", [0.0, 1e-9], ids=["fused attention", "explicit attention of training"])
@each_family
def test_gradients(family: str, dropout: float) -> None:
    """All gradients agree in training mode, with a dropout probability of 0 or one that rounds to 0.

    They differ from those of transformers in float64 by at most 1e-5, or by thrice the greatest error of
    transformers in float32: which of a layer's weights rounding hits most depends on the processor.
    """
    errors = gradient_errors(family, dropout)
    bound = max(1e-5, 3 * max(reference for _, reference in errors.values()))
    assert not {name: own for name, (own, _) in errors.items() if own > bound}


@each_family
def test_every_trained_weight_has_a_gradient(family: str) -> None:
    """All weights except the padding's row and fixed position embeddings."""
    ours = as_ours(their_model(family))
    batch = batch_for(ours.config)
    ours(**batch)[kept(batch)].square().sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in ours.parameters())
    if not (ours.config.embeddings.segments_are_words or ours.config.embeddings.train_padding):
        assert not ours.embeddings.word.weight.grad[PAD].any()


@each_family
def test_half_precision(family: str) -> None:
    """In bfloat16 our error against float32 is at most twice that of transformers."""
    error, bound = half_errors(family)
    assert error <= 2 * bound


def test_sinusoids() -> None:
    """The sinusoidal position embeddings equal transformers' and are not trained."""
    theirs = their_class("xlm")(
        transformers.XLMConfig(emb_dim=33, n_heads=3, n_layers=1, sinusoidal_embeddings=True)
    )
    table = theirs.position_embeddings.weight
    torch.testing.assert_close(sinusoids(512, 33), table, rtol=0, atol=1e-7)
    config = as_ours(their_model("distilbert", sinusoidal_pos_embds=True)).config
    ours = Encoder(config)
    assert torch.equal(ours.embeddings.position.weight, sinusoids(29, 33))
    assert [name for name, p in ours.named_parameters() if not p.requires_grad] == [
        "embeddings.position.weight"
    ]


def test_minilm(minilm_dir: Path) -> None:
    """A pretrained model: all hidden states of a padded batch, and the gradient of its word embeddings."""
    ours = Encoder.from_pretrained(minilm_dir)
    bert_model: Any = transformers.BertModel
    theirs = bert_model.from_pretrained(minilm_dir, add_pooling_layer=False)
    ours.eval()
    theirs.eval()
    generator = torch.Generator().manual_seed(0)
    input_ids = torch.randint(1000, 30000, (3, 37), generator=generator)
    attention_mask = torch.ones(3, 37, dtype=torch.int64)
    attention_mask[0, 30:] = 0
    attention_mask[2, 11:] = 0
    input_ids[attention_mask == 0] = 0
    batch = {"input_ids": input_ids, "attention_mask": attention_mask}
    assert state_error(ours, theirs, batch) < 1e-5

    places = attention_mask.bool()
    ours(**batch)[places].square().sum().backward()
    theirs(**batch).last_hidden_state[places].square().sum().backward()
    mine, reference = ours.embeddings.word.weight.grad, theirs.embeddings.word_embeddings.weight.grad
    assert mine is not None
    torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)
