"""Moving averages of the weights, which are what is evaluated and saved.

Polyak and Juditsky (1992), "Acceleration of stochastic approximation by averaging". The average forgets
exponentially; its decay rises with the number of steps as TensorFlow's does, (1 + n) / (10 + n) up to the one
that is given, so that a short run is no average of its untrained beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Averaging(nn.Module):
    """The averages of some parameters; its ``state_dict`` is theirs, with the number of steps.

    Args:
        parameters: the trained ones, on their device.
        decay: how much of the average is kept in each step, at most.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        super().__init__()
        live = nn.ParameterList(parameters)
        self.averaged = AveragedModel(live, multi_avg_fn=_move_by(decay))
        object.__setattr__(self, "live", live)  # the model's own, no part of the state_dict

    def update(self) -> None:
        """Take the parameters after an optimiser step into their averages."""
        self.averaged.update_parameters(self.live)  # type: ignore[arg-type]

    @contextmanager
    @torch.no_grad()
    def applied(self) -> Iterator[None]:
        """Give the model its averages while the block lasts; after it, exactly its own weights."""
        if not int(self.averaged.n_averaged):
            yield
            return
        live: Any = self.live
        pairs = list(zip(live, self.averaged.module.parameters(), strict=True))
        own = [parameter.data for parameter, _ in pairs]
        for parameter, average in pairs:
            parameter.data = average.data
        try:
            yield
        finally:
            for (parameter, _), data in zip(pairs, own, strict=True):
                parameter.data = data


def _move_by(decay: float) -> Any:
    @torch.no_grad()
    def move(averages: list[Tensor], weights: list[Tensor], count: Tensor) -> None:
        steps = count.to(averages[0].device, torch.float32)
        share = 1 - ((1 + steps) / (10 + steps)).clamp(max=decay)
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, share.to(average.dtype))

    return move
