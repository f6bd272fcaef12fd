"""ModernBERT without padding and with padding hidden by masks, on a GPU in bfloat16.

    pytest benchmarks/bench_packing.py --device cuda --benchmark-json packing.json
    pytest benchmarks/bench_packing.py --quick  # tries it out on the CPU

A forward, and a training step (forward and backward), of random weights in ModernBERT's base size, with rows
of a quarter of the length to the whole. First both are proved right: the states and gradients of packed rows
are as near to those of float32 as those of padded rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from bench_crf import TURNS, waited
from torch import Tensor

from pybert_crf import Encoder
from pybert_crf.encoders import config_from_json
from pybert_crf.encoders.attention.varlen import kernel_for

SHAPES = ((32, 512), (8, 4096))  # rows and positions
QUICK_SHAPES = ((3, 40),)
BASE = {"hidden_size": 768, "intermediate_size": 1152, "num_hidden_layers": 22, "num_attention_heads": 12}
TINY = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2}
VOCABULARY, WINDOW = 8000, 128
WAYS = ("padded", "packed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize by shape, turn, what is timed and way; ways change fastest."""
    shapes = QUICK_SHAPES if metafunc.config.getoption("--quick") else SHAPES
    for name, values in (
        ("shape", shapes),
        ("turn", range(TURNS)),
        ("training", (False, True)),
        ("way", WAYS),
    ):
        metafunc.parametrize(name, values, ids=str)


@pytest.mark.benchmark(max_time=0.5, min_rounds=1, disable_gc=True)
def test_packing(
    benchmark: Any, pytestconfig: pytest.Config, shape: tuple[int, int], turn: int, training: bool, way: str
) -> None:
    """Time one way."""
    device, quick = pytestconfig.getoption("--device"), pytestconfig.getoption("--quick")
    if device != "cpu" and kernel_for(torch.device(device), torch.bfloat16, 64, 0.0) is None:
        pytest.skip("this torch or GPU has no attention for rows of unequal length")
    calls = proved_calls(shape, device, quick)
    what = "training step" if training else "forward"
    benchmark.group = f"{what} of ModernBERT-{'tiny' if quick else 'base'}, {device}"
    benchmark.extra_info.update(contender=way, shape=shape)
    benchmark(waited(calls[way, training], device))


@functools.lru_cache(maxsize=1)
def proved_calls(
    shape: tuple[int, int], device: str, quick: bool
) -> dict[tuple[str, bool], Callable[[], object]]:
    """What is timed, by way and whether it is a training step, once both ways are proved right."""
    torch.manual_seed(0)
    values = {"model_type": "modernbert", "vocab_size": VOCABULARY, **(TINY if quick else BASE)}
    values |= {
        "local_attention": 8 if quick else WINDOW,
        "max_position_embeddings": shape[1],
        "pad_token_id": 0,
    }
    encoder = Encoder(config_from_json(values)).to(device)
    rows, length = shape
    mask = (torch.arange(length) < torch.linspace(length // 4, length, rows).long()[:, None]).to(device)
    ids = torch.randint(5, VOCABULARY, shape).to(device)
    weights = torch.randn(shape).to(device)[mask][:, None]
    contexts = {"padded": encoder.context.masked, "packed": encoder.context.forward}

    def states(way: str) -> Tensor:
        encoder.context.forward = contexts[way]
        found: Tensor = encoder(ids, mask)[mask]
        return found

    def step(way: str) -> tuple[Tensor, list[Tensor]]:
        """Return the states and the gradients of all weights."""
        encoder.zero_grad(set_to_none=True)
        found = states(way)
        (found * weights).sum().backward()
        return found.detach(), [each.grad for each in encoder.parameters() if each.grad is not None]

    def flat(way: str) -> list[Tensor]:
        found, gradients = step(way)
        return [found.float(), torch.cat([each.flatten().float() for each in gradients])]

    right = flat("padded")  # in float32
    encoder.bfloat16()
    weights = weights.bfloat16()
    assert contexts["packed"](encoder.embeddings(ids), mask).packing is not None, "nothing is packed here"
    padded, packed = ([_error(*pair) for pair in zip(flat(way), right, strict=True)] for way in WAYS)
    assert all(b < 1.5 * a + 1e-3 < 0.2 for a, b in zip(padded, packed, strict=True)), (padded, packed)
    forward = torch.inference_mode()(states)
    return {
        (way, training): functools.partial(step if training else forward, way)
        for way in WAYS
        for training in (False, True)
    }


def _error(found: Tensor, right: Tensor) -> float:
    return float((found - right).norm() / right.norm())
