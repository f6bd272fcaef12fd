"""Problems for Hypothesis to draw."""

from __future__ import annotations

import torch
from cases import DEVICE, Case, problem
from hypothesis import settings
from hypothesis import strategies as st
from oracle import EveryPath, enumerate_chain
from torch import Tensor


def examples(count: int) -> settings:
    """Hypothesis settings: the number of examples, the same ones in every run, no deadline."""
    return settings(derandomize=True, deadline=None, max_examples=count, database=None)


@st.composite
def problems(draw: st.DrawFn, *, ties: bool = False, forbidden: bool = False) -> Case:
    """At most 3 rows of at most 4 unmasked positions among 5, at most 3 tags; integer scores give ties."""
    B, T, K = draw(st.integers(1, 3)), draw(st.integers(0, 5)), draw(st.integers(1, 3))
    made = problem(B, T, K, seed=draw(st.integers(0, 2**16)))
    bits = draw(st.lists(st.booleans(), min_size=B * T, max_size=B * T))
    mask = torch.tensor(bits, dtype=torch.bool).reshape(B, T)
    if ties:
        made = Case(*(part.round() if part.is_floating_point() else part for part in made))
    if forbidden:
        forbid(made, draw(st.sampled_from([0.1, 0.4])), seed=draw(st.integers(0, 2**16)))
    return made._replace(mask=mask)


def forbid(case: Case, share: float, seed: int) -> None:
    """Set this share of the scores of every kind to -inf."""
    generator = torch.Generator().manual_seed(seed)
    for scores in (case.emissions, case.start, case.transitions, case.end):
        share_of = torch.rand(scores.shape, generator=generator, device="cpu").to(DEVICE)
        scores[share_of < share] = -torch.inf


def rows(case: Case, pairwise: Tensor | None = None) -> list[EveryPath]:
    """Every path of every row."""
    parameters = (case.start, case.transitions, case.end)
    own = [None] * len(case.mask) if pairwise is None else list(pairwise)
    return [
        enumerate_chain(emissions, mask, *parameters, scores)
        for emissions, mask, scores in zip(case.emissions, case.mask, own, strict=True)
    ]


def kept_tags(case: Case) -> list[tuple[int, ...]]:
    """The path of each row given by the problem's tags."""
    return [tuple(tags[on].tolist()) for tags, on in zip(case.tags, case.mask, strict=True)]


def doubles(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
