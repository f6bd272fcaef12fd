"""What can be changed about a tagger's training, one lever a file; docs/training.md describes them."""

from __future__ import annotations

from collections.abc import Sequence

from pybert_crf.annotation.examples import Example
from pybert_crf.options import TrainOptions
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.training.levers.distillation import Teacher
from pybert_crf.training.levers.lora import add_lora
from pybert_crf.training.levers.objective import build_objective
from pybert_crf.training.levers.transitions import set_transitions


def prepare(
    tagger: Tagger, examples: Sequence[Example], options: TrainOptions, teacher: Teacher | None = None
) -> tuple[str, ...]:
    """Change the model as the options say, before it has an optimiser; notes on what was changed.

    Args:
        examples: those with tags.
        teacher: whose distribution is learnt, or None.

    Raises:
        ImportError: a package that is needed is not installed.
        ValueError: an option that does not fit the model; by name.
    """
    tags = [example.tags or [] for example in examples]
    notes = add_lora(tagger, options) + set_transitions(tagger.model, tags, options)
    tagger.model.objective = build_objective(tagger.model, tags, options, teacher)
    return notes
