"""Tokenizers of every family."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from layouts import LAYOUTS, Make

from pybert_crf.text.tokenizer import UnitTokenizer


@pytest.fixture(scope="session")
def vocabulary_files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory with a family's own files, which tests must copy, not change."""
    made: dict[Callable[..., None], Path] = {}

    def directory(model_type: str) -> Path:
        write = LAYOUTS[model_type].write
        if write not in made:
            made[write] = tmp_path_factory.mktemp(model_type)
            write(made[write])
        return made[write]

    return directory


@pytest.fixture
def make_checkpoint(tmp_path: Path, vocabulary_files: Callable[[str], Path]) -> Make:
    """A new directory with a family's own files, its config.json, and the given `tokenizer_config.json`."""

    def make(model_type: str, **config: Any) -> Path:
        directory = tmp_path / "checkpoint"
        shutil.copytree(vocabulary_files(model_type), directory)
        (directory / "config.json").write_text(json.dumps({"model_type": model_type}))
        if config:
            (directory / "tokenizer_config.json").write_text(json.dumps(config))
        return directory

    return make


@pytest.fixture(scope="session")
def opened(
    tmp_path_factory: pytest.TempPathFactory, vocabulary_files: Callable[[str], Path]
) -> Callable[[str, str], UnitTokenizer]:
    """The tokenizer of a family and unit."""

    @cache
    def tokenizer(model_type: str, unit: str) -> UnitTokenizer:
        directory = tmp_path_factory.mktemp(model_type)
        shutil.copytree(vocabulary_files(model_type), directory, dirs_exist_ok=True)
        (directory / "config.json").write_text(json.dumps({"model_type": model_type}))
        return UnitTokenizer.from_directory(directory, unit)

    return tokenizer
