"""The posterior distribution of a row's path, against every path enumerated."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from cases import DEVICE, NONDETERMINISM, Case, each_backend, layer, problem
from hypothesis import given
from hypothesis import strategies as st
from strategies import doubles, examples, forbid, problems, rows
from torch import Tensor
from torch.autograd import gradcheck

exhaustive = examples(20)


def on_the_positions(case: Case, row: int, found: Tensor) -> Tensor:
    """The entries of (B, T - 1, ...) for neighbours in one row's chain."""
    return found[row, (case.mask[row].nonzero()[1:, 0] - 1)]


@each_backend
@exhaustive
@given(case=problems(forbidden=True))
def test_marginals_of_neighbours(backend: str, case: Case) -> None:
    crf = layer(case, backend)
    found = crf.transition_marginals(case.emissions, case.mask)
    K = len(case.start)
    assert found.shape == (len(case.mask), max(0, case.mask.shape[1] - 1), K, K)
    for row, chain in enumerate(rows(case)):
        expected = chain.pair_marginals(K)
        torch.testing.assert_close(on_the_positions(case, row, found), expected)
        torch.testing.assert_close(found[row].sum(), expected.sum())  # and nothing stands elsewhere


@each_backend
@exhaustive
@given(case=problems(forbidden=True))
def test_entropy(backend: str, case: Case) -> None:
    expected = doubles([chain.entropy for chain in rows(case)])
    torch.testing.assert_close(layer(case, backend).entropy(case.emissions, case.mask), expected)


@each_backend
@exhaustive
@given(case=problems(forbidden=True), seed=st.integers(0, 2**16), forbids=st.booleans())
def test_divergence(backend: str, case: Case, seed: int, forbids: bool) -> None:
    other = problem(*case.emissions.shape, seed=seed)._replace(mask=case.mask)
    if forbids:
        forbid(other, 0.1, seed)
    pairs = zip(rows(case), rows(other), strict=True)
    expected = doubles([ours.kl_divergence(theirs) for ours, theirs in pairs])
    found = layer(case, backend).kl_divergence(
        case.emissions, layer(other, backend), other.emissions, case.mask
    )
    torch.testing.assert_close(found, expected)


@each_backend
@exhaustive
@given(case=problems(forbidden=True), seed=st.integers(0, 2**16))
def test_symmetric_divergence(backend: str, case: Case, seed: int) -> None:
    other = case._replace(emissions=problem(*case.emissions.shape, seed=seed).emissions)
    pairs = list(zip(rows(case), rows(other), strict=True))
    expected = doubles([ours.kl_divergence(theirs) + theirs.kl_divergence(ours) for ours, theirs in pairs])
    given = [part.masked_fill(~case.mask[..., None], torch.nan) for part in (case.emissions, other.emissions)]
    found = layer(case, backend).symmetric_divergence(*given, case.mask)
    torch.testing.assert_close(found, expected)


@each_backend
@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("spread", [0.0, 1e-3, 1.0, 50.0])
def test_the_gradient_of_the_symmetric_divergence(backend: str, forbidden: bool, spread: float) -> None:
    """That of both divergences, through the reference; to rounding, which is what float32 keeps of it."""
    case = problem(4, 9, 5, seed=3)
    if forbidden:
        forbid(case, 0.2, 3)
    other = case.emissions + spread * problem(4, 9, 5, seed=4).emissions
    answers = []
    for name in ("reference", backend):
        crf = layer(case, name)
        both = [part.clone().requires_grad_() for part in (case.emissions, other)]
        if len(answers) == 0:
            total = crf.kl_divergence(both[0], crf, both[1], case.mask)
            total = total + crf.kl_divergence(both[1], crf, both[0], case.mask)
        else:
            total = crf.symmetric_divergence(*both, case.mask)
        factors = torch.linspace(0.5, 2.0, 4, dtype=total.dtype, device=total.device)
        answers.append(torch.autograd.grad((factors * total).sum(), [*both, *crf.parameters()]))
    for expected, found in zip(*answers, strict=True):
        scale = float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8 * max(scale, 1e-3))


@pytest.mark.reduced
@each_backend
def test_the_symmetric_divergence_in_float32(backend: str) -> None:
    case = problem(3, 40, 7, seed=5)
    other = problem(3, 40, 7, seed=6).emissions
    gradients = []
    for dtype in (torch.float64, torch.float32):
        crf = layer(case, backend, batch_first=False).to(dtype)
        both = [part.transpose(0, 1).to(dtype).requires_grad_() for part in (case.emissions, other)]
        total = crf.symmetric_divergence(*both, case.mask.T)
        assert (total.dtype, total.shape) == (dtype, (3,))
        gradients.append(torch.autograd.grad(total.sum(), [*both, *crf.parameters()]))
    for expected, found in zip(*gradients, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@each_backend
def test_a_forbidden_tag_of_one_side_is_infinitely_far(backend: str) -> None:
    case = problem(2, 3, 3)
    other = case.emissions.clone()
    other[0, 0, 0] = -torch.inf
    both = [part.clone().requires_grad_() for part in (case.emissions, other)]
    found = layer(case, backend).symmetric_divergence(*both)
    assert found.tolist() == [torch.inf, 0.0]
    for gradient in torch.autograd.grad(found[1] + 0 * found[0].nan_to_num(posinf=0.0), both):
        assert gradient.isfinite().all()
    again = layer(case, backend).symmetric_divergence(other, other)
    assert again.tolist() == [0.0, 0.0]


def test_second_derivatives_of_the_symmetric_divergence_are_refused() -> None:
    case = problem(2, 3, 4)
    both = [part.clone().requires_grad_() for part in (case.emissions, 2 * case.emissions)]
    total = layer(case, "auto").symmetric_divergence(*both).sum()
    with pytest.raises(NotImplementedError, match="second derivatives of the symmetric divergence"):
        torch.autograd.grad(total, both, create_graph=True)


@pytest.mark.reduced
@each_backend
def test_no_divergence_from_oneself_whatever_the_layout(backend: str) -> None:
    case = problem(3, 7, 4)
    ours, theirs = layer(case, backend), layer(case, backend, batch_first=False)
    found = ours.kl_divergence(case.emissions, theirs, case.emissions, case.mask)
    torch.testing.assert_close(found, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12)
    other = problem(3, 7, 4, seed=1)
    expected = ours.kl_divergence(case.emissions, layer(other, backend), other.emissions, case.mask)
    swapped = (case.emissions.transpose(0, 1), other.emissions.transpose(0, 1), case.mask.T)
    found = theirs.kl_divergence(swapped[0], layer(other, backend), *swapped[1:])
    torch.testing.assert_close(found, expected)


@each_backend
@exhaustive
@given(case=problems(forbidden=True))
def test_each_position_by_itself(backend: str, case: Case) -> None:
    K = len(case.start)
    tags, probabilities = layer(case, backend).posterior_decode(case.emissions, case.mask)
    for row, chain in enumerate(rows(case)):
        on = case.mask[row]
        best = chain.marginals(K).max(dim=1)
        torch.testing.assert_close(probabilities[row, on], best.values)
        # Equal probabilities are equal up to rounding: any of the best tags then.
        chosen = chain.marginals(K).gather(1, tags[row, on, None].clamp(min=0))[:, 0]
        torch.testing.assert_close(chosen, best.values)
        assert tags[row, on].ge(0).all() == chain.is_legal
    assert tags[~case.mask].eq(-1).all()
    assert probabilities[~case.mask].eq(0).all()


@each_backend
def test_of_equal_probabilities_the_lowest_tag_wins(backend: str) -> None:
    case = problem(2, 5, 3)
    case = Case(*(part.zero_() if part.is_floating_point() else part for part in case))
    tags, probabilities = layer(case, backend).posterior_decode(case.emissions)
    assert tags.eq(0).all()
    torch.testing.assert_close(probabilities, torch.full((2, 5), 1 / 3, dtype=torch.float64))


@each_backend
@exhaustive
@given(case=problems(forbidden=True), seed=st.integers(0, 2**16))
def test_samples_are_what_the_uniforms_choose(backend: str, case: Case, seed: int) -> None:
    n = 4
    uniforms = torch.rand(
        n, *case.mask.shape, dtype=torch.float64, generator=torch.Generator(DEVICE).manual_seed(seed)
    )
    generator = torch.Generator(DEVICE).manual_seed(seed)
    tags = layer(case, backend).sample(case.emissions, case.mask, n, generator)
    assert tags.shape == uniforms.shape
    assert tags[:, ~case.mask].eq(-1).all()
    for row, chain in enumerate(rows(case)):
        on = case.mask[row]
        for path, shares in zip(tags[:, row, on], uniforms[:, row, on], strict=True):
            expected = chain.drawn(shares.tolist()) if chain.is_legal else (-1,) * chain.length
            assert tuple(path.tolist()) == expected


@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_are_as_frequent_as_they_are_probable(backend: str, dtype: torch.dtype) -> None:
    case = problem(2, 4, 2, seed=8, ragged=False)
    n = 20_000
    crf = layer(case.to(dtype), backend)
    tags = crf.sample(case.emissions.to(dtype), None, n, torch.Generator(DEVICE).manual_seed(1))
    for row, chain in enumerate(rows(case)):
        counts = Counter(map(tuple, tags[:, row].tolist()))
        for path, probability in zip(chain.paths, chain.probabilities.tolist(), strict=True):
            spread = (probability * (1 - probability) / n) ** 0.5
            assert abs(counts[path] / n - probability) < 4 * spread


@pytest.mark.reduced
@each_backend
def test_samples_come_from_the_generator(backend: str) -> None:
    case = problem(3, 6, 5).to(torch.float32)
    crf = layer(case, backend)
    ours, again = torch.Generator(DEVICE).manual_seed(3), torch.Generator(DEVICE).manual_seed(3)
    first = crf.sample(case.emissions, case.mask, 5, ours)
    assert torch.equal(first, crf.sample(case.emissions, case.mask, 5, again))
    assert not torch.equal(first, crf.sample(case.emissions, case.mask, 5, again))
    torch.manual_seed(3)
    assert torch.equal(first, crf.sample(case.emissions, case.mask, 5))
    time_first = layer(case, backend, batch_first=False)
    swapped = time_first.sample(case.emissions.transpose(0, 1), case.mask.T, 5, ours.manual_seed(3))
    assert torch.equal(first, swapped.transpose(1, 2))
    assert crf.sample(case.emissions, case.mask, 0).shape == (0, 3, 6)


MASK = torch.tensor([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]]).bool()


@pytest.mark.parametrize("forbidden", [False, True])
def test_they_are_differentiable_with_the_reference(forbidden: bool) -> None:
    case, other = (problem(4, 4, 3, seed=seed)._replace(mask=MASK) for seed in (0, 1))
    for spoilt in (case, other) if forbidden else ():
        spoilt.transitions[:, 1] = -torch.inf
        spoilt.emissions[0, 2, 0] = -torch.inf
        spoilt.emissions[2] = -torch.inf  # no legal path
    crf, peer = layer(case, "reference"), layer(other, "reference")
    emissions = case.emissions.requires_grad_(not forbidden)
    theirs = other.emissions.requires_grad_(not forbidden)
    parameters = [crf.start_transitions, crf.end_transitions]

    def everything(emissions: Tensor, theirs: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        return (
            crf.entropy(emissions, MASK),
            crf.kl_divergence(emissions, peer, theirs, MASK),
            crf.transition_marginals(emissions, MASK),
        )

    if not forbidden:
        assert gradcheck(everything, (emissions, theirs, *parameters), nondet_tol=NONDETERMINISM)
    total = sum(part.square().sum() for part in everything(emissions, theirs))
    gradients = torch.autograd.grad(total, [*crf.parameters(), *peer.parameters()])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert all(gradient.ne(0).any() for gradient in gradients)


@each_backend
def test_a_long_row_is_as_exact_as_a_short_one(backend: str) -> None:
    """Independent positions: the entropy is the sum of theirs. Everything in float32."""
    case = problem(2, 2000, 3, seed=5).to(torch.float32)
    case = case._replace(transitions=torch.zeros(3, 3))
    crf = layer(case, backend)
    alone = case.emissions.double()
    alone[:, 0] += case.start
    last = case.mask.sum(1) - 1
    alone[torch.arange(2), last] += case.end
    p = alone.softmax(2)
    expected = (-(p * p.log()).sum(2) * case.mask).sum(1)
    found = crf.entropy(case.emissions, case.mask)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    pairs = crf.transition_marginals(case.emissions, case.mask)
    expected = torch.where(case.mask[:, 1:, None, None], p[:, :-1, :, None] * p[:, 1:, None, :], 0.0)
    torch.testing.assert_close(pairs.double(), expected, rtol=0, atol=1e-6)


def test_what_does_not_fit_is_named() -> None:
    case, wider = problem(2, 3, 4), problem(2, 3, 5)
    crf = layer(case, "auto")
    with pytest.raises(ValueError, match=r"other_emissions must be of the emissions' shape \(2, 3, 4\)"):
        crf.kl_divergence(case.emissions, crf, case.emissions[:, :2])
    with pytest.raises(ValueError, match=r"other_emissions must be of the emissions' shape \(2, 3, 4\)"):
        crf.symmetric_divergence(case.emissions, case.emissions[:, :2])
    with pytest.raises(ValueError, match="expected last dimension of emissions is 5, got 4"):
        crf.kl_divergence(case.emissions, layer(wider, "auto"), case.emissions)
    with pytest.raises(ValueError, match="n must not be negative, got -1"):
        crf.sample(case.emissions, n=-1)
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        crf.viterbi(case.emissions, k=0)
