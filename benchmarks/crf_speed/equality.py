"""The proof, before any timing, that all contenders compute the same values.

The answers are those of pytorch-crf in float64, or, if it is not installed, of our reference backend. Every
contender is held to them twice: in float64, where agreement shows that it solves the same problem, and in
float32, which is what is timed. There the recursion of a peer rounds scores as large as log Z, which a bound
on its gradients has to allow for; the errors found are kept beside the timings.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from crf_speed.contenders import Contender, Gradients, Ours, Reference
from crf_speed.peers import PytorchCRF
from crf_speed.problem import Problem, path_scores


class DisagreementError(AssertionError):
    """A contender's answer is not that of the others."""


class Answer(NamedTuple):
    """What every contender must find, in float64."""

    loss: Tensor  # ()
    gradients: Gradients
    log_z: float  # mean over the rows
    best: Tensor  # (B,) scores of the best paths


class Errors(NamedTuple):
    """How far a contender is from the answer; each is 0 if it does not offer the operation."""

    loss: float  # relative
    emissions: float  # greatest absolute error of the gradient, whose values are probabilities
    transitions: float  # of the gradients of start, transitions and end, relative to the greatest in each
    path: float  # score lost by a decoded path, relative


EXACT_TIME = 2048
EXACT = Errors(loss=1e-10, emissions=1e-9, transitions=1e-9, path=1e-12)
PROMISED = Errors(loss=1e-6, emissions=1e-6, transitions=1e-6, path=1e-6)  # of ours (docs/crf/numbers.md)


def answer(case: Problem) -> Answer:
    """The answer by pytorch-crf or our reference, in float64."""
    double = case.double()
    contender = next(kind for kind in (PytorchCRF, Reference) if kind.missing() is None)(double)
    contender.loss_backward()
    loss, gold = contender.loss(), path_scores(double, case.tags)
    best = path_scores(double, _padded(case, contender.decode(), contender.name))
    return Answer(loss, contender.gradients(), (loss + gold.sum()).item() / len(gold), best)


class Exam:
    """A problem with its answer, for any number of contenders.

    In float64 long rows are cut off: a recursion that is right for 2,048 steps needs no more of them, and the
    whole length follows in float32.
    """

    def __init__(self, case: Problem) -> None:
        self.case = case
        self.answer = answer(case)
        self.beginning = case.beginning(EXACT_TIME).double()
        self.answer_of_beginning = answer(self.beginning)

    def prove(self, kind: type[Contender]) -> Errors:
        """Return its float32 errors; raise DisagreementError if those or its float64 errors are too large."""
        if kind.double:
            exact = errors(kind(self.beginning), self.answer_of_beginning)
            self._judge(kind.name, "float64", exact, EXACT)
        found = errors(kind(self.case), self.answer)
        self._judge(kind.name, "float32", found, self.rounding(kind))
        return found

    def rounding(self, kind: type[Contender]) -> Errors:
        """The float32 errors that a contender may have.

        Ours keep every step relative to its own maximum. A peer's forward scores grow to the size of log Z,
        so each step may round by 2^-24 of that, and the logarithms of its probabilities do. For log Z all
        steps are allowed to add up; for a probability 32 are (16 is the most that was seen).
        """
        if issubclass(kind, Ours):
            return PROMISED
        of_probabilities = max(1e-5, 32 * 2**-24 * max(1.0, self.answer.log_z))
        return Errors(max(1e-5, self.case.shape[1] * 2**-24), of_probabilities, of_probabilities, path=1e-5)

    def _judge(self, name: str, precision: str, found: Errors, allowed: Errors) -> None:
        for quantity, error, most in zip(Errors._fields, found, allowed, strict=True):
            if not error <= most:  # NaN is no agreement either
                where = f"{name} disagrees at {self.case.shape} in {precision}"
                raise DisagreementError(
                    f"{where}: {quantity} is off by {error:.3g}, at most {most:.3g} allowed"
                )


def errors(contender: Contender, expected: Answer) -> Errors:
    """Run every operation that the contender offers and compare."""
    loss = emissions = transitions = path = 0.0
    case = contender.case
    if "loss_backward" in contender.operations:
        contender.loss_backward()
        emissions, transitions = _gradient_errors(contender.gradients(), expected.gradients)
        loss = ((contender.loss().double() - expected.loss).abs() / expected.loss.abs()).item()
    decoded = _padded(case, contender.decode(), contender.name)
    path = _lost(case, decoded, expected)
    if "viterbi" in contender.operations and type(contender).decode is not Contender.decode:
        tags = torch.where(case.mask, contender.viterbi().to(torch.int64), 0)
        path = max(path, _lost(case, tags, expected))
    return Errors(loss, emissions, transitions, path)


def _padded(case: Problem, paths: list[list[int]], name: str) -> Tensor:
    """Lists of tags as a tensor (B, T), 0 where masked."""
    if [len(path) for path in paths] != case.lengths.tolist():
        raise DisagreementError(f"{name} disagrees at {case.shape}: its paths are not as long as the rows")
    tags = torch.zeros_like(case.tags)
    tags[case.mask] = tags.new_tensor([tag for path in paths for tag in path])
    return tags


def _gradient_errors(found: Gradients, expected: Gradients) -> tuple[float, float]:
    """The error of the emissions' gradient, and the greatest error of the parameters' gradients."""
    apart = [(a.detach().double() - b).abs().max() for a, b in zip(found, expected, strict=True)]
    sizes = [b.abs().max() for b in expected]
    return apart[0].item(), max((a / b).item() for a, b in zip(apart[1:], sizes[1:], strict=True))


def _lost(case: Problem, tags: Tensor, expected: Answer) -> float:
    """Greatest relative difference between the scores of the decoded and of the best paths."""
    scores = path_scores(case.double(), tags)
    return ((scores - expected.best).abs() / expected.best.abs()).max().item()
