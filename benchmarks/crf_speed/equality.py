"""The proof that comes before any timing: all contenders compute the same values.

The answers are those of pytorch-crf in float64, or, where it is not installed, of our reference backend.
Every contender is held to them twice: in float64, where agreement shows that it solves the same problem, and
in float32, which is what is timed. There the recursion of a peer rounds scores as large as log Z, which a
bound on its gradients has to allow for; what was found is kept beside the timings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from crf_speed.contenders import Contender, Gradients, NativeKernel, Reference
from crf_speed.peer_layers import PytorchCRF
from crf_speed.problem import Problem, path_scores


class DisagreementError(AssertionError):
    """A contender's answer is not that of the others."""


class Answer(NamedTuple):
    """What every contender must find, in float64."""

    loss: Tensor  # ()
    gradients: Gradients  # of the loss
    log_z: Tensor  # (), summed over the batch
    log_z_gradients: Gradients
    best: Tensor  # (B,) scores of the best paths


class Errors(NamedTuple):
    """How far a contender is from the answer; each is 0 where it does not offer the operation."""

    loss: float  # relative
    emissions: float  # greatest absolute error of the gradient, whose values are probabilities
    transitions: float  # of the gradients of start, transitions and end, relative to the greatest in each
    path: float  # score lost by a decoded path, relative


EXACT_TIME = 2048
EXACT = Errors(loss=1e-10, emissions=1e-9, transitions=1e-9, path=1e-12)
# As docs/crf.md promises (section 19).
PROMISED = Errors(loss=1e-6, emissions=1e-6, transitions=1e-6, path=1e-6)


def answer(case: Problem) -> Answer:
    """The answer by the best-known implementation here, in float64."""
    double = case.to(torch.float64)
    contender = next(each for each in (PytorchCRF, Reference) if reason(each) is None)(double)
    contender.loss_backward()
    loss, gradients = contender.loss(), contender.gradients()
    leaves = [part.clone().requires_grad_() for part in _scores(double)]
    score = path_scores(_with(double, leaves), case.tags).sum()
    of_score = torch.autograd.grad(score, leaves)
    a, b, c, d = (mine + theirs for mine, theirs in zip(gradients, of_score, strict=True))
    best = path_scores(double, _padded(case, contender.decode(), contender.name))
    return Answer(loss, gradients, loss + score.detach(), (a, b, c, d), best)


class Exam:
    """A problem with its answer, for any number of contenders.

    In float64 long rows are cut off: a recursion that is right for 2,048 steps needs no more of them, and the
    whole length follows in float32.
    """

    def __init__(self, case: Problem) -> None:
        self.case = case
        self.answer = answer(case)
        self.beginning = case.beginning(EXACT_TIME).to(torch.float64)
        is_whole = self.beginning.shape == case.shape
        self.answer_of_beginning = self.answer if is_whole else answer(self.beginning)

    def prove(self, kind: type[Contender]) -> Errors:
        """Its float32 errors; DisagreementError if those, or its float64 errors, are too large."""
        if kind.double:
            exact = errors(kind(self.beginning), self.answer_of_beginning)
            _judge(kind.name, self.case, "float64", exact, EXACT)
        found = errors(kind(self.case), self.answer)
        _judge(kind.name, self.case, "float32", found, self.rounding(kind))
        return found

    def rounding(self, kind: type[Contender]) -> Errors:
        """The float32 errors that a contender may have.

        Ours keep every step relative to its own maximum. A peer's forward scores grow to the size of log Z,
        so each step may round by 2^-24 of that, and the logarithms of its probabilities do. For log Z all
        steps are allowed to add up; for a probability 32 are (16 is the most that was seen).
        """
        if kind.package == NativeKernel.package:
            return PROMISED
        batch, time, _ = self.case.shape
        log_z = max(1.0, self.answer.log_z.item() / batch)
        of_probabilities = max(1e-5, 32 * 2**-24 * log_z)
        return Errors(max(1e-5, time * 2**-24), of_probabilities, of_probabilities, path=1e-5)


def errors(contender: Contender, expected: Answer) -> Errors:
    """Run every operation that the contender offers and compare."""
    loss = emissions = transitions = path = 0.0
    if "loss_backward" in contender.operations:
        contender.loss_backward()
        emissions, transitions = _gradient_errors(contender.gradients(), expected.gradients)
    if "loss" in contender.operations:
        loss = _relative(contender.loss(), expected.loss)
    if isinstance(contender, NativeKernel):
        log_z, gradients = contender.forward_backward()
        loss = max(loss, _relative(log_z.double().sum(), expected.log_z))
        also = _gradient_errors(gradients, expected.log_z_gradients)
        emissions, transitions = max(emissions, also[0]), max(transitions, also[1])
    if "decode" in contender.operations:
        path = _lost(contender.case, _padded(contender.case, contender.decode(), contender.name), expected)
    made_of_it = "decode" in contender.operations and type(contender).decode is Contender.decode
    if "viterbi" in contender.operations and not made_of_it:
        tags = torch.where(contender.case.mask, contender.viterbi().to(torch.int64), 0)
        path = max(path, _lost(contender.case, tags, expected))
    return Errors(loss, emissions, transitions, path)


def reason(kind: type[Contender]) -> str | None:
    """Why a contender cannot take part here, or None."""
    try:
        kind.load()
    except ImportError as error:
        return str(error)
    return None


def _scores(case: Problem) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return case.emissions, case.start, case.transitions, case.end


def _with(case: Problem, scores: Sequence[Tensor]) -> Problem:
    emissions, start, transitions, end = scores
    return case._replace(emissions=emissions, start=start, transitions=transitions, end=end)


def _padded(case: Problem, paths: list[list[int]], name: str) -> Tensor:
    """Lists of tags as a tensor (B, T), 0 where masked."""
    if [len(path) for path in paths] != case.lengths.tolist():
        raise DisagreementError(f"{name} disagrees at {case.shape}: its paths are not as long as the rows")
    tags = torch.zeros_like(case.tags)
    tags[case.mask] = tags.new_tensor([tag for path in paths for tag in path])
    return tags


def _relative(found: Tensor, expected: Tensor) -> float:
    return ((found.detach().double() - expected).abs() / expected.abs()).item()


def _gradient_errors(found: Gradients, expected: Gradients) -> tuple[float, float]:
    """That of the emissions' gradient, and the greatest of the parameters'."""
    apart = [(a.detach().double() - b).abs().max() for a, b in zip(found, expected, strict=True)]
    sizes = [b.abs().max() for b in expected]
    return apart[0].item(), max((a / b).item() for a, b in zip(apart[1:], sizes[1:], strict=True))


def _lost(case: Problem, tags: Tensor, expected: Answer) -> float:
    """By how much the worst path falls short of the best; or is beyond it, which no path can be."""
    scores = path_scores(case.to(torch.float64), tags)
    return ((scores - expected.best).abs() / expected.best.abs()).max().item()


def _judge(name: str, case: Problem, precision: str, found: Errors, allowed: Errors) -> None:
    for quantity, error, most in zip(Errors._fields, found, allowed, strict=True):
        if not error <= most:  # NaN is no agreement either
            raise DisagreementError(
                f"{name} disagrees at {case.shape} in {precision}: {quantity} is off by {error:.3g}, "
                f"at most {most:.3g} allowed"
            )
