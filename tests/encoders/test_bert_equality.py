"""Our BERT and transformers' compute the same numbers, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from pybert_crf.encoders import Encoder
from pybert_crf.encoders.families import family_of
from pybert_crf.encoders.names import export_tensors

Batch = dict[str, torch.Tensor]


def _ours(theirs: Any, directory: Path) -> Encoder:
    theirs.save_pretrained(directory)
    return Encoder.from_pretrained(directory).eval()


def _assert_same_states(ours: Encoder, theirs: Any, batch: Batch) -> None:
    """Every layer's hidden states agree to 1e-5 at the positions that are not padding."""
    with torch.no_grad():
        got = ours.hidden_states(**batch)
        expected = theirs(**batch, output_hidden_states=True).hidden_states
        last = ours(**batch)
    assert len(got) == len(expected) == ours.config.num_layers + 1
    kept = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool()
    for mine, reference in zip(got, expected, strict=True):
        torch.testing.assert_close(mine[kept], reference[kept], rtol=0, atol=1e-5)
    assert torch.equal(last, got[-1])


SETTINGS = {
    "plain": {},
    "one_head": {"num_attention_heads": 1},
    "as_many_heads_as_units": {"num_attention_heads": 33},
    "large_eps": {"layer_norm_eps": 0.1},
    "no_pad": {"pad_token_id": None},
    **{name: {"hidden_act": name} for name in ("relu", "gelu_new", "silu", "swish", "tanh", "mish")},
    **{name: {"hidden_act": name} for name in ("gelu_python", "gelu_fast", "gelu_pytorch_tanh")},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_all_hidden_states(
    settings: dict[str, Any], their_bert: Callable[..., Any], batch: Batch, tmp_path: Path
) -> None:
    theirs = their_bert(**settings)
    _assert_same_states(_ours(theirs, tmp_path), theirs, batch)


OPTIONAL = [("attention_mask",), ("token_type_ids",), ("attention_mask", "token_type_ids")]


@pytest.mark.parametrize("left_out", OPTIONAL)
def test_optional_arguments(
    left_out: tuple[str, ...], their_bert: Callable[..., Any], batch: Batch, tmp_path: Path
) -> None:
    theirs = their_bert()
    for name in left_out:
        del batch[name]
    _assert_same_states(_ours(theirs, tmp_path), theirs, batch)


@pytest.mark.parametrize("dropout", [0.0, 1e-9], ids=["fused attention", "explicit attention of training"])
def test_gradients(dropout: float, their_bert: Callable[..., Any], batch: Batch, tmp_path: Path) -> None:
    """All gradients agree in training mode, where dropout is 0, or so little that it rounds to none."""
    theirs = their_bert(hidden_dropout_prob=dropout, attention_probs_dropout_prob=0.0)
    theirs.config.attention_probs_dropout_prob = dropout
    ours = _ours(theirs, tmp_path).train()
    kept = batch["attention_mask"].bool()
    weights = torch.randn(4, 23, 33, dtype=torch.float64)[kept].float()
    (ours(**batch)[kept] * weights).sum().backward()
    (theirs(**batch).last_hidden_state[kept] * weights).sum().backward()
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    # The table of names carries gradients to their names as it carries weights.
    own = {name: parameter.grad for name, parameter in ours.named_parameters()}
    assert all(gradient is not None for gradient in own.values())
    got = export_tensors(family_of("bert"), {name: g for name, g in own.items() if g is not None})
    assert got.keys() == expected.keys()
    for name, gradient in got.items():
        scale = max(1.0, float(expected[name].abs().max()))
        torch.testing.assert_close(gradient / scale, expected[name] / scale, rtol=0, atol=1e-5, msg=name)
    assert not got["embeddings.word_embeddings.weight"][7].any()  # the pad row gets none


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

    kept = attention_mask.bool()
    ours(**batch)[kept].square().sum().backward()
    theirs(**batch).last_hidden_state[kept].square().sum().backward()
    mine, reference = ours.embeddings.word.weight.grad, theirs.embeddings.word_embeddings.weight.grad
    assert mine is not None
    torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)
