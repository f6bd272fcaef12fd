"""``--track``: what Accelerate's trackers get, and a clear error without their package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pybert_crf import TrainOptions, train
from pybert_crf.training.loop.accelerator import build_accelerator

Make = Callable[..., TrainOptions]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_has_the_curves_of_a_run(options: Make) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(options(epochs=2, track="tensorboard"))
    events = EventAccumulator(str(Path(result.out) / "pybert-crf"))
    events.Reload()
    assert {"loss", "gradient", "rate", "head_rate", "padding", "epoch_loss", "dev_f1"} <= set(
        events.Tags()["scalars"]
    )
    f1 = events.Scalars("dev_f1")
    assert [each.value for each in f1] == pytest.approx([row["dev_f1"] for row in result.history])
    steps = [each.step for each in events.Scalars("loss")]
    assert steps == list(range(1, f1[-1].step + 1))


def test_a_tracker_that_is_not_installed_is_named(options: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", list)
    with pytest.raises(ImportError, match="track: trackio is not installed: pip install trackio"):
        build_accelerator(options(track="trackio"))
    assert "trackio" not in sys.modules


def test_sharded_weights_are_refused(options: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``accelerate launch --use_fsdp`` sets; on CPUs Accelerate itself would ignore it."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(
        ValueError, match="FSDP is not supported: weights would be evaluated and saved in parts"
    ):
        train(options())
