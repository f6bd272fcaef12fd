"""A text small enough to pretrain on in a second or two, and regular enough to be learnt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybert_crf.options import PretrainOptions

# Each character is known from any other of its sentence.
SENTENCES = ("甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未", "东南西北中", "春夏秋冬年月日")


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file of 80 lines."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(f"{SENTENCES[i % 4]}\n" for i in range(80)), encoding="utf-8")
    return path


@pytest.fixture
def options(text: Path, tmp_path: Path) -> Callable[..., PretrainOptions]:
    """A function that makes options for the small text."""

    def make(**changes: Any) -> PretrainOptions:
        fields: dict[str, Any] = {
            "text": str(text),
            "out": str(tmp_path / "out"),
            "model": "tiny",
            "epochs": 3,
            "batch_tokens": 256,
            "min_count": 1,
            "held_out": 0.1,
        }
        return PretrainOptions(**(fields | changes))

    return make
