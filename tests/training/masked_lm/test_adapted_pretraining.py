"""Encoders of transformers are pretrained on: loss falls, weights move, and transformers opens the result."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from adapter_cases import ENCODERS, their_masked_lm, their_model, write_their, write_tokenizer
from safetensors.torch import load_file, save_file

from pybert_crf import PretrainOptions, pretrain
from pybert_crf.encoders import AdaptedMaskedLM, CheckpointError, open_encoder, open_masked_lm
from pybert_crf.text.tokenizer import UnitTokenizer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # raised by this import
    import transformers

Make = Callable[..., PretrainOptions]
PIECES = torch.randint(5, 100, (2, 12), generator=torch.Generator().manual_seed(1))
MASK = torch.arange(12) < torch.tensor([[12], [7]])
PLACES = torch.tensor([0, 3, 13])


def their_scores(model: Any) -> torch.Tensor:
    with torch.no_grad():
        scores = model(input_ids=PIECES, attention_mask=MASK.long()).logits
    return scores.flatten(0, 1)[PLACES]


@pytest.mark.parametrize("name", ENCODERS)
def test_scores_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    theirs = their_masked_lm(name)
    write_their(tmp_path, theirs)
    model = open_masked_lm(tmp_path).eval()
    assert isinstance(model, AdaptedMaskedLM)
    assert (model.head_is_new, model.left_out) == (False, ())
    with torch.no_grad():
        scores = model(PIECES, MASK, PLACES)
        loss = model(PIECES, MASK, PLACES, torch.tensor([7, 8, 9]))
    assert (scores - their_scores(theirs)).abs().max() < 1e-6
    assert loss == torch.nn.functional.cross_entropy(scores, torch.tensor([7, 8, 9]))
    assert len(list(model.parameters())) == len(list(theirs.parameters()))


@pytest.mark.parametrize("name", ENCODERS)
def test_pretraining(name: str, options: Make, text: Path, tmp_path: Path) -> None:
    write_their(tmp_path / "start", their_masked_lm(name))
    write_tokenizer(tmp_path / "start", "both", text.read_text("utf-8").split())
    chosen = {"model": str(tmp_path / "start"), "epochs": 3, "learning_rate": 3e-3, "weight_decay": 0.0}
    result = pretrain(options(**chosen, keep="last"))
    assert result.dev.loss < 0.97 * result.history[0]["loss"]

    start = dict(open_masked_lm(tmp_path / "start").named_parameters())
    trained = open_masked_lm(result.out).eval()
    still = [key for key, each in trained.named_parameters() if each.requires_grad and each.equal(start[key])]
    assert still == []

    theirs, told = transformers.AutoModelForMaskedLM.from_pretrained(result.out, output_loading_info=True)
    assert not any(told.values()), told
    with torch.no_grad():
        scores = trained(PIECES, MASK, PLACES)
    assert (scores - their_scores(theirs.eval())).abs().max() < 1e-6
    encoder = open_encoder(result.out).eval()  # a head beside it is ignored
    with torch.no_grad():
        assert torch.equal(encoder(PIECES, MASK), trained.encoder(PIECES, MASK))
    assert UnitTokenizer.from_directory(result.out, "char").mask_id == 4


def test_a_head_that_is_missing(tmp_path: Path) -> None:
    write_their(tmp_path, their_masked_lm("camembert"))
    whole = load_file(tmp_path / "model.safetensors")
    body = {name: each for name, each in whole.items() if not name.startswith("lm_head.")}
    save_file(body | {"cls.surplus": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}: .*camembert MLM head; missing: lm_head\."):
        open_masked_lm(tmp_path)
    model = open_masked_lm(tmp_path, new_head=True)
    assert model.head_is_new
    assert model.left_out == ("cls.surplus",)
    dense = "lm_head.dense.weight"
    save_file(body | {dense: whole[dense]}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: lm_head\.bias, lm_head\.decoder\.bias, lm_head"):
        open_masked_lm(tmp_path, new_head=True)
    save_file(whole | {dense: torch.full_like(whole[dense], torch.nan)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"not finite: lm_head\.dense\.weight"):
        open_masked_lm(tmp_path)
    save_file(whole | {dense: torch.zeros(3, 5)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lm_head\.dense\.weight is \(3, 5\), not \(32, 32\)"):
        open_masked_lm(tmp_path)
    missing = next(name for name in body if name.endswith("query.weight"))
    save_file({name: each for name, each in whole.items() if name != missing}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="camembert encoder; missing: "):
        open_masked_lm(tmp_path, new_head=True)


@pytest.mark.parametrize(("name", "kind"), [("qwen3", "none"), ("m2m_100", "an encoder-decoder")])
def test_types_without_a_head(name: str, kind: str, options: Make, tmp_path: Path) -> None:
    write_their(tmp_path / "start", their_model(name))
    write_tokenizer(tmp_path / "start", "both", ["甲乙丙丁"] * 9)
    told = f"a head for masked pieces; {name} of transformers is {kind}"
    with pytest.raises(ValueError, match=told) as caught:
        pretrain(options(model=str(tmp_path / "start")))
    assert "\n" not in str(caught.value)


def test_a_head_that_needs_more_than_a_state_is_refused(tmp_path: Path) -> None:
    """Perceiver's scores come from its decoder, which attends to all states."""
    values = {"model_type": "perceiver", "d_latents": 32, "d_model": 32, "num_latents": 8, "vocab_size": 50}
    config = transformers.AutoConfig.for_model(**values, num_self_attends_per_block=1, qk_channels=32)
    write_their(tmp_path, transformers.AutoModelForMaskedLM.from_config(config))
    with pytest.raises((ValueError, CheckpointError), match=r"perceiver|Perceiver"):
        open_masked_lm(tmp_path)
