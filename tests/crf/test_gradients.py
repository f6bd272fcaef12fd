"""Derivatives against finite differences, and the gradients that must not be NaN."""

from __future__ import annotations

import pytest
import torch
from cases import COMPILED, Problem, each, each_backend, layer, problem
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]).bool()


def as_function(case: Problem, backend: str):  # type: ignore[no-untyped-def]
    """The log-likelihoods as a function of emissions and parameters, and a point to differentiate it at."""
    crf = layer(case, backend)
    names = ("start_transitions", "transitions", "end_transitions")

    def likelihood(emissions: Tensor, *parameters: Tensor) -> Tensor:
        replaced = dict(zip(names, parameters, strict=True))
        arguments = (emissions, case.tags, case.mask, "none")
        result: Tensor = torch.func.functional_call(crf, replaced, arguments)
        return result

    point = (case.emissions, case.start, case.transitions, case.end)
    return likelihood, tuple(part.clone().requires_grad_() for part in point)


@each_backend
@pytest.mark.parametrize("num_tags", [1, 3])
def test_first_derivatives(backend: str, num_tags: int) -> None:
    function, point = as_function(problem(4, 5, num_tags)._replace(mask=MASK), backend)
    assert gradcheck(function, point)


def test_second_derivatives_of_reference() -> None:
    function, point = as_function(problem(4, 5, 2)._replace(mask=MASK), "reference")
    assert gradgradcheck(function, point)


def test_marginals_of_reference_are_differentiable() -> None:
    case = problem(4, 5, 2)._replace(mask=MASK)
    crf = layer(case, "reference")
    assert gradcheck(lambda e: crf.marginals(e, MASK), case.emissions.clone().requires_grad_())


@each(COMPILED)
def test_second_derivatives_elsewhere_say_where_to_get_them(backend: str) -> None:
    case = problem(2, 5, 3)
    emissions = case.emissions.requires_grad_()
    log_z = layer(case, backend).log_partition(emissions)
    (gradient,) = torch.autograd.grad(log_z.sum(), emissions, create_graph=True)
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
