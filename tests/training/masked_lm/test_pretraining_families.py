"""Every family with a head for masked pieces is pretrained on from a checkpoint: loss falls, weights move."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from encoder_cases import their_config

from pybert_crf import Encoder, MaskedLM, PretrainOptions, pretrain
from pybert_crf.encoders import config_from_json
from pybert_crf.encoders.families import FAMILIES
from pybert_crf.text.tokenizer import UnitTokenizer


@pytest.mark.parametrize("family", [name for name, table in FAMILIES.items() if table.mlm_head is not None])
def test_pretraining(
    family: str, options: Callable[..., PretrainOptions], text: Path, tmp_path: Path
) -> None:
    units = list(text.read_text(encoding="utf-8").replace("\n", ""))
    tokenizer = UnitTokenizer.build([units], "char", min_count=1)
    theirs = their_config(family, vocab_size=tokenizer.vocab_size, pad_token_id=tokenizer.pad_id)
    torch.manual_seed(0)
    start = MaskedLM(Encoder(config_from_json(theirs.to_dict())))
    start.save_pretrained(tmp_path / "start")
    tokenizer.save(tmp_path / "start")

    # Without biases in the layers, only that of the head learns the frequencies of pieces, which is slow.
    rate = 3e-2 if family == "modernbert" else 3e-3
    chosen = {"model": str(tmp_path / "start"), "epochs": 4, "learning_rate": rate, "weight_decay": 0.0}
    result = pretrain(options(**chosen, keep="last"))
    assert result.dev.loss < 0.97 * result.history[0]["loss"]
    trained = MaskedLM.from_pretrained(result.out)
    trained_weights = dict(trained.named_parameters())
    still = [
        name
        for name, weight in start.named_parameters()
        if weight.requires_grad and weight.equal(trained_weights[name])
    ]
    assert still == []
