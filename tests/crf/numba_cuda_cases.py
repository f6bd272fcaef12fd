"""Small problems for kernels whose threads are simulated: one of each kind that has gone wrong somewhere."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from cases import Problem, problem

from pybert_crf.crf.numba_log import FLOOR


def gaps() -> Problem:
    """Gaps, left padding and an empty row; NaN and -100 where nothing may read."""
    case = problem(4, 6, 4)
    case.mask[:] = torch.tensor([[1, 0, 1, 1, 0, 1], [0, 0, 0, 1, 1, 1], [0] * 6, [1, 1, 0, 0, 0, 0]]).bool()
    case.emissions[~case.mask] = torch.nan
    case.tags[~case.mask] = -100
    return case


def strided() -> Problem:
    """No tensor contiguous, some of strides 0."""
    case = problem(3, 5, 4)
    return Problem(
        case.emissions.transpose(0, 1).contiguous().transpose(0, 1),
        case.tags.T.contiguous().T,
        torch.tensor([True, False, True, True, True]).expand(3, 5),
        torch.stack([case.start, case.end], dim=1)[:, 0],
        case.transitions.T,
        case.end[:1].expand(4),
    )


def forbidden() -> Problem:
    """A tag that none may follow, one that may follow none, one that is only the first; a row of no path."""
    case = problem(3, 5, 5, ragged=False)
    case.transitions[0, :] = -torch.inf
    case.transitions[:, 1] = -torch.inf
    case.transitions[2, 3] = -torch.inf
    case.start[2] = -torch.inf
    case.end[3] = -torch.inf
    case.emissions[1, 2] = -torch.inf
    return case


def one_way(below: float) -> Callable[[], Problem]:
    """All paths end in the last tag, to which only the second leads, of weight exp(log FLOOR + below)."""

    def make() -> Problem:
        case = problem(2, 6, 3, ragged=False)
        case.emissions[:, :, 1] = math.log(FLOOR) + below
        case.transitions[0, 2] = -torch.inf
        case.start[2] = -torch.inf
        case.end[:2] = -torch.inf
        return case

    return make


def huge() -> Problem:
    case = problem(3, 6, 4)
    for scores in (case.emissions, case.transitions, case.start, case.end):
        scores.mul_(1e4)
    return case


def ties() -> Problem:
    """All scores 0 or, seldom, 1; those of the first row 0."""
    emissions, tags, mask, *scores = problem(3, 5, 4)
    emissions[0] = 0.0
    return Problem((emissions > 1).double(), tags, mask, *(torch.zeros_like(part) for part in scores))


CASES: dict[str, Callable[[], Problem]] = {
    "ordinary": lambda: problem(3, 6, 5),
    "gaps": gaps,
    "strided": strided,
    "one position": lambda: problem(2, 1, 3),
    "one tag": lambda: problem(2, 4, 1),
    "no rows": lambda: problem(0, 3, 2),
    "no positions": lambda: problem(2, 0, 2),
    "more rows than chunks": lambda: problem(17, 2, 2),
    "forbidden": forbidden,
    "one way below the floor": one_way(-275),
    "one way just below the floor": one_way(-1),
    "one way above the floor": one_way(1),
    "huge": huge,
    "ties": ties,
}
