"""A tagger and texts, and comparing the answers of a run with those of one process."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from pybert_crf import Tagger
from pybert_crf.cluster.manifest import NAME
from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.model import BertCRF
from pybert_crf.text.tokenizer import UnitTokenizer

CHARACTERS = "张三李四王五在北京上海工作，他是医生。"


def save_tagger(directory: Path, width: int = 64) -> None:
    """Write a tagger with random weights, of two layers."""
    tokenizer = UnitTokenizer.build([list(CHARACTERS)], "char", min_count=1)
    torch.manual_seed(3)
    encoder = Encoder(EncoderConfig(tokenizer.vocab_size, width, 2, 2, 2 * width, max_positions=128))
    built = BertCRF(encoder, ["O", "B-PER", "I-PER", "B-LOC"], "BIO")
    torch.nn.init.normal_(built.linear.weight, std=1.0)
    Tagger(built, tokenizer, "char").save_pretrained(directory)


def write_texts(path: Path, number: int, longest: int) -> None:
    """Write lines no two of which are alike: what is lost or twice shows."""
    chance = random.Random(5)
    with path.open("w", encoding="utf-8") as file:
        for line in range(number):
            file.write(f"{line}{''.join(chance.choices(CHARACTERS, k=chance.randrange(longest)))}\n")


def lines_of(path: Path) -> list[Any]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def assert_same(answers: list[Any], expected: list[Any]) -> None:
    """Check that answers are the same, but for the rounding of scores, which depends on the batches."""
    scores = [[e.pop("score") for e in each["entities"]] for each in answers]
    theirs = [[e.pop("score") for e in each["entities"]] for each in expected]
    assert answers == expected
    for ours, other in zip(scores, theirs, strict=True):
        assert ours == pytest.approx(other, abs=1e-5)


def state(out: Path) -> Any:
    """The manifest; one without parts before it is there."""
    path = out / NAME
    return json.loads(path.read_text("utf-8")) if path.exists() else {"parts_done": 0}


def check(out: Path, expected: list[Any]) -> None:
    """Nothing is lost or twice, and the answers are those of one process."""
    found = state(out)
    assert (found["complete"], found["rows"]) == (True, len(expected))
    shards = sorted(path.name for path in out.iterdir() if path.name != NAME)
    assert shards == [done["shard"] for done in found["done"]]
    assert_same([row for shard in shards for row in lines_of(out / shard)], json.loads(json.dumps(expected)))
