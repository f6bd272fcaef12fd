"""A tiny tagger, and the parts of a run done one after another in this process, without Ray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_cases import save_tagger

import pybert_crf


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tagger with random weights."""
    directory = tmp_path_factory.mktemp("tagger")
    save_tagger(directory)
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
