"""Random chains for the compiled kernels, and calls of the kernels on them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cases import DEVICE, USABLE
from torch import Tensor

from pybert_crf.crf.problem import Chain


def _by_ops() -> SimpleNamespace:
    """The same functions on another device than the CPU, through the ops."""
    if "native" not in USABLE:
        pytest.skip(f"the compiled extension has no kernels for {DEVICE}", allow_module_level=True)
    names = ("log_partition", "gradient", "value_and_gradient", "viterbi")
    ops = {name: getattr(torch.ops.pybert_crf, name) for name in names}

    def call(op: Any) -> Any:
        def by_op(*given: Any) -> Any:
            loose = [part for one in given for part in (one if isinstance(one, Chain) else (one,))]
            return op(*loose, "native")

        return by_op

    return SimpleNamespace(**{name: call(op) for name, op in ops.items()})


native: Any = (
    pytest.importorskip(
        "pybert_crf.crf.backends.native", reason="the compiled extension is not built", exc_type=ImportError
    )
    if DEVICE.type == "cpu"
    else _by_ops()
)


class CastableChain(Chain):
    """A chain that can be converted to another dtype."""

    def to(self, dtype: torch.dtype) -> CastableChain:
        return CastableChain(*(tensor if tensor.dtype == torch.bool else tensor.to(dtype) for tensor in self))


def random_chain(
    batch: int, time: int, num_tags: int, *, kept: float = 0.7, scale: float = 1.0, seed: int = 0
) -> CastableChain:
    """Scores that float32 holds exactly, in float64; each position is kept with probability `kept`."""
    B, T, K = batch, time, num_tags
    torch.manual_seed(seed)
    with torch.device("cpu"):  # so that the numbers are the same on every device
        mask = torch.rand(B, T) < kept
        scores = (torch.randn(B, T, K) * scale, torch.randn(K), torch.randn(K, K), torch.randn(K))
    emissions, start, transitions, end = (tensor.double() for tensor in scores)
    return CastableChain(*(part.to(DEVICE) for part in (emissions, mask, start, transitions, end)))


def run(problem: Chain, grad: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """log Z, and the gradients of (grad * log Z).sum(): emissions, start, transitions, end.

    By two calls, and by one, which must give the same.
    """
    log_z, messages = native.log_partition(problem)
    gradients = native.gradient(grad, None, problem, messages, log_z)
    for two, one in zip((log_z, *gradients), native.value_and_gradient(grad, None, problem), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0, equal_nan=True)
    return log_z, gradients
