"""``pybert-crf predict``: text in, entities out, in order and as it comes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pybert_crf.cli.arriving import Arriving
from pybert_crf.cli.over_machines import predict_over_machines
from pybert_crf.cli.prediction.lines import LinePrediction
from pybert_crf.cli.prediction.routes import Route, opened, routes
from pybert_crf.cli.prediction.tables import TablePrediction
from pybert_crf.cli.verb import Verb
from pybert_crf.options import PredictOptions
from pybert_crf.taggers.opening import given_rules, prepared_tagger

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator


def work(options: PredictOptions) -> None:
    """Tag text with a saved tagger: one answer for every line, row or file, in order, as it comes."""
    if options.ray is not None:
        predict_over_machines(options)
        return
    if options.to == "parquet":
        raise ValueError("--to parquet is for --ray")
    found = routes(options)
    tagger = prepared_tagger(options, given_rules(options))
    for route in found:
        _predict(tagger, options, route)


def _predict(tagger: Annotator, options: PredictOptions, route: Route) -> None:
    """Tag what one file has; end the process if a signal has ended the input."""
    kind = TablePrediction if options.writes_tables else LinePrediction
    with opened(route.out) as out:
        prediction = kind(tagger, options, out, route.file)
        source = Arriving(sys.stdin.buffer if route.file == "-" else route.file, prediction.answer)
        with source.until_a_signal():
            stopped = prediction.run(source)
    if stopped is not None:
        print(f"stopped by {stopped}: all lines that had been read are answered", file=sys.stderr)
        sys.exit(128 + stopped.signal)


VERB = Verb("predict", PredictOptions, work, "echo '王小明在青河市工作。' | pybert-crf predict my-tagger -")
