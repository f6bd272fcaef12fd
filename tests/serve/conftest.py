"""Servers of small taggers; all tests of this folder skip without the packages of the extra."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Client, in_thread, small_tagger

from pybert_crf.taggers.tagger import Tagger


@pytest.fixture(scope="session", autouse=True)
def needed() -> None:
    """Skip without fastapi, uvicorn or prometheus-client."""
    for name in ("fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(name, reason=f"needs the extra serve: {name} is not installed")


@pytest.fixture(scope="session")
def tagger() -> Tagger:
    """A tagger that no server uses, equal to the one that `client` asks."""
    return small_tagger()


@pytest.fixture(scope="session")
def client(needed: None) -> Iterator[Client]:
    """A server of two taggers, of characters and of words."""
    with in_thread({"characters": small_tagger(), "words": small_tagger("word")}) as client:
        yield client


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tagger in a directory."""
    directory = tmp_path_factory.mktemp("saved") / "entities"
    small_tagger().save_pretrained(directory)
    return directory
