"""A run that is killed and resumed, against one that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybert_crf import TrainOptions, train
from pybert_crf.encoders import read_tensors
from pybert_crf.training import Stepped


class _Killed(BaseException):
    pass


def resumed_alike(
    options: Callable[..., TrainOptions], tmp_path: Path, at: tuple[int, int], **chosen: Any
) -> None:
    """Assert that a run that is killed at a step, and resumed, writes the weights of one that is not."""

    def kill(event: object) -> None:
        if isinstance(event, Stepped) and (event.epoch, event.step) == at:
            raise _Killed

    whole = train(options(**chosen, out=str(tmp_path / "whole")))
    with pytest.raises(_Killed):
        train(options(**chosen, checkpoint_steps=1), kill)
    resumed = train(options(**chosen, checkpoint_steps=1, resume=True))
    first, second = read_tensors(whole.out), read_tensors(resumed.out)
    assert all(first[name].equal(second[name]) for name in first)
    assert [row["loss"] for row in whole.history] == pytest.approx([row["loss"] for row in resumed.history])
