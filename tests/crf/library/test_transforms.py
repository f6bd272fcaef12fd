"""torch.func, forward-mode derivatives, tracing, scripting, and zeros without storage: the right value, or an
error in words."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from cases import each_backend, layer, problem
from torch import Tensor, nn

from pybert_crf.crf import CRF

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::torch.jit.TracerWarning",
    "ignore:`torch.jit:FutureWarning",  # of torch 2.15, whose torch.func calls it too
)

CASE = problem(3, 5, 4, ragged=False)


@each_backend
def test_functional_transforms(backend: str) -> None:
    crf = layer(CASE, backend)
    leaf = CASE.emissions.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(crf.log_partition(leaf).sum(), leaf)
    gradient = torch.func.grad(lambda x: crf.log_partition(x).sum())(CASE.emissions)
    torch.testing.assert_close(gradient, wanted)
    mapped = torch.func.vmap(lambda x: crf.log_partition(x[None])[0])(CASE.emissions)
    torch.testing.assert_close(mapped, crf.log_partition(CASE.emissions))
    tags = torch.func.vmap(lambda x: crf.viterbi(x[None])[0][0])(CASE.emissions)
    assert torch.equal(tags, crf.viterbi(CASE.emissions)[0])
    ones = torch.ones_like(CASE.emissions)
    _, tangent = torch.func.jvp(crf.log_partition, (CASE.emissions,), (ones,))
    torch.testing.assert_close(tangent, wanted.sum(dim=(1, 2)))


class Traced(nn.Module):
    def __init__(self, crf: CRF) -> None:
        super().__init__()
        self.crf = crf

    def forward(self, emissions: Tensor) -> tuple[Tensor, ...]:
        return *self.crf.viterbi(emissions), self.crf.marginals(emissions), self.crf.log_partition(emissions)


@each_backend
def test_a_trace_computes(backend: str) -> None:
    """And does not return the memory that a kernel wrote to while it was traced."""
    model = Traced(layer(CASE, backend))
    traced = torch.jit.trace(model, (CASE.emissions,), check_trace=False)
    other = CASE.emissions.flip(0) * 2
    for found, wanted in zip(traced(other), model(other), strict=True):
        torch.testing.assert_close(found, wanted)


@each_backend
@pytest.mark.parametrize("operation", ["viterbi", "marginals", "log_partition"])
def test_the_onnx_exporter_that_traces_is_refused(backend: str, operation: str) -> None:
    """It has no form for the reference's operators, and says so less clearly."""
    pytest.importorskip("onnx")

    class One(Traced):
        def forward(self, emissions: Tensor) -> Any:
            return getattr(self.crf, operation)(emissions)

    with pytest.raises(RuntimeError, match=r"pybert_crf\.crf\.onnx\.export_viterbi"):
        torch.onnx.export(One(layer(CASE, backend)), (CASE.emissions,), io.BytesIO(), dynamo=False)


def test_decode_cannot_be_traced() -> None:
    crf = layer(CASE, "auto")
    with pytest.raises(RuntimeError, match=r"torch\.export"):
        torch.jit.trace(lambda x: torch.tensor(crf.decode(x)), (CASE.emissions,), check_trace=False)


def test_torchscript_is_refused() -> None:
    with pytest.raises(RuntimeError, match="CRF does not support TorchScript"):
        torch.jit.script(Traced(layer(CASE, "auto")))


@each_backend
def test_zeros_without_storage(backend: str) -> None:
    crf = layer(CASE, backend)
    zeros = torch._efficientzerotensor(CASE.emissions.shape, dtype=torch.float64)
    for found, wanted in zip(crf.viterbi(zeros), crf.viterbi(torch.zeros_like(CASE.emissions)), strict=True):
        assert torch.equal(found, wanted)
    leaf = CASE.emissions.clone().requires_grad_()
    likelihood = crf(leaf, CASE.tags, reduction="none")
    likelihood.backward(torch._efficientzerotensor((3,), dtype=torch.float64))
    assert leaf.grad is not None
    assert leaf.grad.eq(0).all()
