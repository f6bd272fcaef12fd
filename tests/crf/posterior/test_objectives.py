"""Objectives other than the log-likelihood, and scores and constraints of one batch, against every path
enumerated."""

from __future__ import annotations

import itertools

import pytest
import torch
from cases import COMPILED, DEVICE, NONDETERMINISM, Case, drawn, each, each_backend, layer, problem
from hypothesis import given
from hypothesis import strategies as st
from strategies import doubles, examples, kept_tags, problems, rows
from torch import Tensor
from torch.autograd import gradcheck

exhaustive = examples(20)


def flags(shape: tuple[int, ...], seed: int, share: float = 0.6) -> Tensor:
    return drawn(torch.rand, *shape, seed=seed) < share


def forbidden_by(case: Case, allowed: Tensor) -> Case:
    return case._replace(emissions=case.emissions.masked_fill(~allowed, -torch.inf))


def pairwise_of(case: Case, seed: int) -> Tensor:
    """Pairwise scores; NaN where they must not be read."""
    (B, T), K = case.mask.shape, len(case.start)
    scores = drawn(torch.randn, B, max(0, T - 1), K, K, seed=seed).double()
    follows = case.mask[:, 1:] & (case.mask.cumsum(1)[:, :-1] > 0)
    return scores.masked_fill(~follows[:, :, None, None], torch.nan)


@each_backend
@exhaustive
@given(case=problems(), seed=st.integers(0, 2**16))
def test_partial_labels(backend: str, case: Case, seed: int) -> None:
    candidates = flags(case.emissions.shape, seed)
    expected = []
    for row, chain in enumerate(rows(case)):
        kept = candidates[row, case.mask[row]].tolist()
        through = [all(here[tag] for here, tag in zip(kept, path, strict=True)) for path in chain.paths]
        expected.append(chain.log_probability(through))
    crf = layer(case, backend)
    found = crf.partial_log_likelihood(case.emissions, candidates, case.mask, "none")
    torch.testing.assert_close(found, doubles(expected))


@pytest.mark.reduced
@each_backend
def test_partial_labels_that_leave_one_path_or_all(backend: str) -> None:
    case = problem(4, 5, 3)
    crf = layer(case, backend)
    tags = case.tags.clone()
    tags[1, 1:3] = -1
    tags[2] = -1
    candidates = torch.nn.functional.one_hot(tags.clamp(min=0), 3).bool() | (tags < 0)[..., None]
    emissions = case.emissions.requires_grad_()
    found = crf.partial_log_likelihood(emissions, candidates, case.mask, "none")
    certain = crf(emissions, case.tags, case.mask, "none")
    torch.testing.assert_close(found[[0, 3]], certain[[0, 3]])
    assert found[1] > certain[1]
    torch.testing.assert_close(found[2], torch.zeros_like(found[2]))
    parameters = [emissions, *crf.parameters()]
    ours = torch.autograd.grad(found[[0, 3]].sum(), parameters, retain_graph=True)
    for gradient, expected in zip(ours, torch.autograd.grad(certain[[0, 3]].sum(), parameters), strict=True):
        torch.testing.assert_close(gradient, expected)
    (nothing,) = torch.autograd.grad(found[2], emissions)
    torch.testing.assert_close(nothing, torch.zeros_like(nothing))


@each_backend
def test_partial_labels_without_candidates_or_legal_paths(backend: str) -> None:
    case = problem(3, 4, 2, ragged=False)
    case.emissions[1, 2] = -torch.inf
    crf = layer(case, backend)
    candidates = torch.ones(3, 4, 2, dtype=torch.bool)
    candidates[2, 1] = False
    emissions = case.emissions.requires_grad_()
    found = crf.partial_log_likelihood(emissions, candidates, reduction="none")
    assert found.isneginf().tolist() == [False, True, True]
    found.sum().backward()
    assert emissions.grad is not None
    assert emissions.grad.isfinite().all()
    assert emissions.grad[1].eq(0).all()


@each_backend
@exhaustive
@given(case=problems(), seed=st.integers(0, 2**16))
def test_what_is_not_allowed_is_as_if_it_scored_minus_inf(backend: str, case: Case, seed: int) -> None:
    allowed = flags(case.emissions.shape, seed)
    crf, given = layer(case, backend), (case.emissions, case.mask)
    chains = rows(forbidden_by(case, allowed))
    log_z = doubles([chain.log_partition for chain in chains])
    torch.testing.assert_close(crf.log_partition(*given, allowed=allowed), log_z)
    scores = doubles([chain.score_of(path) for chain, path in zip(chains, kept_tags(case), strict=True)])
    likelihood = crf(case.emissions, case.tags, case.mask, "none", allowed=allowed)
    expected = torch.where(log_z.isinf(), -torch.inf, scores - log_z)
    torch.testing.assert_close(likelihood, expected)
    best = [chain.k_best(1) for chain in chains]
    tags, top = crf.viterbi(*given, allowed=allowed)
    torch.testing.assert_close(top, doubles([found[0][1] if found else -torch.inf for found in best]))
    for row, found in enumerate(best):
        assert not found or tuple(tags[row, case.mask[row]].tolist()) == found[0][0]
    entropies = doubles([chain.entropy for chain in chains])
    torch.testing.assert_close(crf.entropy(*given, allowed=allowed), entropies)


@each_backend
def test_what_is_not_allowed_gets_no_gradient(backend: str) -> None:
    case = problem(3, 5, 4)
    allowed = flags((3, 5, 4), 2) | torch.nn.functional.one_hot(case.tags, 4).bool()
    emissions = case.emissions.requires_grad_()
    layer(case, backend)(emissions, case.tags, case.mask, allowed=allowed).backward()
    assert emissions.grad is not None
    assert torch.equal(emissions.grad != 0, allowed & case.mask[:, :, None] & (allowed.sum(2) > 1)[..., None])
    decoded = layer(case, backend).decode(emissions, case.mask, allowed=allowed)
    for row, path in enumerate(decoded):
        assert all(allowed[row, position, tag] for position, tag in enumerate(path))


@exhaustive
@given(case=problems(forbidden=True), seed=st.integers(0, 2**16))
def test_scores_of_each_pair_of_positions(case: Case, seed: int) -> None:
    pairwise, K = pairwise_of(case, seed), len(case.start)
    crf, given = layer(case, "auto"), (case.emissions, case.mask)
    chains = rows(case, pairwise)
    log_z = doubles([chain.log_partition for chain in chains])
    torch.testing.assert_close(crf.log_partition(*given, pairwise=pairwise), log_z)
    scores = doubles([chain.score_of(path) for chain, path in zip(chains, kept_tags(case), strict=True)])
    torch.testing.assert_close(crf.score(case.emissions, case.tags, case.mask, pairwise=pairwise), scores)
    likelihood = crf(case.emissions, case.tags, case.mask, "none", pairwise=pairwise)
    torch.testing.assert_close(likelihood, torch.where(log_z.isinf(), -torch.inf, scores - log_z))
    torch.testing.assert_close(
        crf.entropy(*given, pairwise=pairwise), doubles([chain.entropy for chain in chains])
    )

    marginals = crf.marginals(*given, pairwise=pairwise)
    pairs = crf.transition_marginals(*given, pairwise=pairwise)
    tags, best = crf.viterbi(*given, 3, pairwise=pairwise)
    for row, chain in enumerate(chains):
        positions = case.mask[row].nonzero()[:, 0]
        torch.testing.assert_close(marginals[row, positions], chain.marginals(K))
        torch.testing.assert_close(pairs[row, positions[1:] - 1], chain.pair_marginals(K))
        for rank, (path, score) in enumerate(chain.k_best(3)):
            assert tuple(tags[rank, row, positions].tolist()) == path
            torch.testing.assert_close(float(best[rank, row]), score)


def test_scores_of_each_pair_of_positions_in_either_layout() -> None:
    case = problem(3, 5, 4)
    pairwise = pairwise_of(case, 1)
    crf, other = layer(case, "reference"), layer(case, "reference", batch_first=False)
    expected = crf(case.emissions, case.tags, case.mask, pairwise=pairwise)
    swapped = (part.transpose(0, 1) for part in (case.emissions, case.tags, case.mask))
    torch.testing.assert_close(other(*swapped, pairwise=pairwise.transpose(0, 1)), expected)
    with pytest.raises(ValueError, match=r"pairwise must be .* \(4, 3, 4, 4\), got .* \(3, 4, 4, 4\)"):
        other.log_partition(case.emissions.transpose(0, 1), pairwise=pairwise)


def test_scores_of_each_pair_of_positions_are_sampled_from() -> None:
    case = problem(2, 4, 3)
    pairwise = pairwise_of(case, 1)
    uniforms = torch.rand(3, 2, 4, dtype=torch.float64, generator=torch.Generator(DEVICE).manual_seed(1))
    generator = torch.Generator(DEVICE).manual_seed(1)
    tags = layer(case, "auto").sample(case.emissions, case.mask, 3, generator, pairwise=pairwise)
    for row, chain in enumerate(rows(case, pairwise)):
        on = case.mask[row]
        for path, shares in zip(tags[:, row, on], uniforms[:, row, on], strict=True):
            assert tuple(path.tolist()) == chain.drawn(shares.tolist())


@exhaustive
@given(case=problems(), seed=st.integers(0, 2**16))
def test_class_weights(case: Case, seed: int) -> None:
    weights = drawn(torch.rand, len(case.start), seed=seed).double()
    expected = []
    for chain, path in zip(rows(case), kept_tags(case), strict=True):
        terms = zip(path, chain.log_conditionals(path), strict=True)
        expected.append(sum(float(weights[tag]) * term for tag, term in terms))
    crf = layer(case, "auto")
    found = crf(case.emissions, case.tags, case.mask, "none", class_weights=weights)
    torch.testing.assert_close(found, doubles(expected))
    ones = torch.ones_like(weights)
    found = crf(case.emissions, case.tags, case.mask, "none", class_weights=ones)
    torch.testing.assert_close(found, crf(case.emissions, case.tags, case.mask, "none"))


@exhaustive
@given(case=problems(forbidden=True), smoothing=st.floats(0.01, 0.99))
def test_label_smoothing(case: Case, smoothing: float) -> None:
    K = len(case.start)
    crf, arguments = layer(case, "auto"), (case.emissions, case.tags, case.mask, "none")
    expected = []
    for chain, plain in zip(rows(case), crf(*arguments).tolist(), strict=True):
        possible = [row[row > 0].log().mean() for row in chain.marginals(K)]
        uniform = float(sum(possible)) if chain.is_legal else -torch.inf
        expected.append((1 - smoothing) * plain + smoothing * uniform)
    torch.testing.assert_close(crf(*arguments, label_smoothing=smoothing), doubles(expected))


def test_class_weights_pairwise_scores_and_smoothing_together_are_differentiable() -> None:
    case = problem(3, 4, 3)
    mask = torch.tensor([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]]).bool()
    crf, weights = layer(case, "reference"), torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    pairwise = drawn(torch.randn, 3, 3, 3, 3, seed=1, dtype=torch.float64)

    def objective(emissions: Tensor, pairwise: Tensor, *_: Tensor) -> Tensor:
        arguments = (emissions, case.tags, mask, "none")
        result: Tensor = crf(*arguments, pairwise=pairwise, class_weights=weights, label_smoothing=0.2)
        return result

    point = (case.emissions.requires_grad_(), pairwise.requires_grad_())
    assert gradcheck(objective, (*point, *crf.parameters()), nondet_tol=NONDETERMINISM)


def test_forbidden_scores_give_no_nan_in_either() -> None:
    case = problem(3, 5, 3, ragged=False)
    case.transitions[1] = -torch.inf
    case.emissions[1] = -torch.inf  # no legal path
    case.tags[:] = torch.tensor([0, 2, 1, 0, 2])  # 0 after 1 is forbidden: the weight 0 of tag 1 forgives it
    crf, emissions = layer(case, "reference"), case.emissions.requires_grad_()
    weights = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    value = crf(emissions, case.tags, reduction="none", class_weights=weights, label_smoothing=0.1)
    assert value.isneginf().tolist() == [False, True, False]
    value[~value.isinf()].sum().backward()
    assert emissions.grad is not None
    assert emissions.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in crf.parameters())


@pytest.mark.reduced
@each_backend
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "token_mean"])
def test_a_row_of_weight_n_counts_as_n_rows(backend: str, reduction: str) -> None:
    case = problem(3, 5, 4)
    crf = layer(case, backend)
    counts = [2, 0, 3]
    weights = torch.tensor(counts, dtype=torch.float64)
    found = crf(case.emissions, case.tags, case.mask, reduction, weights=weights)
    if reduction == "none":
        expected = weights * crf(case.emissions, case.tags, case.mask, "none")
    else:
        repeated = list(itertools.chain.from_iterable([row] * n for row, n in enumerate(counts)))
        expected = crf(case.emissions[repeated], case.tags[repeated], case.mask[repeated], reduction)
    torch.testing.assert_close(found, expected)


@each_backend
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "token_mean"])
def test_a_row_of_weight_0_may_have_no_legal_path(backend: str, reduction: str) -> None:
    case = problem(2, 5, 4, ragged=False)
    case.emissions[1, 2] = -torch.inf
    crf, emissions = layer(case, backend), case.emissions.requires_grad_()
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64)
    value = crf(emissions, case.tags, reduction=reduction, weights=weights)
    assert value.isfinite().all()
    value.sum().backward()
    assert emissions.grad is not None
    assert emissions.grad.isfinite().all()
    zeros = torch.zeros(2, dtype=torch.float64)
    assert crf(emissions, case.tags, reduction=reduction, weights=zeros).eq(0).all()


@each(COMPILED)
def test_what_only_the_reference_can_do_says_so(backend: str) -> None:
    case = problem(2, 3, 4)
    crf, given = layer(case, backend), (case.emissions, case.tags)
    with pytest.raises(ValueError, match=f"the {backend} backend has no pairwise .* backend='reference'"):
        crf(*given, pairwise=torch.zeros(2, 2, 4, 4))
    with pytest.raises(ValueError, match=f"the {backend} backend has no class weights"):
        crf(*given, class_weights=torch.ones(4))
    with pytest.raises(ValueError, match=f"the {backend} backend has no label smoothing"):
        crf(*given, label_smoothing=0.1)


def test_what_does_not_fit_is_named() -> None:
    case = problem(2, 3, 4)
    crf, given = layer(case, "auto"), (case.emissions, case.tags)
    with pytest.raises(ValueError, match=r"allowed must be bool of the emissions' shape \(2, 3, 4\), got"):
        crf(*given, allowed=torch.ones(2, 3, 4))
    with pytest.raises(ValueError, match=r"candidates must be bool .* got torch.bool of shape \(2, 3\)"):
        crf.partial_log_likelihood(case.emissions, torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"weights must be floating point of shape \(2,\), got .* \(3,\)"):
        crf(*given, weights=torch.ones(3))
    with pytest.raises(ValueError, match=r"class_weights must be floating point of shape \(4,\)"):
        crf(*given, class_weights=torch.ones(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="label_smoothing must be at least 0 and less than 1, got 1"):
        crf(*given, label_smoothing=1.0)
