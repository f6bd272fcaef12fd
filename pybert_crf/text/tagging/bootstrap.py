"""How much an F1 would differ on other sentences of the same kind: the bootstrap of Efron (1979)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pybert_crf.text.tagging.entity_spans import spans


def f1_interval(
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    scheme: str,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The interval of the micro-averaged F1 (conlleval's reading), sentences drawn again with replacement.

    Args:
        gold, predicted: one sequence of tags for each sentence, both in `scheme`.
        level: the share of the `draws` that lie within, half of the others on either side (percentiles).
        seed: of the draws.

    Returns:
        The lower and the upper end, each in 0 .. 1; (0, 0) without sentences.
    """
    if not gold:
        return 0.0, 0.0
    counts = np.zeros((len(gold), 2))  # of each sentence: twice the correct ones, gold and predicted together
    for row, (expected, given) in enumerate(zip(gold, predicted, strict=True)):
        right, found = set(spans(expected, scheme)), set(spans(given, scheme))
        counts[row] = 2 * len(right & found), len(right) + len(found)
    random = np.random.default_rng(seed)
    f1 = np.empty(draws)
    for draw in range(draws):
        times = np.bincount(random.integers(len(gold), size=len(gold)), minlength=len(gold))
        correct, total = times @ counts
        f1[draw] = correct / total if total else 0.0
    low, high = np.quantile(f1, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
