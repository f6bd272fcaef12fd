"""Reading answers, and comparing them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CHARACTERS = "张三李四王五在北京上海工作，他是医生。"


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
