"""BERT's checkpoints: ours open in transformers, theirs in ours, and what does not fit is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from pybert_crf.encoders import CheckpointError, ConfigError, Encoder, EncoderConfig, read_tensors
from pybert_crf.encoders.families import FAMILIES

Batch = dict[str, torch.Tensor]
MakeBert = Callable[..., Any]


def _assert_same(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert got.keys() == expected.keys()
    for name, tensor in got.items():
        assert tensor.dtype == expected[name].dtype, name
        assert torch.equal(tensor, expected[name]), name


def test_ours_opens_in_transformers(batch: Batch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = Encoder(EncoderConfig(61, 33, 2, 3, 47, 29, 5, "relu", norm_eps=1e-3, pad_id=7)).eval()
    directory = tmp_path / "new" / "model"
    ours.save_pretrained(directory)
    bert_model: Any = transformers.BertModel
    theirs, report = bert_model.from_pretrained(directory, add_pooling_layer=False, output_loading_info=True)
    assert not any(report.values()), report
    assert isinstance(transformers.AutoConfig.from_pretrained(directory), transformers.BertConfig)
    kept = batch["attention_mask"].bool()
    with torch.no_grad():
        expected = theirs.eval()(**batch).last_hidden_state
        torch.testing.assert_close(ours(**batch)[kept], expected[kept], rtol=0, atol=1e-5)


def test_theirs_to_ours_to_theirs(their_bert: MakeBert, tmp_path: Path) -> None:
    """Bit for bit, name for name; and the configuration says the same."""
    theirs = their_bert(hidden_act="silu", layer_norm_eps=1e-7, hidden_dropout_prob=0.25)
    theirs.save_pretrained(tmp_path / "theirs")
    Encoder.from_pretrained(tmp_path / "theirs").save_pretrained(tmp_path / "ours")
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    _assert_same(second, first)
    before = transformers.BertConfig.from_pretrained(tmp_path / "theirs").to_dict()
    after = transformers.BertConfig.from_pretrained(tmp_path / "ours").to_dict()
    for key in FAMILIES["bert"].config_keys.values():
        assert after[key] == before[key], key


def test_ours_to_ours(tmp_path: Path) -> None:
    ours = Encoder.from_size("tiny", vocab_size=67, pad_id=None)
    ours.save_pretrained(tmp_path)
    again = Encoder.from_pretrained(str(tmp_path))
    assert again.config == ours.config
    _assert_same(dict(again.state_dict()), dict(ours.state_dict()))
    assert all(parameter.requires_grad and not parameter.is_meta for parameter in again.parameters())


def test_checkpoint_is_a_copy() -> None:
    """Training on changes neither what was exported, nor what was imported from."""
    ours = Encoder.from_size("tiny", vocab_size=67)
    exported = ours.to_checkpoint("bert.")
    assert all(name.startswith("bert.") for name in exported)
    again = Encoder.from_checkpoint(ours.config, exported)
    kept = {name: tensor.clone() for name, tensor in exported.items()}
    with torch.no_grad():
        for parameter in [*ours.parameters(), *again.parameters()]:
            parameter.add_(1.0)
    _assert_same(exported, kept)


HEADS = [
    "BertModel",
    "BertForTokenClassification",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForNextSentencePrediction",
]


@pytest.mark.parametrize("pickled", [False, True], ids=["safetensors", "bin"])
@pytest.mark.parametrize("model_class", HEADS)
def test_heads_are_ignored(
    model_class: str, pickled: bool, their_bert: MakeBert, batch: Batch, tmp_path: Path
) -> None:
    """Prefixed names, heads, tied weights (the masked-word decoder is the embedding): in both formats."""
    theirs = their_bert(model_class)
    theirs.config.save_pretrained(tmp_path)
    if pickled:
        torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    else:
        theirs.save_pretrained(tmp_path)
    ours = Encoder.from_pretrained(tmp_path).eval()
    kept = batch["attention_mask"].bool()
    with torch.no_grad():
        body: Any = getattr(theirs, "bert", theirs)
        expected = body(**batch).last_hidden_state
        torch.testing.assert_close(ours(**batch)[kept], expected[kept], rtol=0, atol=1e-5)


def test_shards_of_transformers(their_bert: MakeBert, tmp_path: Path) -> None:
    theirs = their_bert("BertForMaskedLM")
    theirs.save_pretrained(tmp_path, max_shard_size="10KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    ours = Encoder.from_pretrained(tmp_path)
    state = theirs.state_dict()
    for name, tensor in ours.to_checkpoint("bert.").items():
        assert torch.equal(tensor, state[name]), name


def test_old_spelling(their_bert: MakeBert, tmp_path: Path) -> None:
    """gamma and beta for the norms, and a saved table of positions."""
    theirs = their_bert()
    state = {f"bert.{name}": tensor for name, tensor in theirs.state_dict().items()}
    old = {}
    for name, tensor in state.items():
        former = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        old[former.replace("LayerNorm.bias", "LayerNorm.beta")] = tensor
    assert len(old.keys() - state.keys()) == 2 * (1 + 2 * 3)
    old["bert.embeddings.position_ids"] = torch.arange(29)[None]
    old["cls.predictions.transform.LayerNorm.gamma"] = torch.zeros(33)
    theirs.config.save_pretrained(tmp_path)
    torch.save(old, tmp_path / "pytorch_model.bin")
    _assert_same(Encoder.from_pretrained(tmp_path).to_checkpoint("bert."), state)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_float32_by_default(stored: torch.dtype, their_bert: MakeBert, tmp_path: Path) -> None:
    theirs = their_bert()
    theirs.to(stored)
    theirs.save_pretrained(tmp_path)
    ours = Encoder.from_pretrained(tmp_path)
    assert {parameter.dtype for parameter in ours.parameters()} == {torch.float32}
    word = theirs.embeddings.word_embeddings.weight
    assert torch.equal(ours.embeddings.word.weight, word.float())
    kept = Encoder.from_pretrained(tmp_path, dtype=stored)
    assert {parameter.dtype for parameter in kept.parameters()} == {stored}


def test_every_offending_tensor_is_named(their_bert: MakeBert, tmp_path: Path) -> None:
    theirs = their_bert()
    state = dict(theirs.state_dict())
    del state["encoder.layer.1.attention.self.key.bias"], state["embeddings.LayerNorm.weight"]
    state["encoder.layer.3.output.dense.bias"] = torch.zeros(33)  # of a fourth layer
    state["embeddings.extra"] = torch.zeros(1)
    state["encoder.layer.0.attention.self.query.weight"] = torch.zeros(33, 32)
    state["encoder.layer.2.output.dense.weight"] = torch.zeros(33, 47, dtype=torch.int8)
    theirs.config.save_pretrained(tmp_path)
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError) as caught:
        Encoder.from_pretrained(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: the tensors do not fit this bert encoder; "
        "missing: embeddings.LayerNorm.weight, encoder.layer.1.attention.self.key.bias; "
        "unexpected: embeddings.extra, encoder.layer.3.output.dense.bias; "
        "wrong: encoder.layer.0.attention.self.query.weight is (33, 32), not (33, 33), "
        "encoder.layer.2.output.dense.weight is of torch.int8, not floating"
    )


def test_the_same_tensor_twice(their_bert: MakeBert) -> None:
    ours = Encoder.from_size("tiny", vocab_size=67)
    both = ours.to_checkpoint() | ours.to_checkpoint("bert.")
    with pytest.raises(CheckpointError, match="is there twice, under two spellings"):
        Encoder.from_checkpoint(ours.config, both)


def test_another_model_is_refused_by_its_directory(tmp_path: Path) -> None:
    Encoder.from_size("tiny", vocab_size=67).save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"model_type": "gpt2"}))
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}: unknown model_type 'gpt2'")):
        Encoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_the_table_is_invertible(family: Any) -> None:
    """Every parameter has names of its own in a checkpoint, every field a key of its own."""
    keys = [family.their_key(name) for name in family.config_keys]
    assert len(set(keys)) == len(keys)
    assert set(family.config_keys) | {"model_type"} <= set(EncoderConfig.__dataclass_fields__)


def test_minilm_round_trip(minilm_dir: Path, tmp_path: Path) -> None:
    ours = Encoder.from_pretrained(minilm_dir)
    ours.save_pretrained(tmp_path)
    original = read_tensors(minilm_dir)
    heads = {name for name in original if name.startswith("pooler.") or name.endswith("position_ids")}
    _assert_same(read_tensors(tmp_path), {name: original[name] for name in original.keys() - heads})
