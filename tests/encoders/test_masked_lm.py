"""Masked-language-model heads of every family: scores, loss and gradients of transformers; checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from encoder_cases import Batch, batch_for, our_encoder, their_config
from safetensors.torch import load_file, save_file

from pybert_crf.encoders import CheckpointError, Encoder, MaskedLM
from pybert_crf.encoders.families import FAMILIES, MlmHead

HEADS: dict[str, MlmHead] = {name: f.mlm_head for name, f in FAMILIES.items() if f.mlm_head is not None}
each_head = pytest.mark.parametrize("family", HEADS)
each_tie = pytest.mark.parametrize("tied", [True, False])


def their_masked_lm(family: str, name: str = "", **settings: Any) -> Any:
    """A random tiny model of transformers, with a head for masked pieces."""
    torch.manual_seed(11)
    kind = getattr(transformers, name or HEADS[family].architecture)
    model = kind(their_config(family, **settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def _masked(batch: Batch) -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """A batch without segments and languages, some of its unpadded positions, and pieces to predict there."""
    places = batch["attention_mask"].flatten().nonzero()[::3, 0]
    targets = torch.randint(0, 61, places.shape, generator=torch.Generator().manual_seed(2))
    return {name: batch[name] for name in ("input_ids", "attention_mask")}, places, targets


@each_head
@each_tie
def test_scores_loss_and_gradients_are_those_of_transformers(family: str, tied: bool, tmp_path: Path) -> None:
    theirs = their_masked_lm(family, tie_word_embeddings=tied)
    theirs.save_pretrained(tmp_path)
    ours = MaskedLM.from_pretrained(tmp_path).eval()
    assert not ours.head_is_new
    assert all(name.startswith("pooler.") for name in ours.left_out)  # BigBird's, which is not used
    assert ours.tied is tied

    batch, places, targets = _masked(batch_for(ours.encoder.config))
    labels = torch.full_like(batch["input_ids"], -100).flatten().index_copy(0, places, targets)
    expected = theirs(**batch, labels=labels.view_as(batch["input_ids"]))
    scores = ours(**batch, places=places)
    their_scores = expected.logits.detach().flatten(0, 1)[places]
    scale = max(1.0, float(their_scores.abs().max()))
    assert float((scores.detach() - their_scores).abs().max()) < 1e-5 * scale
    loss = ours(**batch, places=places, targets=targets)
    torch.testing.assert_close(loss, expected.loss, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(loss, F.cross_entropy(scores, targets))

    loss.backward()
    expected.loss.backward()
    table = HEADS[family]
    their_gradients = {name: p.grad for name, p in theirs.named_parameters()}
    pairs = [(ours.encoder.embeddings.word.weight.grad, theirs.get_input_embeddings().weight.grad)]
    for name, parameter in ours.head.named_parameters():
        spellings = [n for n in table.their_names(name) if their_gradients.get(n) is not None]
        pairs.append((parameter.grad, their_gradients[spellings[0]]))
    for own, their in pairs:
        assert own is not None
        scale = max(1.0, float(their.abs().max()))
        assert float((own - their).abs().max()) < 1e-5 * scale


@each_head
@each_tie
def test_ours_opens_in_transformers(family: str, tied: bool, tmp_path: Path) -> None:
    ours = MaskedLM(our_encoder(family), tied).eval()
    ours.head.bias.data.normal_()
    ours.save_pretrained(tmp_path / "new" / "model")
    their_class = getattr(transformers, HEADS[family].architecture)
    theirs, report = their_class.from_pretrained(tmp_path / "new" / "model", output_loading_info=True)
    idle = {name for name in report["missing_keys"] if ".pooler." in name}  # BigBird's
    assert not any(set(names) - idle for names in report.values()), report
    batch, places, _ = _masked(batch_for(ours.encoder.config))
    with torch.no_grad():
        expected = theirs.eval()(**batch).logits.flatten(0, 1)[places]
        torch.testing.assert_close(ours(**batch, places=places), expected, rtol=1e-5, atol=1e-5)


@each_head
@each_tie
def test_weights_survive_saving_bit_for_bit(family: str, tied: bool, tmp_path: Path) -> None:
    first = MaskedLM(our_encoder(family), tied)
    first.save_pretrained(tmp_path)
    second = MaskedLM.from_pretrained(tmp_path)
    assert first.state_dict().keys() == second.state_dict().keys()
    assert all(first.state_dict()[name].equal(tensor) for name, tensor in second.state_dict().items())
    assert (HEADS[family].decoder in load_file(tmp_path / "model.safetensors")) is not tied
    alone = Encoder.from_pretrained(tmp_path)
    assert all(first.encoder.state_dict()[n].equal(tensor) for n, tensor in alone.state_dict().items())
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == [HEADS[family].architecture]
    assert config["tie_word_embeddings"] is tied


def test_a_family_without_a_head_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setitem(FAMILIES, "bert", replace(FAMILIES["bert"], mlm_head=None))
    with pytest.raises(ValueError, match="family 'bert' have no head for masked pieces"):
        MaskedLM(our_encoder("bert"))


def test_early_spellings_are_read(tmp_path: Path) -> None:
    theirs = their_masked_lm("bert")
    theirs.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    for new, old in (
        ("transform.LayerNorm.weight", "transform.LayerNorm.gamma"),
        ("transform.LayerNorm.bias", "transform.LayerNorm.beta"),
        ("bias", "decoder.bias"),
    ):
        tensors[f"cls.predictions.{old}"] = tensors.pop(f"cls.predictions.{new}")
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    head = MaskedLM.from_pretrained(tmp_path).head
    assert head.norm.weight.equal(theirs.cls.predictions.transform.LayerNorm.weight)
    assert head.norm.bias.equal(theirs.cls.predictions.transform.LayerNorm.bias)
    assert head.bias.equal(theirs.cls.predictions.bias)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    their_masked_lm("bert", "BertForPreTraining").save_pretrained(tmp_path)
    model = MaskedLM.from_pretrained(tmp_path)
    assert not model.head_is_new
    assert model.left_out == (
        "cls.seq_relationship.bias",
        "cls.seq_relationship.weight",
        "pooler.dense.bias",
        "pooler.dense.weight",
    )


@each_head
def test_an_encoder_alone_gets_a_new_head_only_if_asked(family: str, tmp_path: Path) -> None:
    our_encoder(family).save_pretrained(tmp_path / "bare")
    with pytest.raises(CheckpointError, match=r"bare: .*MLM head; missing: .*bias"):
        MaskedLM.from_pretrained(tmp_path / "bare")
    model = MaskedLM.from_pretrained(tmp_path / "bare", new_head=True)
    assert model.head_is_new
    assert model.left_out == ()
    assert model.head.bias.count_nonzero() == 0


def test_a_broken_head_is_named(tmp_path: Path) -> None:
    our_encoder("bert").save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["cls.predictions.bias"] = torch.zeros(60)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError) as caught:
        MaskedLM.from_pretrained(tmp_path, new_head=True)
    assert "cls.predictions.transform.dense.weight" in str(caught.value)
    assert "cls.predictions.bias is (60,), not (61,)" in str(caught.value)
