"""Every backend and dtype against the reference in float64, on problems that Hypothesis makes hostile: any
shape, masks with gaps, scores as far apart as 1e4, forbidden tags and transitions."""

from __future__ import annotations

import pytest
import torch
from cases import Case, answer, check_bounds, drawn, each_backend, layer, problem
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, forbid
from torch import Tensor

SPREADS = [0.0, 1.0, 30.0, 150.0, 1e3, 1e4]
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@st.composite
def hostile(draw: st.DrawFn) -> Case:
    """At most 5 rows of at most 20 positions; scores that float32 holds exactly, in float64."""
    B, T = draw(st.integers(0, 5)), draw(st.integers(0, 20))
    K = draw(st.sampled_from([1, 2, 3, 5, 7, 8, 9, 16, 17, 33]))
    seed = draw(st.integers(0, 2**16))
    made = problem(B, T, K, seed=seed)
    made.emissions.mul_(draw(st.sampled_from(SPREADS)))
    made.transitions.mul_(draw(st.sampled_from(SPREADS)))
    made.start.mul_(draw(st.sampled_from(SPREADS)))
    made.end.mul_(draw(st.sampled_from(SPREADS)))
    if draw(st.booleans()):
        forbid(made, draw(st.sampled_from([0.05, 0.3, 0.6])), seed)
    kept = draw(st.sampled_from([0.3, 0.8, 1.0]))
    mask = drawn(torch.rand, B, T, seed=seed) < kept
    made.emissions[~mask] = torch.nan
    return made._replace(mask=mask).to(torch.float32).to(torch.float64)


def readable(case: Case) -> Case:
    """The problem with 0 where masked."""
    return case._replace(emissions=case.emissions.masked_fill(~case.mask[:, :, None], 0.0))


@each_backend
@each_dtype
@examples(40)
@given(case=hostile())
def test_log_z_and_its_gradient(backend: str, dtype: torch.dtype, case: Case) -> None:
    found = answer(case.to(dtype), backend)
    check_bounds(readable(case), found, answer(case, "reference"))
    assert all(part.isfinite().all() for part in found[1:])
    assert found.marginals[~case.mask].eq(0).all()


@each_backend
@each_dtype
@examples(30)
@given(case=hostile())
def test_the_likelihood_and_its_gradient(backend: str, dtype: torch.dtype, case: Case) -> None:
    tags = case.tags.masked_fill(~case.mask, -100)

    def run(name: str, dtype: torch.dtype) -> list[Tensor]:
        crf = layer(case.to(dtype), name)
        emissions = case.emissions.to(dtype, copy=True).requires_grad_()
        likelihood = crf(emissions, tags, case.mask, "none")
        likelihood.backward(torch.ones_like(likelihood))
        assert emissions.grad is not None
        return [likelihood.detach().double(), emissions.grad.double()]

    (found, gradient), (expected, wanted) = run(backend, dtype), run("reference", torch.float64)
    scores = torch.cat(
        [part[part.isfinite()].abs().flatten() for part in readable(case) if part.is_floating_point()]
    )
    largest = float(scores.max())
    # The likelihood is the difference of two numbers as large as a path's score.
    rounding = 2.0**-23 * largest * 4 * max(1, case.mask.shape[1]) if dtype == torch.float32 else 0.0
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5 + rounding)
    close = 1e-6 + (2.0**-22 * largest if largest > 100 else 0.0)
    torch.testing.assert_close(gradient, wanted, rtol=0, atol=close)


@each_backend
@each_dtype
@examples(30)
@given(case=hostile(), k=st.integers(2, 5))
def test_best_paths(backend: str, dtype: torch.dtype, case: Case, k: int) -> None:
    """Rounding may prefer another path, but one that scores as much."""
    crf, exact = layer(case.to(dtype), backend), layer(case, "reference")
    tags, scores = crf.viterbi(case.emissions.to(dtype), case.mask)
    _, wanted = exact.viterbi(case.emissions, case.mask)
    several, ranked = crf.viterbi(case.emissions.to(dtype), case.mask, k)
    _, ranking = exact.viterbi(case.emissions, case.mask, k)
    steps = max(1, case.mask.shape[1])
    largest = float(wanted[wanted.isfinite()].abs().max()) if wanted.isfinite().any() else 0.0
    bound = 2.0**-22 * (largest + 1) * steps if dtype == torch.float32 else 1e-6
    torch.testing.assert_close(scores.double(), wanted, rtol=1e-6, atol=bound)
    torch.testing.assert_close(ranked.double(), ranking, rtol=1e-6, atol=bound)
    for found, claimed in ((tags, scores), *zip(several, ranked, strict=True)):
        legal = claimed > -torch.inf
        path = torch.where(legal[:, None], found, 0).clamp(min=0)
        score = exact.score(case.emissions, path, case.mask)
        torch.testing.assert_close(score[legal], claimed[legal].double(), rtol=1e-6, atol=bound)


@each_backend
@each_dtype
@examples(20)
@given(case=hostile())
def test_entropy_and_marginals_of_neighbours(backend: str, dtype: torch.dtype, case: Case) -> None:
    crf, exact = layer(case.to(dtype), backend), layer(case, "reference")
    given = (case.emissions.to(dtype), case.mask)
    entropy, expected = crf.entropy(*given), exact.entropy(case.emissions, case.mask)
    torch.testing.assert_close(entropy.double(), expected, rtol=1e-6, atol=1e-6)
    assert entropy.ge(0).all()
    pairs, wanted = crf.transition_marginals(*given), exact.transition_marginals(case.emissions, case.mask)
    torch.testing.assert_close(pairs.double(), wanted, rtol=0, atol=1e-6)


@pytest.mark.reduced
@each_backend
def test_lazily_negated_tensors(backend: str) -> None:
    """The imaginary part of a conjugate shares its memory, and its sign is a bit of the tensor's own."""
    case = problem(3, 5, 4)
    negated = torch.complex(case.emissions, -case.emissions).conj().imag
    assert negated.is_neg()
    crf = layer(case, backend)
    results = []
    for emissions in (negated, case.emissions):
        given = emissions.detach().requires_grad_()
        likelihood = crf(given, case.tags, case.mask, "none")
        factors = torch.complex(likelihood.detach(), likelihood.detach()).conj().imag  # lazily negated, too
        (gradient,) = torch.autograd.grad(likelihood, given, factors)
        results.append([likelihood.detach(), gradient, *crf.viterbi(given, case.mask)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected)
