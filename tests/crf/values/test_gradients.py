"""Derivatives against finite differences, and the gradients that must not be NaN."""

from __future__ import annotations

import pytest
import torch
from cases import COMPILED, NONDETERMINISM, Case, each, each_backend, layer, problem
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]).bool()


def as_function(  # type: ignore[no-untyped-def]
    case: Case, backend: str, reduction: str = "none", weights: Tensor | None = None
):
    """The log-likelihoods as a function of emissions and parameters, and a point to differentiate it at."""
    crf = layer(case, backend)
    names = ("start_transitions", "transitions", "end_transitions")

    def likelihood(emissions: Tensor, *parameters: Tensor) -> Tensor:
        replaced = dict(zip(names, parameters, strict=True))
        arguments = (emissions, case.tags, case.mask, reduction)
        result: Tensor = torch.func.functional_call(crf, replaced, arguments, {"weights": weights})
        return result

    point = (case.emissions, case.start, case.transitions, case.end)
    return likelihood, tuple(part.clone().requires_grad_() for part in point)


@each_backend
@pytest.mark.parametrize("num_tags", [1, 3])
def test_first_derivatives(backend: str, num_tags: int) -> None:
    function, point = as_function(problem(4, 5, num_tags)._replace(mask=MASK), backend)
    assert gradcheck(function, point, nondet_tol=NONDETERMINISM)


@each_backend
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 0.0, 1.0])])
@pytest.mark.parametrize("reduction", ["sum", "mean", "token_mean"])
def test_first_derivatives_of_a_reduction(backend: str, reduction: str, weights: Tensor | None) -> None:
    case = problem(4, 5, 3)._replace(mask=MASK.clone())
    case.emissions[2] = -torch.inf  # no legal path
    if weights is None:
        case.mask[2] = False
    function, point = as_function(case, backend, reduction, weights)
    gradients = torch.autograd.grad(function(*point), point, retain_graph=True)
    rows, _ = as_function(case, backend)
    likelihood = rows(*point)
    counts = torch.ones(4, dtype=torch.float64) if weights is None else weights.double()
    over = {"sum": 1.0, "mean": counts.sum(), "token_mean": (counts * case.mask.sum(1)).sum()}[reduction]
    kept = likelihood.isfinite()
    assert kept.tolist() == [True, True, weights is None, True]
    value = (likelihood * counts)[kept].sum() / over
    torch.testing.assert_close(function(*point), value)
    torch.testing.assert_close(gradients, torch.autograd.grad(value, point))
    for factor in (-1.0, 0.25):  # a loss is the negative
        loss = factor * function(*point)
        for _ in range(2):
            again = torch.autograd.grad(loss, point, retain_graph=True)
            torch.testing.assert_close(again, tuple(factor * gradient for gradient in gradients))


def test_weights_that_are_learned_have_a_gradient() -> None:
    case = problem(3, 4, 2)
    weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64, requires_grad=True)
    crf = layer(case, "auto")
    crf(case.emissions, case.tags, case.mask, weights=weights).backward()
    torch.testing.assert_close(weights.grad, crf(case.emissions, case.tags, case.mask, "none").detach())


def test_second_derivatives_of_reference() -> None:
    function, point = as_function(problem(4, 5, 2)._replace(mask=MASK), "reference")
    assert gradgradcheck(function, point, nondet_tol=NONDETERMINISM)


def test_marginals_of_reference_are_differentiable() -> None:
    case = problem(4, 5, 2)._replace(mask=MASK)
    crf = layer(case, "reference")
    point = case.emissions.clone().requires_grad_()
    assert gradcheck(lambda e: crf.marginals(e, MASK), point, nondet_tol=NONDETERMINISM)


@each(COMPILED)
def test_second_derivatives_elsewhere_say_where_to_get_them(backend: str) -> None:
    case = problem(2, 5, 3)
    emissions = case.emissions.requires_grad_()
    log_z = layer(case, backend).log_partition(emissions)
    (gradient,) = torch.autograd.grad(log_z.sum(), emissions, create_graph=True)
    with pytest.raises(NotImplementedError, match="reference"):
        torch.autograd.backward(gradient.square().sum())
    loss = -layer(case, backend)(emissions, case.tags)
    (gradient,) = torch.autograd.grad(loss, emissions, create_graph=True)
    torch.testing.assert_close(gradient, torch.autograd.grad(loss, emissions)[0])
    with pytest.raises(NotImplementedError, match="reference"):
        torch.autograd.backward(gradient.square().sum())


@pytest.mark.parametrize("order", [1, 2])
def test_forbidden_scores_give_no_nan_of_any_order(order: int) -> None:
    case = problem(4, 5, 3)._replace(mask=MASK)
    case.transitions[:, 1] = -torch.inf
    case.emissions[0, 2, 0] = -torch.inf
    case.emissions[1] = -torch.inf  # no legal path
    function, point = as_function(case, "reference")
    value = function(*point)
    assert value[1] == -torch.inf
    value = value[~value.isinf()].sum()
    gradients = torch.autograd.grad(value, point, create_graph=order == 2)
    if order == 2:
        gradients = torch.autograd.grad(sum(g.square().sum() for g in gradients), point)
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.reduced
@each_backend
def test_masked_positions_have_gradient_exactly_zero_whatever_stands_there(backend: str) -> None:
    case = problem(4, 5, 3)._replace(mask=MASK)
    clean, _ = as_function(case, backend)
    expected = clean(case.emissions, case.start, case.transitions, case.end)
    spoilt = case._replace(tags=case.tags.masked_fill(~MASK, -100))
    spoilt.emissions[~MASK] = torch.tensor([torch.nan, torch.inf, -torch.inf], dtype=torch.float64)
    function, point = as_function(spoilt, backend)
    value = function(*point)
    value.sum().backward()
    assert torch.equal(value, expected)
    assert point[0].grad is not None
    assert point[0].grad[~MASK].eq(0).all()
    assert all(part.grad.isfinite().all() for part in point)


@each_backend
def test_every_parameter_moves_in_training(backend: str) -> None:
    case = problem(3, 5, 2).to(torch.float32)
    crf = layer(case, backend)
    before = [parameter.detach().clone() for parameter in crf.parameters()]
    (-crf(case.emissions, case.tags, case.mask)).backward()
    torch.optim.SGD(crf.parameters(), lr=0.1).step()
    assert len(before) == 3
    assert all((old != new).all() for old, new in zip(before, crf.parameters(), strict=True))
