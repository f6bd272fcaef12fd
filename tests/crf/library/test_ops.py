"""The ops under torch's own checks, against direct calls of the backends, and under tracers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import COMPILED, Case, chain_of, each, problem
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from pybert_crf.crf import autograd, library
from pybert_crf.crf.problem import Chain

OPS = torch.ops.pybert_crf


def arguments(name: str, case: Case, backend: str) -> tuple[Any, ...]:
    """The arguments of an op; those that can be differentiated require gradients."""
    chain = chain_of(case)
    if name in ("log_partition", "log_likelihood"):
        for scores in (chain.emissions, chain.start, chain.transitions, chain.end):
            scores.requires_grad_()
    if name == "value_and_gradient":
        return torch.linspace(0, 1, 3), case.tags, *chain, backend
    if name == "gradient":
        log_z, messages = OPS.log_partition(*chain, backend)
        return torch.ones_like(log_z), case.tags, *chain, messages, log_z, backend
    before: dict[str, tuple[Any, ...]] = {
        "log_likelihood": (case.tags,),
        "k_best": (3,),
        "sample": (torch.rand(2, *case.mask.shape, dtype=torch.float64),),
    }
    return *before.get(name, ()), *chain, backend


@each(COMPILED)
@pytest.mark.parametrize(
    "name",
    [
        "log_partition",
        "log_likelihood",
        "gradient",
        "value_and_gradient",
        "viterbi",
        "k_best",
        "log_alphas",
        "sample",
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # of torch 2.15's own check
def test_torch_checks_the_ops(name: str, backend: str) -> None:
    case = problem(3, 5, 2).to(torch.float32)
    torch.library.opcheck(getattr(OPS, name).default, arguments(name, case, backend))


@each(COMPILED)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_checks_the_gradient_without_tags(backend: str) -> None:
    grad, _, *rest = arguments("gradient", problem(3, 5, 2), backend)
    torch.library.opcheck(OPS.gradient.default, (grad, None, *rest))


@pytest.mark.reduced
@each(COMPILED)
def test_ops_and_direct_calls_are_the_same(backend: str) -> None:
    case = problem(4, 7, 3)
    chain = chain_of(case)
    weights = torch.linspace(-1.0, 2.0, 4, dtype=torch.float64)
    results = []
    for of_tags in (
        lambda: autograd.log_likelihood(case.tags, chain, backend),
        lambda: OPS.log_likelihood(case.tags, *chain, backend)[0],
    ):
        leaves = (chain.emissions, chain.start, chain.transitions, chain.end)
        for leaf in leaves:
            leaf.requires_grad_()
        value: Tensor = of_tags()
        results.append([value.detach(), *torch.autograd.grad((weights * value).sum(), leaves)])
    assert all(map(torch.equal, *results))


@each(COMPILED)
def test_a_tracer_sees_ops(backend: str) -> None:
    """Also outside torch.compile, with anything built on dispatch modes or tensor subclasses."""
    case = problem(4, 7, 3)
    chain = chain_of(case)

    def both(emissions: Tensor) -> Tensor:
        given = chain._replace(emissions=emissions)
        likelihood = autograd.log_likelihood(case.tags, given, backend)
        return (
            likelihood + autograd.viterbi(given, backend)[1] + autograd.marginals(given, backend).sum((1, 2))
        )

    graph = make_fx(both)(case.emissions)
    called = {str(node.target) for node in graph.graph.nodes if node.op == "call_function"}
    wanted = {f"pybert_crf.{name}.default" for name in ("log_likelihood", "viterbi", "value_and_gradient")}
    assert wanted <= called
    torch.testing.assert_close(graph(case.emissions), both(case.emissions))


def test_functional_gradients_of_reference() -> None:
    """torch.func knows no autograd formula of an op; it needs the plain PyTorch of the reference backend."""
    case = problem(4, 7, 3)
    chain = chain_of(case)

    def total(emissions: Tensor) -> Tensor:
        return autograd.log_partition(chain._replace(emissions=emissions), "reference").sum()

    expected = autograd.marginals(chain, "reference")
    torch.testing.assert_close(torch.func.grad(total)(case.emissions), expected)


@pytest.mark.parametrize("device", ["CPU", "CUDA"])
@pytest.mark.parametrize("name", sorted(library._OPS))
def test_the_ops_are_there_for_each_kind_of_device(name: str, device: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"pybert_crf::{name}", device)


@pytest.mark.parametrize(("backend", "messages"), [("native", torch.float32), ("reference", torch.float64)])
def test_what_the_ops_promise_for_cuda_tensors(backend: str, messages: torch.dtype) -> None:
    given = [part.to("meta") for part in chain_of(problem(2, 5, 3).to(torch.float32))]
    with FakeTensorMode() as mode:
        chain = Chain(*(FakeTensor(mode, part, torch.device("cuda:0")) for part in given))
        log_z, alphas = torch.ops.pybert_crf.log_partition(*chain, backend)
    assert log_z.device == alphas.device == torch.device("cuda:0")
    assert (log_z.dtype, alphas.dtype) == (torch.float32, messages)
