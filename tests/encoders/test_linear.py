"""Linear maps computed as convolutions: the same numbers, and used only where they are faster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from encoder_cases import as_ours, batch_for, each_family, our_encoder, their_model
from parity import state_error
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pybert_crf.encoders import linear as module
from pybert_crf.encoders.linear import MIN_ROWS, Linear, amd_family, linear


@pytest.fixture
def convolving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behave as on a processor where convolutions are faster."""
    monkeypatch.setattr(module, "convolution_is_faster", lambda: True)


@pytest.fixture
def always(convolving: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use convolutions for the smallest products too."""
    monkeypatch.setattr(module, "MIN_ROWS", 1)
    monkeypatch.setattr(module, "MIN_WEIGHTS", 1)


class _Convolutions(TorchDispatchMode):
    """Count the convolutions."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten.convolution.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [(MIN_ROWS,), (3, 67), (2, 5, 41)])
@pytest.mark.usefixtures("convolving")
def test_values_and_gradients(rows: tuple[int, ...], bias: bool) -> None:
    """For contiguous and, in the last case, transposed input; the result is contiguous."""
    torch.manual_seed(0)
    x = torch.randn(*rows, 260)
    x = x.transpose(0, -2) if len(rows) == 3 else x
    weight, shift = torch.randn(270, 260) / 16, torch.randn(270) if bias else None
    results = []
    for function, dtype in ((linear, torch.float32), (F.linear, torch.float64)):
        used = [t.to(dtype).requires_grad_() for t in (x, weight, shift) if t is not None]
        with _Convolutions() as convolutions:
            mapped = function(*used)
        assert convolutions.count == (function is linear)
        assert mapped.is_contiguous()
        weighting = torch.linspace(-1.0, 1.0, 270, dtype=dtype)
        results.append([mapped, *torch.autograd.grad((mapped * weighting).sum(), used)])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.usefixtures("convolving")
def test_it_is_onednn_that_convolves(count: int) -> None:
    """Forward and backward, with one thread and with several."""
    x, weight = torch.randn(200, 260, requires_grad=True), torch.randn(270, 260, requires_grad=True)
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with torch.profiler.profile() as profile:
            linear(x, weight).sum().backward()
    finally:
        torch.set_num_threads(before)
    called = {event.key for event in profile.key_averages()}
    assert {"aten::mkldnn_convolution", "aten::convolution_backward"} <= called
    assert not called & {"aten::thnn_conv2d", "aten::_slow_conv2d_forward", "aten::_slow_conv2d_backward"}


@contextmanager
def _without_onednn() -> Iterator[None]:
    torch.backends.mkldnn.set_flags(False)
    yield
    torch.backends.mkldnn.set_flags(True)


class _Own(Tensor):
    """A subclass of Tensor."""


CASES = {
    "few rows": (torch.zeros(MIN_ROWS - 1, 260), torch.zeros(270, 260), nullcontext()),
    "few weights": (torch.zeros(200, 200), torch.zeros(200, 200), nullcontext()),
    "double": (torch.zeros(200, 260).double(), torch.zeros(270, 260).double(), nullcontext()),
    "bfloat16": (torch.zeros(200, 260).bfloat16(), torch.zeros(270, 260).bfloat16(), nullcontext()),
    "autocast": (torch.zeros(200, 260), torch.zeros(270, 260), torch.autocast("cpu", torch.bfloat16)),
    "another type": (torch.zeros(200, 260), torch.zeros(270, 260).as_subclass(_Own), nullcontext()),
    "oneDNN off": (torch.zeros(200, 260), torch.zeros(270, 260), _without_onednn()),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("convolving")
def test_otherwise_a_product(name: str) -> None:
    x, weight, context = CASES[name]
    assert _convolutions(x, weight, context) == 0


@pytest.mark.parametrize("faster", [False, True])
def test_the_processor_decides(faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "convolution_is_faster", lambda: faster)
    assert _convolutions(torch.zeros(200, 260), torch.zeros(270, 260), nullcontext()) == faster


def _convolutions(x: Tensor, weight: Tensor, context: AbstractContextManager[Any]) -> int:
    with context, _Convolutions() as convolutions:
        assert linear(x, weight).shape == (x.shape[0], weight.shape[0])
    return convolutions.count


@each_family
@pytest.mark.usefixtures("always")
def test_every_family(family: str) -> None:
    """All hidden states equal transformers'."""
    theirs = their_model(family)
    ours = as_ours(theirs)
    batch = batch_for(ours.config)
    with _Convolutions() as convolutions:
        ours(**batch)
    assert convolutions.count >= 4 * len(ours.applied_layers)
    assert state_error(ours, theirs, batch) < 1e-5


@pytest.mark.usefixtures("always")
def test_graphs_hold_no_convolution() -> None:
    """Exported graphs run on other processors, and a compiler chooses its own kernels."""
    torch.compiler.reset()
    encoder = our_encoder("bert").eval()
    batch = batch_for(encoder.config)
    graphs = [torch.export.export(encoder, (), batch).graph]

    def keep(module: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        graphs.append(module.graph)
        return module.forward

    torch.compile(encoder, fullgraph=True, backend=keep)(**batch)
    assert len(graphs) == 2
    for graph in graphs:
        called = {str(node.target) for node in graph.nodes if node.op == "call_function"}
        assert [name for name in called if "linear" in name]
        assert not [name for name in called if "conv" in name]


def test_it_is_a_linear_module() -> None:
    """For code that searches for nn.Linear; names and initial weights are the same."""
    torch.manual_seed(1)
    ours = Linear(7, 5)
    torch.manual_seed(1)
    theirs = nn.Linear(7, 5)
    assert isinstance(ours, nn.Linear)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert torch.equal(ours(torch.ones(2, 7)), theirs(torch.ones(2, 7)))


@pytest.mark.parametrize(
    ("processor", "family"),
    [
        ("processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\n", 26),
        ("processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 97\n", 25),
        ("processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n", 0),
        ("AMD64 Family 26 Model 68 Stepping 0, AuthenticAMD", 26),
        ("Intel64 Family 6 Model 183 Stepping 1, GenuineIntel", 0),
        ("processor\t: 0\nBogoMIPS\t: 243.75\n", 0),
        ("arm", 0),
        ("", 0),
    ],
)
def test_amd_family(processor: str, family: int) -> None:
    assert amd_family(processor) == family
