"""``pybert-crf tune``: many short trainings with different options, and the options of the best."""

from __future__ import annotations

from pybert_crf.cli.verb import Verb
from pybert_crf.options import TuneOptions


def work(options: TuneOptions) -> None:
    """Train with different options, trial by trial, and find which are best on --dev.

    Trials that are worse than the others after an epoch are stopped. --out holds study.db (optuna's),
    best.toml (the options of the best trial, for train --options), tuning.html and the best tagger. Every
    option of train can be given; --resume goes on after an interruption, or with more --trials.
    """
    from pybert_crf.cli.progress import show_run
    from pybert_crf.cli.trials import TuningDisplay, show_trials
    from pybert_crf.training.tuning import tune

    def run(options: TuneOptions, display: TuningDisplay) -> None:
        tuned = tune(options, display)
        print()
        show_trials(tuned)

    show_run(
        run, options, TuningDisplay(), "next: pybert-crf train --options {out}/best.toml --out my-tagger"
    )


VERB = Verb(
    "tune",
    TuneOptions,
    work,
    "pybert-crf tune train.txt --dev dev.txt --model bert-base-chinese --epochs 3 --trials 20 --out tuned",
)
