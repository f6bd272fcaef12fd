"""The speed of the encoders: every family of ours and transformers' own, side by side.

    pytest benchmarks/bench_encoders.py --benchmark-json encoders.json
    python benchmarks/report.py encoders.json

Both sides have the same random weights and take turns: a forward without gradients, and a training step
(forward with dropout, and backward). For each family hidden states and gradients are first proved equal; a
family that disagrees fails. transformers attends as it does by default. On a machine with other work,
`--threads 1 --benchmark-timer time.process_time` says most. With `--base` the encoders have their published
sizes: `--base -k modernbert` takes some minutes.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import pytest
import torch
from bench_crf import TURNS
from machine import threads

from pybert_crf.encoders import Encoder, config_from_json
from pybert_crf.encoders.families import FAMILIES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of an import that is not ours
    import transformers

Batch = dict[str, torch.Tensor]

Size = tuple[int, int, int] | None
Shape = tuple[int, ...]

# Layers, width, heads of the encoders, None as published; rows, pieces of the longest row, and of the
# shortest if it is not half as long.
SMALL, TINY, BASE = (4, 256, 4), (2, 64, 2), None
SHAPES: dict[Size, tuple[Shape, ...]] = {
    SMALL: ((32, 64), (8, 256)),
    TINY: ((2, 8),),
    BASE: ((8, 512, 512), (8, 512, 256)),
}
OPERATIONS = ("forward", "step")
SIDES = ("ours", "transformers")
VOCAB = 8000

DEBERTA = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "max_relative_positions": 512,
    "position_biased_input": False,
}

# The settings of a family's published checkpoints that are not the default of transformers.
SETTINGS: dict[str, dict[str, Any]] = {
    "ernie": {"use_task_id": True},
    "modernbert": {"pad_token_id": 0},  # theirs is outside a small vocabulary
    "xlm": {"sinusoidal_embeddings": True},
    "deberta": DEBERTA,
    "deberta-v2": {**DEBERTA, "position_buckets": 256, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
}


def size_of(config: pytest.Config) -> Size:
    """The size that the options name."""
    return TINY if config.getoption("--quick") else BASE if config.getoption("--base") else SMALL


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize by family, shape, operation, turn and side; sides change fastest."""
    cases = product(FAMILIES, SHAPES[size_of(metafunc.config)], OPERATIONS, range(TURNS), SIDES)
    metafunc.parametrize(("family", "shape", "operation", "turn", "side"), [*cases], ids=str)


@pytest.mark.benchmark(max_time=1.0, min_rounds=2, disable_gc=True)
def test_speed(
    benchmark: Any, pytestconfig: pytest.Config, family: str, shape: Any, operation: str, turn: int, side: str
) -> None:
    """Time a forward or a training step of one side."""
    number = pytestconfig.getoption("--threads")[0]
    both, batch, error = proved(family, size_of(pytestconfig), shape)
    benchmark.group = f"{operation}, {number} threads"
    benchmark.extra_info.update(contender=side, shape=(family, *shape), error=error)
    with threads(number):
        benchmark(getattr(both, operation)(side, batch))


class Pair(NamedTuple):
    """The same encoder, ours and transformers'."""

    ours: Encoder
    transformers: Any

    def hidden(self, side: str, batch: Batch) -> torch.Tensor:
        """The last hidden states of the batch, by one side."""
        if side == "ours":
            return self.ours(**batch)
        if FAMILIES[self.ours.config.model_type].is_decoder:
            batch = batch | {"attention_mask": both_ways(batch["attention_mask"])}
        states: torch.Tensor = self.transformers(**batch).last_hidden_state
        return states

    def forward(self, side: str, batch: Batch) -> Callable[[], None]:
        """A forward without gradients."""
        getattr(self, side).eval()
        return torch.inference_mode()(lambda: self.hidden(side, batch))

    def step(self, side: str, batch: Batch) -> Callable[[], None]:
        """A forward with dropout, and backward."""
        model = getattr(self, side).train()

        def call() -> None:
            model.zero_grad()
            loss(self.hidden(side, batch)).backward()

        return call


@functools.lru_cache(maxsize=1)  # so that it is not timed
def both_ways(mask: torch.Tensor) -> torch.Tensor:
    """The mask, (batch, 1, length, length), with which a decoder of transformers attends both ways."""
    hidden = ~mask.bool()[:, None, None, :].expand(-1, 1, mask.shape[1], -1)
    return torch.zeros(hidden.shape).masked_fill(hidden, torch.finfo(torch.float32).min)


def loss(hidden: torch.Tensor) -> torch.Tensor:
    """A random weighting: sums and squares of normalised states do not depend on the weights."""
    weights = torch.randn(hidden.shape[-1], generator=torch.Generator().manual_seed(1))
    return (hidden @ weights).mean()


@functools.lru_cache(maxsize=1)
def proved(family: str, size: Size, shape: Shape) -> tuple[Pair, Batch, float]:
    """A pair that agrees, its batch, and the greatest difference."""
    both, batch = pair(family, size, shape[1]), sentences(*shape)
    return both, batch, prove(both, batch)


def pair(family: str, size: Size, length: int) -> Pair:
    """A random encoder of the family, like its checkpoints but for the vocabulary and a given size."""
    table = FAMILIES[family]
    shape = {"vocab_size": VOCAB}
    if size is not None:
        layers, width, heads = size
        shape |= {"num_layers": layers, "hidden_size": width, "num_heads": heads}
        shape |= {"intermediate_size": 4 * width, "max_positions": length + 2}
    settings = {table.their_key(name): value for name, value in shape.items() if name in table.config_keys}
    kind = getattr(transformers, table.architecture)
    torch.manual_seed(0)
    config = kind.config_class(**settings, **SETTINGS.get(family, {}))
    theirs = kind(config)
    return Pair(Encoder.from_checkpoint(config_from_json(config.to_dict()), theirs.state_dict()), theirs)


def sentences(rows: int, length: int, shortest: int | None = None) -> Batch:
    """Random pieces; the rows are between `shortest`, or half of the length, and all of it long."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.linspace(shortest or length // 2, length, rows).long()
    mask = torch.arange(length)[None, :] < lengths[:, None]
    input_ids = torch.randint(5, VOCAB, (rows, length), generator=generator)
    return {"input_ids": torch.where(mask, input_ids, 1), "attention_mask": mask.long()}


def prove(both: Pair, batch: Batch) -> float:
    """The greatest difference of hidden states and of the word embeddings' gradient, at most 1e-4."""
    kept = batch["attention_mask"].bool()
    hidden, gradients = [], []
    for side in SIDES:
        model = getattr(both, side).eval()
        model.zero_grad()
        states = both.hidden(side, batch)
        loss(states[kept]).backward()
        words = both.ours.embeddings.word if side == "ours" else model.get_input_embeddings()
        hidden.append(states.detach()[kept])
        gradients.append(words.weight.grad)
    scale = float(gradients[1].abs().max())
    error = max(float((a - b).abs().max()) for a, b in (hidden, [g / scale for g in gradients]))
    assert error < 1e-4, f"{both.ours.config.model_type}: ours and theirs differ by {error}"
    return error
