"""Training with moments of 8 bits: what they take, that a tagger is learnt, that a killed run goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pybert_crf import TrainOptions, train
from pybert_crf.encoders import read_tensors
from pybert_crf.training import Stepped
from pybert_crf.training.loop.optimizer import build_optimizer

Make = Callable[..., TrainOptions]
CHOSEN: dict[str, Any] = {"optimizer": "adamw-8bit", "epochs": 4}


def test_the_package_is_named_if_it_is_missing(options: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(ImportError, match=r"pip install 'pybert-crf\[eight-bit\]'"):
        train(options(**CHOSEN))


def test_moments_of_large_tensors_have_a_byte_a_value() -> None:
    pytest.importorskip("bitsandbytes")
    model = nn.Sequential(nn.Linear(128, 64), nn.Linear(64, 3))
    optimizer = build_optimizer(model, 1e-3, 1e-3, 0.01, kind="adamw-8bit")
    model(torch.ones(2, 128)).sum().backward()
    optimizer.step()
    kept = [optimizer.state[layer.weight] for layer in (model[0], model[1])]
    assert [{own[name].dtype for name in ("state1", "state2")} for own in kept] == [
        {torch.uint8},
        {torch.float32},
    ]


def test_it_learns(options: Make) -> None:
    pytest.importorskip("bitsandbytes")
    assert train(options(**CHOSEN | {"epochs": 12})).dev.f1 > 0.9


def test_a_killed_run_with_8_bits_resumes_to_the_same_weights(options: Make, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")

    class Killed(BaseException):
        pass

    def kill(event: object) -> None:
        if isinstance(event, Stepped) and (event.epoch, event.step) == (3, 1):
            raise Killed

    whole = read_tensors(train(options(**CHOSEN, out=str(tmp_path / "whole"))).out)
    with pytest.raises(Killed):
        train(options(**CHOSEN), kill)
    resumed = read_tensors(train(options(**CHOSEN, resume=True)).out)
    assert whole.keys() == resumed.keys()
    assert all(whole[name].equal(resumed[name]) for name in whole)
