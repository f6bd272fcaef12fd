"""What a run can be told: one flat set of options for each verb, from Python, a TOML file or flags."""

from __future__ import annotations

from pybert_crf.options.files import merge_options, read_options
from pybert_crf.options.pretrain import PretrainOptions
from pybert_crf.options.run import PRECISIONS, SIZES, RunOptions
from pybert_crf.options.train import TrainOptions

__all__ = [
    "PRECISIONS",
    "SIZES",
    "PretrainOptions",
    "RunOptions",
    "TrainOptions",
    "merge_options",
    "read_options",
]
