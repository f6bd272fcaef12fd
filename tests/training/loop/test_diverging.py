"""A run that diverges stops, says where, and leaves what it had saved before."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pybert_crf import PretrainOptions, TrainOptions, pretrain, train
from pybert_crf.cli import main
from pybert_crf.encoders import read_tensors
from pybert_crf.training import EpochDone
from pybert_crf.training.loop.finite import Place, check_step
from pybert_crf.training.tagging import TaggingTask

Make = Callable[..., TrainOptions]
PLACE = Place(2, 3, (1e-3, 5e-5), range(9), str)


def test_a_loss_that_is_not_finite_stops_train(options: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a checkpoint after every step: the one before the bad step stays."""
    loss = TaggingTask.loss
    calls = []

    def third_is_nan(self: TaggingTask, batch: Any) -> torch.Tensor:
        calls.append(batch)
        return loss(self, batch) * (math.nan if len(calls) == 3 else 1.0)

    monkeypatch.setattr(TaggingTask, "loss", third_is_nan)
    chosen = options(checkpoint_steps=1)
    told = r"loss is nan at step 3 of epoch 1, learning rate .* examples: train\.txt:\d+, .* lower learning"
    with pytest.raises(FloatingPointError, match=told):
        train(chosen)
    monkeypatch.setattr(TaggingTask, "loss", loss)
    assert math.isfinite(train(options(checkpoint_steps=1, resume=True)).history[0]["loss"])


def test_a_model_that_was_saved_stays(options: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(event: object) -> None:
        if isinstance(event, EpochDone) and event.epoch == 1:
            monkeypatch.setattr(TaggingTask, "loss", lambda self, batch: self.model(batch) * math.inf)

    with pytest.raises(FloatingPointError, match="step 1 of epoch 2"):
        train(options(), spoil)
    assert all(value.isfinite().all() for value in read_tensors(options().out).values())


def test_pretrain_with_a_rate_beyond_all_bounds_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("甲乙丙丁戊己\n" * 40, encoding="utf-8")
    out = tmp_path / "out"
    command = f"pybert-crf pretrain {text} --out {out} --model tiny --learning-rate 1e30 --min-count 1"
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: the ")
    assert "learning rate" in error
    assert not (out / "model.safetensors").exists()


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pybert_crf.training.masked_lm.pretraining import PretrainingTask

    text = tmp_path / "text.txt"
    text.write_text("甲乙丙丁戊己\n" * 40, encoding="utf-8")
    step = PretrainingTask._step

    def spoil(self: PretrainingTask, *arguments: Any) -> torch.Tensor:
        total = step(self, *arguments)
        torch.nn.init.constant_(self.learner.model.head.bias, math.nan)
        return total

    monkeypatch.setattr(PretrainingTask, "_step", spoil)
    chosen = PretrainOptions(str(text), str(tmp_path / "out"), model="tiny", min_count=1, checkpoint_steps=1)
    with pytest.raises(FloatingPointError, match=r"weights are not finite \(.*head.bias"):
        pretrain(chosen)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_fp16_may_overflow_until_its_scale_fits() -> None:
    check_step(1.0, math.inf, 65536.0, PLACE)
    with pytest.raises(FloatingPointError, match="norm of the gradient is inf"):
        check_step(1.0, math.inf, 0.5, PLACE)
    with pytest.raises(FloatingPointError, match="norm of the gradient is nan"):
        check_step(1.0, math.nan, None, PLACE)
    with pytest.raises(FloatingPointError, match="loss is nan"):
        check_step(math.nan, 1.0, 65536.0, PLACE)
