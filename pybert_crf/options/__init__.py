"""The options of every verb: one dataclass makes flags, help, option file and options page."""

from __future__ import annotations

from pybert_crf.options.convert import ConvertOptions
from pybert_crf.options.debug_data import DebugDataOptions
from pybert_crf.options.demo import DemoOptions
from pybert_crf.options.export import ExportOptions
from pybert_crf.options.groups.corpus import CorpusOptions
from pybert_crf.options.groups.run import PRECISIONS, RunOptions
from pybert_crf.options.inference import EvaluateOptions, InferenceOptions, PredictOptions
from pybert_crf.options.pretrain import PretrainOptions
from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.elsewhere import explain_unknown
from pybert_crf.options.schema.option_file import merge_options, read_options
from pybert_crf.options.serve import ServeOptions
from pybert_crf.options.train import TrainOptions
from pybert_crf.options.tune import TuneOptions

__all__ = [
    "PRECISIONS",
    "ConvertOptions",
    "CorpusOptions",
    "DebugDataOptions",
    "DemoOptions",
    "EvaluateOptions",
    "ExportOptions",
    "InferenceOptions",
    "Options",
    "PredictOptions",
    "PretrainOptions",
    "RunOptions",
    "ServeOptions",
    "TrainOptions",
    "TuneOptions",
    "explain_unknown",
    "merge_options",
    "read_options",
]
