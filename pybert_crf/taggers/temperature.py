"""One temperature for all scores of a CRF, fitted to tagged sentences (temperature scaling, for chains).

Guo et al. (2017, "On calibration of modern neural networks") divide the logits of a classifier by one number
that makes the held-out labels most probable. Here it divides the scores of emissions and transitions alike,
so that a path of score s has the probability exp(s / T) / Z(T): the order of all paths stays.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from pybert_crf.crf import CRF
from pybert_crf.taggers.decoding import tempered

WIDEST = 16.0
"""The temperature is looked for from 1 / WIDEST to WIDEST."""

MOST = 1 << 26
"""Emissions that are held for the fit at the most; sentences beyond are not used."""

_STEPS = 34  # each leaves 0.618 of the interval of log T: 5.5 * 0.618 ** 34 = 4e-7
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class CalibrationError(ValueError):
    """No sentence has only tags and transitions that the CRF allows."""


class Scored(NamedTuple):
    """Emissions (B, T, K) of some sentences, their right tags (B, T) and the mask (B, T)."""

    emissions: Tensor
    tags: Tensor
    mask: Tensor


class Temperature(NamedTuple):
    """A fitted temperature.

    Attributes:
        temperature: 1 if there is no best one, because the more certain the tagger is the better: it finds
            the right tags of all sentences.
        before, after: mean negative log-likelihood of the right tags, in nats per unit, at temperature 1 and
            at this one.
        units: number of units that it was fitted to.
    """

    temperature: float
    before: float
    after: float
    units: int


@torch.inference_mode()
def fit_temperature(crf: CRF, batches: Iterable[Scored]) -> Temperature:
    """Find the temperature at which the right tags are most probable.

    The negative log-likelihood is convex in 1 / T (log Z is convex in the scores, the path's score linear):
    a golden-section search over log T finds its one minimum. Computed in float64 on the CPU.

    Raises:
        CalibrationError: no sentence has right tags that the CRF allows.
    """
    wide = copy.deepcopy(crf).to("cpu", torch.float64)
    kept, gold, units = _usable(wide, batches)
    if not units:
        raise CalibrationError(
            "no sentence can be used: none has only tags, and transitions, that the tagger has"
        )

    def loss(log_temperature: float) -> float:
        temperature = math.exp(log_temperature)
        scaled, _ = tempered(wide, torch.empty(0), temperature)
        total = sum(
            float(scaled.log_partition(each.emissions.double() / temperature, each.mask).sum())
            for each in kept
        )
        return (total - gold / temperature) / units

    edge, before = math.log(WIDEST), loss(0.0)
    best = _lowest(loss, -edge, edge)
    after = loss(best)
    if edge - abs(best) < 1e-3 or after >= before:
        return Temperature(1.0, before, before, units)
    return Temperature(math.exp(best), before, after, units)


def _usable(crf: CRF, batches: Iterable[Scored]) -> tuple[list[Scored], float, int]:
    """The rows whose tags the CRF allows, the sum of those tags' scores, and the number of units."""
    kept, gold, units, size = [], 0.0, 0, 0
    for emissions, tags, mask in batches:
        emissions, tags, mask = emissions.cpu(), tags.cpu(), mask.cpu()
        scores = crf.score(emissions.double(), tags, mask)
        legal = scores.isfinite()
        kept.append(Scored(emissions[legal], tags[legal], mask[legal]))
        gold += float(scores[legal].sum())
        units += int(mask[legal].sum())
        size += emissions.numel()
        if size >= MOST:
            break
    return kept, gold, units


def _lowest(loss: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one minimum is lowest (golden-section search)."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(_STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return (low + high) / 2
