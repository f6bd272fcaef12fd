"""A corpus small enough to train on in a second or two, for the tests of training and of its faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pybert_crf.options import TrainOptions

NAMES, PLACES = "张王李赵陈", "京沪津渝冀"


def sentences(count: int, offset: int = 0) -> str:
    """Column text: a person of two characters and a place of one, in two frames."""
    blocks = []
    for i in range(offset, offset + count):
        person, place = NAMES[i % 5] + "甲乙丙丁"[i % 4], PLACES[i // 2 % 5]
        pairs = [(person[0], "B-PER"), (person[1], "I-PER"), ("在", "O"), (place, "B-LOC"), ("。", "O")]
        blocks.append([*pairs[3:4], ("的", "O"), *pairs[:2]] if i % 3 == 0 else pairs)
    return "\n".join("".join(f"{token} {tag}\n" for token, tag in block) for block in blocks)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with train.txt, dev.txt and test.txt."""
    directory = tmp_path_factory.mktemp("corpus")
    for name, count, offset in (("train", 60, 0), ("dev", 12, 100), ("test", 12, 200)):
        (directory / f"{name}.txt").write_text(sentences(count, offset), encoding="utf-8")
    return directory


@pytest.fixture
def options(corpus: Path, tmp_path: Path) -> Callable[..., TrainOptions]:
    """A function that makes options for the small corpus."""

    def make(**changes: Any) -> TrainOptions:
        fields: dict[str, Any] = {
            "train": str(corpus / "train.txt"),
            "dev": str(corpus / "dev.txt"),
            "test": str(corpus / "test.txt"),
            "out": str(tmp_path / "out"),
            "model": "tiny",
            "epochs": 3,
            "batch_tokens": 128,
            "min_count": 1,
        }
        return TrainOptions(**(fields | changes))

    return make


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Tiny matrices gain nothing from threads, and two test runs on one machine would lose much."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
