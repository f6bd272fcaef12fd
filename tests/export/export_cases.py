"""Small taggers with random weights to export, texts of all lengths for them, and what is equal."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
import torch

from pybert_crf.annotation.annotator import Annotator
from pybert_crf.annotation.entities import Entity
from pybert_crf.encoders import AnyEncoder, Encoder, EncoderConfig
from pybert_crf.model import BertCRF
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tokenizer import UnitTokenizer

BIO = ["O", "B-LOC", "B-PER", "I-LOC", "I-PER"]
BMES = ["B", "M", "E", "S"]


def tagger_of(unit: str, labels: list[str], scheme: str, encoder: AnyEncoder | None = None) -> Tagger:
    """A tagger with random weights that finds entities of all kinds."""
    texts = ["张三在北京工作7.7年。" * 3, "李四 works in Shanghai" * 3]
    sequences = [text.split() if unit == "word" else list(text) for text in texts]
    tokenizer = UnitTokenizer.build(sequences, unit, size=300, min_count=1)
    torch.manual_seed(11)
    if encoder is None:
        encoder = Encoder(EncoderConfig(tokenizer.vocab_size, 12, 2, 3, 20, max_positions=40))
    model = BertCRF(encoder, labels, scheme)
    torch.nn.init.normal_(model.linear.weight, std=2.0)
    torch.nn.init.normal_(model.crf.transitions, std=0.5)
    return Tagger(model, tokenizer, unit)


KINDS: dict[str, tuple[str, list[str], str]] = {
    "characters": ("char", BIO, "BIO"),
    "words": ("word", BIO, "BIO"),
    "segmentation": ("char", BMES, "BMES"),
    "plain tags": ("word", ["DET", "NOUN", "VERB"], "none"),
}

TEMPERATURES = {"words": 2.5, "segmentation": 0.5}
"""Of the kinds whose scores are not taken as they are."""


def texts_of(unit: str) -> list[str]:
    """Texts of no unit to many windows, some of unknown characters."""
    draw = random.Random(5)
    alphabet = (
        ["李四", "works", "in", "Shanghai", "北京", "7.7"]
        if unit == "word"
        else list("张三李四在北京工作 .7X")
    )
    glue = " " if unit == "word" else ""
    sizes = [0, 1, 2, 3, 37, 38, 39, 40, 90, 400, *(draw.randint(1, 60) for _ in range(20))]
    return [glue.join(draw.choices(alphabet, k=size)) for size in sizes]


def places(entities: Iterable[Entity]) -> list[tuple[Any, ...]]:
    """All of the entities but their scores."""
    return [(each.start, each.end, each.label, each.text) for each in entities]


def check_equal(tagger: Tagger, reader: Annotator, texts: list[str]) -> int:
    """Both find the same entities, with scores within 1e-5, in readings equally probable; how many."""
    found = 0
    answers = (each.annotate(texts, probability=True) for each in (tagger, reader))
    for expected, got in zip(*answers, strict=True):
        assert places(got.entities) == places(expected.entities)
        scores = [[each.score for each in answer.entities] for answer in (got, expected)]
        assert scores[0] == pytest.approx(scores[1], rel=0, abs=1e-5)
        assert got.log_probability == pytest.approx(expected.log_probability, rel=1e-4, abs=2e-3)
        found += len(expected.entities)
    return found
