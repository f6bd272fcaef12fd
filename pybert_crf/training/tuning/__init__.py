"""Tuning: many short runs of training with different options, chosen by optuna from those before.

`space` says what is varied, `study` runs the trials, `outcome` and `page` tell what came of them.
"""

from __future__ import annotations

from pybert_crf.training.tuning.outcome import Trial, Tuned
from pybert_crf.training.tuning.study import tune

__all__ = ["Trial", "Tuned", "tune"]
