"""Batch and rates that fit corpus, epochs and encoder: what `train` takes for options that are not given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pybert_crf.encoders import AnyEncoder
from pybert_crf.options import TrainOptions

STEPS = 1000
"""Optimiser steps that a run should have (this and what follows is measured: docs/training.md)."""

LEAST, MOST = 256, 1024
"""Bounds of a batch, in encoder positions: a smaller one takes longer than its steps bring, as an optimiser
step costs as much as some 50 positions, and a larger one saves no time."""

SHORT, HIGHEST = 400, 4.0
"""Optimiser steps below which a run has higher rates than usual, and the bound of their factor."""


def fitting_batch(positions: int, epochs: int) -> int:
    """Encoder positions in a batch that give a run STEPS optimiser steps: a multiple of 64, LEAST to MOST.

    Args:
        positions: of all training examples together.
        epochs: of the run.
    """
    return min(MOST, max(LEAST, positions * epochs // STEPS // 64 * 64))


def fitting_factor(steps: float, width: int) -> float:
    """Factor of a pretrained encoder's usual rates: as many times more as there are fewer steps than SHORT.

    Args:
        steps: of the optimiser, in the whole run.
        width: of the encoder; one as wide as BERT-base (768) bears no more than twice the usual rates.
    """
    return max(1.0, min(SHORT / max(1.0, steps), HIGHEST, 2 * 768 / width))


def fitted(
    options: TrainOptions, lengths: Sequence[int], encoder: AnyEncoder, *, trained: bool = False
) -> TrainOptions:
    """The options with a batch and learning rates that fit, where they were not given.

    They depend neither on how many processes there are, so that a run may go on with another number of them,
    nor on `accumulate`.

    Args:
        options: as they were given.
        lengths: encoder positions of each training example.
        encoder: to be trained.
        trained: whether it is that of a tagger which goes on; high rates would undo what it has learnt.
    """
    positions = sum(lengths)
    batch = options.batch_tokens or fitting_batch(positions, options.epochs)
    rate, head_rate = options.rates()
    if not (options.from_scratch or options.lora_rank or trained):
        factor = fitting_factor(positions * options.epochs / batch, encoder.config.hidden_size)
        rate = options.learning_rate or _rounded(rate * factor)
        head_rate = options.head_learning_rate or _rounded(head_rate * factor)
    return replace(options, batch_tokens=batch, learning_rate=rate, head_learning_rate=head_rate)


def _rounded(rate: float) -> float:
    return float(f"{rate:.1e}")


def plan_note(given: TrainOptions, options: TrainOptions, lengths: Sequence[int], steps: int) -> str:
    """One line on the batch, the steps and the rates of a run.

    Args:
        given, options: before and after `fitted`.
        lengths: encoder positions of each training example.
        steps: of the optimiser, in all epochs.
    """
    assert options.batch_tokens is not None
    mean = max(1.0, sum(lengths) / max(1, len(lengths)))
    sentences = max(1, round(options.batch_tokens / mean))
    why = "as given" if given.batch_tokens else "to fit corpus and epochs"
    rate, head_rate = options.rates()
    return (
        f"batch: {options.batch_tokens:,} positions, about {sentences:,} sentences ({why}); {steps:,} steps "
        f"in {options.epochs} epochs; rates {rate:g} and {head_rate:g} (head), warm-up {options.warmup:.0%}"
    )
