"""A saved tagger in transformers: its encoder and linear layer compute there what they compute here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_cases import VOCAB, each_family, our_encoder, transformers

from pybert_crf.model import BertCRF
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.units import split_units

LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
OTHERS = {
    "gpt2": "attends both ways here",
    "modernbert": "has a dense layer and a norm before the linear one",
}


def opened(directory: Path) -> tuple[Any, dict[str, Any]]:
    auto = transformers.AutoModelForTokenClassification
    model, told = auto.from_pretrained(directory, output_loading_info=True)
    return model.eval(), told


@each_family
def test_emissions_are_those_of_a_token_classifier(family: str, tmp_path: Path) -> None:
    ours = BertCRF(our_encoder(family), LABELS, "BIO").eval()
    ours.save_pretrained(tmp_path)
    theirs, told = opened(tmp_path)
    assert [theirs.config.id2label[number] for number in range(5)] == LABELS
    assert {key.partition(".")[0] for key in told["unexpected_keys"]} == {"crf"}
    missing = [key for key in told["missing_keys"] if "pooler" not in key]  # which no token classifier uses
    ids = torch.randint(8, VOCAB, (2, 9), generator=torch.Generator().manual_seed(3))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.inference_mode():
        same = torch.allclose(theirs(**batch).logits, ours.linear(ours.encoder(**batch)), rtol=0, atol=1e-5)
    if family in OTHERS:
        assert not same, f"docs/coming-from/transformers.md says that {family} {OTHERS[family]}"
    else:
        assert same
        assert not missing


@pytest.mark.parametrize(
    ("unit", "text"), [("char", "林小雨在青河市工作。"), ("word", "Li Si works in Shanghai")]
)
def test_a_pipeline_of_transformers_reads_a_tagger(unit: str, text: str, tmp_path: Path) -> None:
    """With its tokenizer and labels; it takes the best tag of each piece by itself, as there is no CRF."""
    tokenizer = UnitTokenizer.build([text.split() if unit == "word" else list(text)], unit, min_count=1)
    torch.manual_seed(5)
    model = BertCRF(our_encoder("bert", vocab_size=tokenizer.vocab_size), LABELS, "BIO")
    torch.nn.init.normal_(model.linear.weight)
    model.linear.bias.data[0] = -5.0  # so that there are entities
    tagger = Tagger(model, tokenizer, unit)
    tagger.save_pretrained(tmp_path)
    with torch.inference_mode():
        emissions = tagger._emissions([tagger.example(text, split_units(text, unit))])[0][0]
    found = transformers.pipeline("token-classification", str(tmp_path))(text)
    best = [LABELS[number] for number in emissions.argmax(1).tolist()]
    places = split_units(text, unit)
    expected = [(a, b, tag) for (a, b), tag in zip(places, best, strict=True) if tag != "O"]
    assert len(expected) > 1
    assert [(each["start"], each["end"], each["entity"]) for each in found] == expected
