"""Encoder and linear layer as a module to be traced, and inputs to trace and to check it with."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from pybert_crf.model import BertCRF
from pybert_crf.reading import shortened

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""Ids, attention mask, first pieces and carried emissions, as `pybert_crf.export` describes them."""

DYNAMIC: Any = (*[{0: Dim.DYNAMIC, 1: Dim.DYNAMIC}] * 3, {0: Dim.DYNAMIC})
"""The free sizes of `Inputs`."""


class Emissions(nn.Module):
    """The emissions of all pieces, and of the first piece of each unit."""

    def __init__(self, model: BertCRF) -> None:
        super().__init__()
        self.encoder, self.linear = model.encoder, model.linear

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, first: Tensor, carried: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (carried + windows * length, K) and (batch, time, K)."""
        scores = self.linear(self.encoder(input_ids, attention_mask)).flatten(0, 1)
        pieces = torch.cat([carried, scores])
        return pieces, pieces[first]


def sample(
    model: BertCRF | Emissions, windows: int, length: int, batch: int, time: int, carried: int
) -> Inputs:
    """Random inputs of these sizes; of two windows or more the second one is half padding."""
    draw = torch.Generator().manual_seed(length)
    ids = torch.randint(model.encoder.config.vocab_size, (windows, length), generator=draw)
    attention = torch.ones(windows, length, dtype=torch.bool)
    attention[1:2, (length + 1) // 2 :] = False
    seen = torch.cat([torch.ones(carried, dtype=torch.bool), attention.flatten()]).nonzero()[:, 0]
    first = seen[torch.randint(len(seen), (batch, time), generator=draw)]
    return ids, attention, first, torch.randn(carried, model.linear.out_features, generator=draw)


def trace_sample(model: BertCRF) -> Inputs:
    """Inputs to trace with, no two sizes equal and none of them 1."""
    length = min(7, model.encoder.config.max_length)
    return sample(model, windows=3, length=length, batch=5, time=11, carried=13)


def check_samples(model: BertCRF | Emissions) -> Iterator[Inputs]:
    """Inputs of sizes at which a traced graph could go wrong: the smallest, the longest, and nothing."""
    longest = model.encoder.config.max_length
    sizes = [(1, 1, 1, 1, 0), (1, longest, 1, 2, 0), (2, longest // 2 + 1, 3, 40, 9), (4, 3, 0, 0, 0)]
    for each in sizes:
        yield sample(model, *each)


def reason(error: BaseException) -> str:
    """What the innermost cause of an exporter's error says, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {shortened(lines[0])}" if lines else type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the exporter prints, warns of and logs; its errors are raised all the same."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        nowhere = io.StringIO()  # of a model that it cannot trace, torch prints the whole graph on stderr
        with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
