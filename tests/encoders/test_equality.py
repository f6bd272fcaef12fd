"""Every family's encoder and transformers' compute the same numbers, forwards and backwards."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from encoder_cases import (
    CASES,
    PAD,
    Batch,
    as_ours,
    batch_for,
    each_family,
    kept,
    their_arguments,
    their_class,
    their_model,
)
from transformers.activations import ACT2FN

from pybert_crf.encoders import Encoder
from pybert_crf.encoders.activations import ACTIVATIONS
from pybert_crf.encoders.embeddings import sinusoids
from pybert_crf.encoders.families import FAMILIES, Key
from pybert_crf.encoders.names import export_tensors


def _assert_same_states(ours: Encoder, theirs: Any, batch: Batch) -> None:
    """Every layer's hidden states agree to 1e-5 at the positions that are not padding."""
    with torch.no_grad():
        got = ours.hidden_states(**batch)
        expected = theirs(**their_arguments(batch), output_hidden_states=True).hidden_states
        last = ours(**batch)
    assert len(got) == len(ours.applied_layers) + 1
    if len(got) > 1:  # transformers records none where there is no layer
        assert len(got) == len(expected)
        for mine, reference in zip(got, expected, strict=True):
            torch.testing.assert_close(mine[kept(batch)], reference[kept(batch)], rtol=0, atol=1e-5)
    assert torch.equal(last, got[-1])


def test_every_family_is_tested() -> None:
    """The tests below take their families from the registry, and their settings from the cases."""
    assert CASES.keys() == FAMILIES.keys()


SETTINGS = [
    pytest.param(family, change, id=f"{family}, {name}")
    for family in FAMILIES
    for name, change in {"plain": {}, **CASES[family].variants}.items()
]


@pytest.mark.parametrize(("family", "change"), SETTINGS)
def test_all_hidden_states(family: str, change: dict[str, Any]) -> None:
    theirs = their_model(family, **change)
    ours = as_ours(theirs)
    batch = batch_for(ours.config)
    _assert_same_states(ours, theirs, batch)
    with torch.no_grad():
        last = theirs(**their_arguments(batch)).last_hidden_state
        torch.testing.assert_close(ours(**batch)[kept(batch)], last[kept(batch)], rtol=0, atol=1e-5)


def _activations() -> list[Any]:
    keys = {family: FAMILIES[family].config_keys["activation"] for family in FAMILIES}
    return [
        pytest.param(family, {key: name}, id=f"{family}, {name}")
        for family, key in keys.items()
        if not isinstance(key, Key)
        for name in ACTIVATIONS
    ]


@pytest.mark.parametrize(("family", "change"), _activations())
def test_activations(family: str, change: dict[str, Any]) -> None:
    layers = "num_hidden_layers" if "hidden_size" in CASES[family].settings else "n_layers"
    theirs = their_model(family, **change, **{layers: 2})
    ours = as_ours(theirs)
    _assert_same_states(ours, theirs, batch_for(ours.config))


def test_all_activations_without_weights_are_known() -> None:
    """prelu and xielu have weights of their own, which no checkpoint of these families is known to bring."""
    assert set(ACTIVATIONS) == set(ACT2FN) - {"prelu", "xielu"}


@pytest.mark.parametrize("masked", [True, False])
@each_family
def test_optional_arguments(family: str, masked: bool) -> None:
    """Without segments and languages; without a mask, where (for XLM) nothing must look like padding."""
    theirs = their_model(family)
    ours = as_ours(theirs)
    batch = batch_for(ours.config)
    if masked:
        batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
    else:
        del batch["attention_mask"]
        batch["input_ids"] = torch.where(batch["input_ids"] == PAD, PAD + 1, batch["input_ids"])
    _assert_same_states(ours, theirs, batch)


@pytest.mark.parametrize("family", [name for name in FAMILIES if "roberta" in name])
def test_positions_skip_padding(family: str) -> None:
    """Padding's id is not counted wherever it stands, masked or not; the longest sequence has its place."""
    theirs = their_model(family)
    ours = as_ours(theirs)
    input_ids = torch.arange(8, 8 + 2 * ours.config.max_length).view(2, -1) % 61
    input_ids[1, [0, 1, 5, 13]] = PAD
    _assert_same_states(ours, theirs, {"input_ids": input_ids})
    assert ours.config.max_length == 29


def _gradients(model: Any, arguments: Batch, places: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradient of a random weighting of the last hidden states, by the model's names."""
    out = model(**arguments)
    hidden = (out if isinstance(out, torch.Tensor) else out.last_hidden_state)[places]
    weights = torch.randn(hidden.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (hidden * weights.to(hidden.dtype)).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("dropout", [0.0, 1e-9], ids=["fused attention", "explicit attention of training"])
@each_family
def test_gradients(family: str, dropout: float) -> None:
    """In training mode, where dropout is 0 or so little that it rounds to none, all gradients agree.

    They are within 1e-5 of transformers' in float64, or at most twice as far from it as its own in float32:
    a key's bias has no gradient but by rounding, and only the queries' size says how much of it.
    """
    table = FAMILIES[family]
    settings = {table.their_key(name): dropout for name in ("hidden_dropout", "attention_dropout")}
    theirs = their_model(family, **settings).train()
    ours = as_ours(theirs).train()
    batch = batch_for(ours.config)
    # The table of names carries gradients to their names as it carries weights.
    got = export_tensors(table, _gradients(ours, batch, kept(batch)))
    single = _gradients(theirs, their_arguments(batch), kept(batch))
    exact = _gradients(copy.deepcopy(theirs).double(), their_arguments(batch), kept(batch))
    assert got.keys() == single.keys() == exact.keys()
    for name, expected in exact.items():
        scale = max(1.0, float(expected.abs().max()))
        error, bound = (float((part[name] - expected).abs().max()) / scale for part in (got, single))
        assert error <= max(1e-5, 2 * bound), name
    assert all(p.grad is not None for p in ours.parameters())
    if not ours.config.segments_are_words:
        assert not ours.embeddings.word.weight.grad[PAD].any()  # the pad row gets none


@each_family
def test_half_precision(family: str) -> None:
    """In bfloat16 we are at most twice as far from float32 as transformers is."""
    theirs = their_model(family)
    ours = as_ours(theirs)
    batch = batch_for(ours.config)
    places = kept(batch)
    with torch.no_grad():
        exact = theirs(**their_arguments(batch)).last_hidden_state[places]
        half = theirs.bfloat16()(**their_arguments(batch)).last_hidden_state[places]
        own = ours.bfloat16()(**batch)[places]
    assert own.dtype == torch.bfloat16
    error, bound = ((x.float() - exact).square().mean().sqrt() for x in (own, half))
    assert error <= 2 * bound


def test_sinusoids() -> None:
    """The table of sines and cosines is transformers', and is not trained."""
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
    """A real pretrained model: all states of a padded batch, and the gradient of its word embeddings."""
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
    _assert_same_states(ours, theirs, batch)

    places = attention_mask.bool()
    ours(**batch)[places].square().sum().backward()
    theirs(**batch).last_hidden_state[places].square().sum().backward()
    mine, reference = ours.embeddings.word.weight.grad, theirs.embeddings.word_embeddings.weight.grad
    assert mine is not None
    torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)
