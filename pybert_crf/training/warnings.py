"""What a finished run should make its user think, in words; each finding is silent if all is well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from pybert_crf.evaluation import TaggedCorpus
from pybert_crf.text.tagging.bootstrap import f1_interval
from pybert_crf.text.tagging.metrics import Report

NOISE = 0.1
"""The largest score with which a CRF begins (`CRF.reset_parameters`)."""

MOVED = 0.02
"""How far transitions must move on average not to be taken for noise still, in nats: 2 % of the odds."""

FALL = 0.02
"""How far the dev F1 of the last two epochs lies below the best one to be called falling."""

WIDE = 0.02
"""Half of an interval that is too wide to tell usual differences apart."""


def still_transitions(before: Tensor, after: Tensor) -> tuple[str, ...]:
    """Transitions (K, K) that began as noise and, those that moved at all, hardly moved."""
    moved = (after.float().cpu() - before.float().cpu()).abs()
    moved = moved[moved > 0]
    distance = float(moved.mean()) if moved.numel() else 0.0
    if before.abs().max() > NOISE or distance >= MOVED:
        return ()
    return (
        f"the CRF's transitions moved by only {distance:.3f} on average, so they are little more than the "
        "noise that they began as: train longer, raise --head-learning-rate, or begin with --transitions "
        "counts",
    )


def never_predicted(report: Report, trained: Mapping[str, int]) -> tuple[str, ...]:
    """Types that dev has and the tagger never gives; `trained` counts the entities of train by type."""
    scores = report.conlleval.types
    return tuple(
        f"{name} is never predicted on dev, which has {score.support:,} of it (train: "
        f"{trained.get(name, 0):,}): it needs more examples or epochs, or a weight (--class-weight)"
        for name, score in scores.items()
        if score.support and not score.predicted
    )


def falling_dev(history: Sequence[Mapping[str, Any]], best: int) -> tuple[str, ...]:
    """A dev F1 that fell after the epoch `best`, counted from 1, while the training loss went on falling."""
    later = history[best:]
    if len(later) < 2:
        return ()
    top, last = history[best - 1], later[-1]
    recent = (later[-2]["dev_f1"] + last["dev_f1"]) / 2
    if recent > top["dev_f1"] - FALL or last["loss"] >= top["loss"]:
        return ()
    return (
        f"after epoch {best} the F1 on dev fell from {top['dev_f1']:.4f} to {recent:.4f} while the training "
        f"loss fell from {top['loss']:.4f} to {last['loss']:.4f}: the tagger learns train by heart; fewer "
        "epochs, more --dropout or more data may help",
    )


def small_dev(tagged: TaggedCorpus) -> tuple[str, ...]:
    """A dev part by which usual differences cannot be told apart."""
    corpus = tagged.corpus
    gold = [sentence.tags for sentence in corpus.sentences]
    low, high = f1_interval(gold, [each.tags for each in tagged.taggings], corpus.scheme)
    if high - low <= 2 * WIDE:
        return ()
    return (
        f"dev is small: by other sentences of its kind the F1 would be between {low:.3f} and {high:.3f} "
        "(95 %, bootstrap), so epochs, seeds and options that differ by less cannot be told apart; a larger "
        "dev part, or --folds, can",
    )
