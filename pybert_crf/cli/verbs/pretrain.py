"""``pybert-crf pretrain``: from plain text to an encoder that ``pybert-crf train`` starts from."""

from __future__ import annotations

from pybert_crf.cli.verb import Verb
from pybert_crf.options import PretrainOptions


def work(options: PretrainOptions) -> None:
    """Pretrain an encoder on untagged text: it learns to predict masked characters or words.

    It starts from scratch or from a checkpoint; `pybert-crf train --model` then starts from what --out holds.
    """
    from pybert_crf.cli.progress import PretrainingDisplay, show_run
    from pybert_crf.training import pretrain

    show_run(pretrain, options, PretrainingDisplay(), "next: pybert-crf train … --model {out}")


VERB = Verb(
    "pretrain",
    PretrainOptions,
    work,
    "pybert-crf pretrain text.txt --model bert-base-chinese --out my-encoder",
)
