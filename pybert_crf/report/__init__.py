"""A run or an evaluation explained on one HTML page: settings, curves, errors, calibration, sentences."""

from __future__ import annotations

from pybert_crf.report.analysis import Analysis, analyse
from pybert_crf.report.page import Run, evaluation_page, training_page
from pybert_crf.report.transitions import Transitions, transitions_of

__all__ = [
    "Analysis",
    "Run",
    "Transitions",
    "analyse",
    "evaluation_page",
    "training_page",
    "transitions_of",
]
