"""A tiny tagger, and the parts of a run done one after another in this process, without Ray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cluster_cases import CHARACTERS

import pybert_crf
from pybert_crf import Tagger
from pybert_crf.encoders import Encoder
from pybert_crf.model import BertCRF
from pybert_crf.text.tokenizer import UnitTokenizer


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tagger with random weights."""
    directory = tmp_path_factory.mktemp("tagger")
    tokenizer = UnitTokenizer.build([list(CHARACTERS)], "char", min_count=1)
    torch.manual_seed(3)
    encoder = Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size)
    built = BertCRF(encoder, ["O", "B-PER", "I-PER", "B-LOC"], "BIO")
    torch.nn.init.normal_(built.linear.weight, std=1.0)
    Tagger(built, tokenizer, "char").save_pretrained(directory)
    return directory


@pytest.fixture
def make_job(model: Path) -> Callable[..., Any]:
    """A function that makes the `Job` of a folder or file, given what is unusual about it."""
    pytest.importorskip("pyarrow")
    from pybert_crf.cluster.job import Job, model_digest

    def make(folder: object, out: object = "", **unusual: Any) -> Job:
        usual = {
            "kind": "text",
            "to": "jsonl",
            "column": None,
            "answers": "entities",
            "encoding": None,
            "skip": False,
            "most": 1000,
            "batch_tokens": 4096,
            "model": str(model),
            "digest": model_digest(model),
            "version": pybert_crf.__version__,
        }
        return Job(folder=str(folder), out=str(out), **{**usual, **unusual})

    return make
