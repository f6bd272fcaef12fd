"""Refusing a loss, a gradient or weights that are not finite, before they are saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_SHOWN = 5  # examples of a batch that a message names


class Place(NamedTuple):
    """Where a run is.

    Attributes:
        epoch, step: the optimiser step, counted from 1 within its epoch.
        rates: its learning rates.
        batch: numbers of the examples of its batches.
        name: what a user calls an example.
    """

    epoch: int
    step: int
    rates: Sequence[float]
    batch: Sequence[int]
    name: Callable[[int], str]

    def __str__(self) -> str:
        several = sorted(set(self.rates))
        rates = " and ".join(f"{rate:.3g}" for rate in several)
        if len(several) > 2:  # one for each layer
            rates = f"from {several[0]:.3g} to {several[-1]:.3g}"
        shown = [self.name(row) for row in self.batch[:_SHOWN]] + ["…"] * (len(self.batch) > _SHOWN)
        return (
            f"at step {self.step} of epoch {self.epoch}, learning rate {rates}, "
            f"in the batch of {len(self.batch)} examples: {', '.join(shown)}"
        )


def check_step(loss: float, norm: float, scale: float | None, place: Place) -> None:
    """Refuse the loss or the gradient norm of an optimiser step that is not finite.

    Args:
        scale: fp16's loss scale, None without one. The scaler skips a step whose gradient overflows, and
            lowers the scale until it fits; only below a scale of 1 is it the gradient itself that overflows.

    Raises:
        FloatingPointError: which of the two, and where.
    """
    if not math.isfinite(loss):
        raise _stopped(f"the loss is {loss}", place)
    if not math.isfinite(norm) and (scale is None or scale < 1):
        raise _stopped(f"the norm of the gradient is {norm}", place)


@torch.no_grad()
def check_weights(model: nn.Module, place: Place) -> None:
    """Raise ``FloatingPointError`` for weights that are not finite after the step at `place`."""
    parameters = dict(model.named_parameters())
    sums: list[Tensor] = [parameter.abs().amax() for parameter in parameters.values() if parameter.numel()]
    if torch.stack([each.float() for each in sums]).isfinite().all():
        return
    wrong = [name for name, parameter in parameters.items() if not parameter.isfinite().all()]
    raise _stopped(f"the weights are not finite ({', '.join(wrong[:3])}, …)", place)


def check_figures(figures: Mapping[str, Any], place: Place) -> None:
    """Raise ``FloatingPointError`` if the loss on dev is not finite after the epoch that ends at `place`."""
    loss = figures.get("dev_loss", 0.0)
    if not math.isfinite(loss):
        raise _stopped(f"the loss on dev is {loss}", place)


def _stopped(what: str, place: Place) -> FloatingPointError:
    return FloatingPointError(
        f"{what} {place}. The run has stopped, and keeps the last good checkpoint and model; try a lower "
        "learning rate"
    )
