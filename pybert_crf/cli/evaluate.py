"""``pybert-crf evaluate``: entity precision, recall and F1 of a saved tagger on a file."""

from __future__ import annotations

from pybert_crf.cli.opening import open_tagger
from pybert_crf.cli.verb import Verb
from pybert_crf.options import EvaluateOptions


def work(options: EvaluateOptions) -> None:
    """Evaluate a saved tagger: per type, micro and macro, conlleval-style and strict."""
    from pybert_crf.cli.show import show_report
    from pybert_crf.evaluation import evaluate_file
    from pybert_crf.files import write_json
    from pybert_crf.text.corpora import Habits

    tagger = open_tagger(options)
    report = evaluate_file(tagger, options.file, options.batch_tokens, Habits.of(options), print)
    show_report(report)
    if options.json is not None:
        write_json(options.json, report.to_dict())


VERB = Verb("evaluate", EvaluateOptions, work, "pybert-crf evaluate my-tagger test.txt")
