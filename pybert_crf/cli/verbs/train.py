"""``pybert-crf train``: from a BIO file to a saved tagger."""

from __future__ import annotations

from pybert_crf.cli.verb import Verb
from pybert_crf.options import TrainOptions


def work(options: TrainOptions) -> None:
    """Train a tagger on a column file; labels, tag scheme and unit are found in the data.

    Keeps the epoch with the best entity F1 on --dev, and writes it to --out with metrics.json.
    """
    from pybert_crf.cli.progress import TrainingDisplay, show_run
    from pybert_crf.training import train

    show_run(train, options, TrainingDisplay(), "try: pybert-crf predict {out} -")


VERB = Verb(
    "train",
    TrainOptions,
    work,
    "pybert-crf train train.txt --dev dev.txt --model bert-base-chinese --out my-tagger",
)
