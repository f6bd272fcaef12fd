"""The calls from Python that compare.py times: `python calls.py TREE` runs the package of that tree.

Prints one line of JSON: for each call its results, which must be the same at both commits, and its seconds,
the least of some calls.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, sys.argv[1])

import torch

import pybert_crf
from pybert_crf import CRF, Encoder

if not Path(pybert_crf.__file__).resolve().is_relative_to(Path(sys.argv[1]).resolve()):
    raise ImportError(f"{pybert_crf.__file__} is not in {sys.argv[1]}")
torch.set_num_threads(1)


def crf_calls() -> dict[str, Callable[[], torch.Tensor]]:
    """Loss and gradients, and decoding, of a batch as taggers have it."""
    generator = torch.Generator().manual_seed(1)
    crf = CRF(9, batch_first=True, backend="native")
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    emissions = torch.randn(16, 128, 9, generator=generator, requires_grad=True)
    tags = torch.randint(9, (16, 128), generator=generator)

    def learn() -> torch.Tensor:
        loss = -crf(emissions, tags, reduction="mean")
        (gradient,) = torch.autograd.grad(loss, [emissions])
        return torch.cat([loss.detach().reshape(1), gradient.flatten()])

    def decode() -> torch.Tensor:
        return torch.tensor(crf.decode(emissions.detach()), dtype=torch.float32).flatten()

    return {"CRF: loss and gradients": learn, "CRF: decode": decode}


def encoder_calls() -> dict[str, Callable[[], torch.Tensor]]:
    """A step of an encoder, forward and backward."""
    torch.manual_seed(2)
    encoder = Encoder.from_size("tiny", vocab_size=500).eval()
    ids = torch.randint(5, 500, (8, 64), generator=torch.Generator().manual_seed(3))

    def step() -> torch.Tensor:
        hidden = encoder(ids)
        encoder.zero_grad()
        (hidden * torch.linspace(-1.0, 1.0, hidden.shape[-1])).sum().backward()
        return hidden.detach().flatten()

    return {"encoder: forward and backward": step}


def least(call: Callable[[], torch.Tensor]) -> float:
    """The seconds of the fastest of as many calls as fit a fifth of a second, at least 3."""
    best, begun, calls = float("inf"), time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - begun < 0.2:
        before = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - before)
        calls += 1
    return best


if __name__ == "__main__":
    every = crf_calls() | encoder_calls()
    found = {name: {"results": call().tolist(), "seconds": least(call)} for name, call in every.items()}
    print(json.dumps(found))
