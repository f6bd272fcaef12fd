"""Adversarial training: each batch is learnt once more with the piece embeddings moved against it.

FGM, Miyato et al. (2017), "Adversarial training methods for semi-supervised text classification", moves them
once along the gradient; PGD, Madry et al. (2018), "Towards deep learning models resistant to adversarial
attacks", several times, and keeps them in a ball. As usual with BERT, what moves is the table of embeddings,
of which the gradient touches only the rows of the batch's pieces, not a copy for each place in the text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pybert_crf.options import TrainOptions

if TYPE_CHECKING:
    from accelerate import Accelerator

MADRY = 2.5
"""Steps together are this many times as long as the radius (Madry et al.)."""


class Attack:
    """The backward passes of a batch and of its adversarial copy.

    Args:
        accelerator: of the run.
        model: as the accelerator prepared it.
        weight: the table of embeddings of pieces.
        radius: how far it is moved, at most, in the Euclidean norm.
        steps: 1 for FGM, or those of PGD, each MADRY / steps of the radius long.
    """

    def __init__(
        self, accelerator: Accelerator, model: nn.Module, weight: nn.Parameter, radius: float, steps: int
    ) -> None:
        self.accelerator, self.model, self.weight = accelerator, model, weight
        self.radius, self.steps = radius, steps
        self.length = radius if steps == 1 else MADRY * radius / steps

    def backward(self, loss_of: Callable[[], Tensor]) -> Tensor:
        """Add up the gradients of the loss and of the adversarial loss; the loss, detached.

        Args:
            loss_of: computes the batch's loss anew.
        """
        weight = self.weight
        before = None if weight.grad is None else weight.grad.clone()
        loss = loss_of()
        self.accelerator.backward(loss)
        assert weight.grad is not None
        gradient = weight.grad.clone() if before is None else weight.grad - before
        own = weight.detach().clone()
        moved = torch.zeros_like(own)
        try:
            for step in range(self.steps):
                if step > 0:
                    gradient = self._gradient(loss_of)
                moved = _within(moved + _scaled(gradient, self.length), self.radius)
                weight.data.copy_(own + moved)
            self.accelerator.backward(loss_of())
        finally:
            weight.data.copy_(own)
        return loss.detach()

    def _gradient(self, loss_of: Callable[[], Tensor]) -> Tensor:
        """The gradient of the loss with respect to the moved table alone."""
        scaler = self.accelerator.scaler
        with self.accelerator.no_sync(self.model):
            loss = loss_of()
            return torch.autograd.grad(scaler.scale(loss) if scaler else loss, self.weight)[0]


def _scaled(gradient: Tensor, length: float) -> Tensor:
    """The gradient at this length; 0 if it has no direction, or, in half precision, overflowed."""
    norm = gradient.norm()
    usable = norm.isfinite() & (norm > 0)
    return torch.where(usable, gradient * (length / torch.where(usable, norm, 1.0)), 0.0)


def _within(moved: Tensor, radius: float) -> Tensor:
    norm = moved.norm()
    return torch.where(norm > radius, moved * (radius / norm.clamp(min=1e-12)), moved)


def build_attack(
    accelerator: Accelerator, model: nn.Module, table: nn.Embedding, options: TrainOptions
) -> Attack | None:
    """The attack that the options ask for; None for none."""
    if options.adversarial == "none":
        return None
    steps = 1 if options.adversarial == "fgm" else options.adversarial_steps
    weight = table.get_parameter("weight")
    radius = options.adversarial_radius or usual_radius(weight)
    return Attack(accelerator, model, weight, radius, steps)


def usual_radius(weight: Tensor) -> float:
    """The mean norm of a row of a table of embeddings.

    With BERT's it is about 1, the usual radius. New tables of ours have shorter rows, at which 1 is ruinous.
    """
    return float(weight.detach().float().norm(dim=1).mean())
