"""What the CRF adds to a training step of BERT: the same step with one loss or another on the same emissions.

A step is forward, backward and AdamW, in bfloat16 by autocast: encoder, dropout, linear, loss. The losses are
the token cross-entropy (a tagger without a CRF), our CRF and pytorch-crf's.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from crf_speed.contenders import Contender, Ours
from crf_speed.device import ROUNDS, Call, stream_times, synchronize, waited
from crf_speed.equality import DisagreementError
from crf_speed.problem import problem
from crf_speed.timing import measure

WITHOUT = "cross-entropy"
TAGS = 9
SHAPES = ((16, 128), (32, 256), (64, 512))
VOCABULARY = 21128

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of emissions, tags and mask


class Model(nn.Module):
    """Encoder of random weights, dropout, linear."""

    def __init__(self, size: str) -> None:
        super().__init__()
        from pybert_crf.encoders import Encoder, EncoderConfig

        config = EncoderConfig.from_size(size, vocab_size=VOCABULARY)
        self.encoder = Encoder(config)
        self.dropout = nn.Dropout(0.1)
        self.linear = nn.Linear(config.hidden_size, TAGS)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        emissions: Tensor = self.linear(self.dropout(self.encoder(ids, mask)))
        return emissions


def time_steps(
    size: str,
    shape: tuple[int, int],
    crfs: list[type[Contender]],
    device: torch.device,
    seconds: float,
) -> list[dict[str, Any]]:
    """A row for each loss: its median seconds a step, waiting (wall) and not (stream), all by turns.

    Args:
        size: of the encoder, as for `EncoderConfig.from_size`.
        shape: (batch, time).
        crfs: contenders with a layer of their own.
        device: where.
        seconds: about what each loss gets, by each clock.

    Raises:
        DisagreementError: two CRFs have different losses for the same emissions.
    """
    torch.manual_seed(0)
    case = problem((*shape, TAGS)).on(device)
    model = Model(size).to(device)
    layers = {kind.name: kind(case).layer for kind in crfs}  # type: ignore[attr-defined]
    losses: dict[str, Loss] = {WITHOUT: _cross_entropy, **{name: _crf(crf) for name, crf in layers.items()}}
    parameters = [*model.parameters(), *(each for crf in layers.values() for each in crf.parameters())]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=device.type == "cuda")
    ids = torch.randint(1, VOCABULARY, shape, generator=torch.Generator().manual_seed(1)).to(device)
    _prove(losses, case.emissions, case.tags, case.mask)

    def step(loss: Loss) -> Call:
        def run() -> None:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, dtype=torch.bfloat16):
                value = loss(model(ids, case.mask), case.tags, case.mask)
            value.backward()
            optimizer.step()

        return run

    steps = {name: step(loss) for name, loss in losses.items()}
    for call in steps.values():  # allocates, compiles, chooses algorithms
        call()
        call()
    synchronize(device)
    taken = measure({name: waited(call, device) for name, call in steps.items()}, seconds)
    walls = {name: statistics.median(times) for name, times in taken.items()}
    streams: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, call in steps.items():
            streams[name] += stream_times(call, device, walls[name], seconds / ROUNDS, rounds=1)
    return [
        {"size": size, "shape": shape, "loss": name, "wall": wall, "stream": statistics.median(streams[name])}
        for name, wall in walls.items()
    ]


def added(rows: list[dict[str, Any]], name: str, clock: str) -> float | None:
    """The share that a CRF adds to the step without one."""
    times = {row["loss"]: row[clock] for row in rows}
    return times[name] / times[WITHOUT] - 1 if name in times and WITHOUT in times else None


def takes_part(kind: type[Contender]) -> bool:
    """Whether a contender is a layer that a model can be trained with on any device."""
    return issubclass(kind, Ours) or kind.name == "pytorch-crf"


def _cross_entropy(emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
    labels = tags.masked_fill(~mask, -100)
    return nn.functional.cross_entropy(emissions.flatten(0, 1), labels.flatten())


def _crf(layer: Any) -> Loss:
    def loss(emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        likelihood: Tensor = layer(emissions, tags, mask, reduction="mean")
        return -likelihood

    return loss


@torch.no_grad()
def _prove(losses: dict[str, Loss], emissions: Tensor, tags: Tensor, mask: Tensor) -> None:
    found = {name: loss(emissions, tags, mask).item() for name, loss in losses.items() if name != WITHOUT}
    for name, value in found.items():
        expected = next(iter(found.values()))
        if not abs(value - expected) <= 1e-4 * abs(expected):
            raise DisagreementError(f"{name}'s loss is {value}, that of the others {expected}")
