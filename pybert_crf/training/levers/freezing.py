"""Which of an encoder's parameters are not trained, and at what part of the rate those of each layer are.

Lower layers know what is general in a language; Howard and Ruder (2018), "Universal language model
fine-tuning for text classification", give each layer a smaller rate than the one above it, and train the head
before the encoder.
"""

from __future__ import annotations

from torch import nn

from pybert_crf.encoders.depths import depths
from pybert_crf.options import TrainOptions


class Freezing:
    """Freezes what `options.freeze` says: for good, or for the first `options.frozen_epochs` epochs.

    For good is at once, so that an optimiser made after it does not hold the parameters.

    Raises:
        ValueError: there are fewer layers than are to be frozen, or nothing that is trained is.
    """

    def __init__(self, encoder: nn.Module, options: TrainOptions) -> None:
        self.epochs = options.frozen_epochs
        self.parameters = _chosen(encoder, options.freeze)
        if self.parameters and not self.epochs:
            self._set(False)

    def begin(self, epoch: int) -> None:
        """Freeze or train what is frozen for a time, from `epoch` on, counted from 1."""
        if self.epochs:
            self._set(epoch > self.epochs)

    def _set(self, trained: bool) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(trained)


def _chosen(encoder: nn.Module, freeze: str | None) -> list[nn.Parameter]:
    if freeze is None:
        return []
    deep = depths(encoder)
    top = max(deep.values())
    limit = {"embeddings": 0, "encoder": top}.get(freeze)
    if limit is None:
        limit = int(freeze)
        if limit > top:
            raise ValueError(f"freeze must be at most {top}, the encoder's number of layers, got {limit}")
    named = encoder.named_parameters()
    chosen = [parameter for name, parameter in named if parameter.requires_grad and deep[name] <= limit]
    if not chosen:
        raise ValueError(f"freeze = {freeze}: nothing of that is trained anyway")
    return chosen


def rate_factors(encoder: nn.Module, decay: float) -> dict[str, float]:
    """The factor of each parameter's learning rate, by its name: `decay` ** (layers above it)."""
    deep = depths(encoder)
    top = max(deep.values())
    return {name: decay ** (top - depth) for name, depth in deep.items()}
