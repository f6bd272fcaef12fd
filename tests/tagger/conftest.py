"""Small taggers with random weights, for tests of offsets, order, probabilities and files."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.model import BertCRF
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tokenizer import UnitTokenizer

LABELS = ["O", "B-LOC", "B-PER", "I-LOC", "I-PER"]


@pytest.fixture(scope="session")
def make_tagger() -> Callable[..., Tagger]:
    """A function that builds a tagger with random weights for a unit, and a number of positions."""

    def make(
        unit: str = "char", max_positions: int = 64, labels: list[str] = LABELS, scheme: str | None = "BIO"
    ) -> Tagger:
        texts = ["张三在北京工作7.7年。" * 3, "李四 works in Shanghai" * 3]
        sequences = [text.split() if unit == "word" else list(text) for text in texts]
        tokenizer = UnitTokenizer.build(sequences, unit, size=300, min_count=1)
        torch.manual_seed(11)
        encoder = Encoder(EncoderConfig(tokenizer.vocab_size, 12, 2, 3, 20, max_positions=max_positions))
        model = BertCRF(encoder, labels, scheme)
        torch.nn.init.normal_(model.linear.weight, std=2.0)  # so that all kinds of entities appear
        return Tagger(model, tokenizer, unit)

    return make
