"""torch.compile and torch.export of loss and tensor decode, with any batch and time; autocast."""

from __future__ import annotations

import pytest
import torch
from cases import COMPILED, DEVICE, Case, each, each_backend, layer, problem
from torch import Tensor, nn

from pybert_crf import CRF

# torch's own, while it traces
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
SIZES = [(3, 5), (4, 7), (2, 9)]


class Loss(nn.Module):
    def __init__(self, crf: CRF) -> None:
        super().__init__()
        self.crf = crf

    def forward(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        loss: Tensor = -self.crf(emissions, tags, mask, reduction="mean")
        return loss


class Decode(Loss):
    def forward(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        tags, scores = self.crf.viterbi(emissions, mask)
        return tags, scores


def loss_and_gradients(run: nn.Module, crf: CRF, case: Case) -> list[Tensor]:
    emissions = case.emissions.clone().requires_grad_()
    loss = run(emissions, case.tags, case.mask)
    return [loss.detach(), *torch.autograd.grad(loss, [emissions, *crf.parameters()])]


def check_compiled(backend: str, compiler: str) -> None:
    torch._dynamo.reset()
    crf = layer(problem(2, 3, 4).to(torch.float32), backend)
    loss, decode = Loss(crf), Decode(crf)
    compiled_loss = torch.compile(loss, fullgraph=True, dynamic=True, backend=compiler)
    compiled_decode = torch.compile(decode, fullgraph=True, dynamic=True, backend=compiler)
    for batch, time in SIZES:
        case = problem(batch, time, 4).to(torch.float32)
        ours, theirs = loss_and_gradients(compiled_loss, crf, case), loss_and_gradients(loss, crf, case)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(
            compiled_decode(case.emissions, case.mask), decode(case.emissions, case.mask)
        )


@each(COMPILED)
def test_one_compiled_graph_for_every_size(backend: str) -> None:
    check_compiled(backend, "aot_eager")


@pytest.mark.slow
@pytest.mark.skipif("native" not in COMPILED, reason="the compiled extension is not built")
@pytest.mark.filterwarnings("ignore:Skipping serialization of skipfiles")  # of torch 2.6's own cache
def test_compiled_by_inductor() -> None:
    check_compiled("native", "inductor")


def test_the_reference_compiles_for_the_sizes_it_is_given() -> None:
    """Its loop over time is plain PyTorch, unrolled: one graph per length."""
    torch._dynamo.reset()
    crf = layer(problem(2, 3, 4), "reference")
    loss = Loss(crf)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    case = problem(2, 4, 4)
    torch.testing.assert_close(loss_and_gradients(compiled, crf, case), loss_and_gradients(loss, crf, case))


@each(COMPILED)
def test_one_exported_program_for_every_size(backend: str) -> None:
    crf = layer(problem(2, 3, 4).to(torch.float32), backend)
    case = problem(3, 6, 4).to(torch.float32)
    axes = {0: torch.export.Dim("batch", max=64), 1: torch.export.Dim("time", max=512)}
    loss = torch.export.export(
        Loss(crf), (case.emissions, case.tags, case.mask), dynamic_shapes=(axes, axes, axes)
    ).module()
    decode = torch.export.export(
        Decode(crf), (case.emissions, case.mask), dynamic_shapes=(axes, axes)
    ).module()
    for batch, time in SIZES:
        other = problem(batch, time, 4).to(torch.float32)
        torch.testing.assert_close(
            loss(other.emissions, other.tags, other.mask), Loss(crf)(other.emissions, other.tags, other.mask)
        )
        torch.testing.assert_close(
            decode(other.emissions, other.mask), crf.viterbi(other.emissions, other.mask)
        )


@each_backend
def test_autocast(backend: str) -> None:
    """Emissions of half precision from a layer under autocast; the loss in float32, as exact as they are."""
    torch.manual_seed(0)
    linear, crf = nn.Linear(8, 5).to(DEVICE), CRF(5, batch_first=True, backend=backend).to(DEVICE)
    hidden = torch.randn(3, 6, 8).to(DEVICE)
    case = problem(3, 6, 5)
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        emissions = linear(hidden)
        assert emissions.dtype == torch.bfloat16
        likelihood = crf(emissions, case.tags, case.mask)
        tags = crf.decode(emissions, case.mask)
    assert likelihood.dtype == torch.float32
    expected = crf(emissions.float(), case.tags, case.mask)
    torch.testing.assert_close(likelihood, expected)
    assert tags == crf.decode(emissions.float(), case.mask)
    (-likelihood).backward()
    for parameter in (*linear.parameters(), *crf.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()
