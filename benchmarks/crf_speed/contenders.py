"""The base class of the contenders, and ours: the CRF layer with each backend."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from crf_speed.problem import Problem
from pybert_crf import CRF, backends

OPERATIONS = ("loss_backward", "loss", "decode", "viterbi")

Gradients = tuple[Tensor, ...]  # of emissions, start, transitions, end


class Contender:
    """One implementation with one problem's tensors; its methods named in `operations` are measured.

    Whatever can be prepared once for many batches is done in `__init__`, outside the measured time.
    """

    name: ClassVar[str]
    operations: ClassVar[tuple[str, ...]] = ("loss_backward", "loss", "decode")
    double: ClassVar[bool] = True  # whether it can compute in float64

    @classmethod
    def load(cls) -> Any:
        """Import the package; ImportError says why the contender cannot take part."""
        raise NotImplementedError

    @classmethod
    def missing(cls, device: str = "cpu") -> str | None:
        """Why it cannot take part on this machine, or None."""
        try:
            cls.load()
        except ImportError as error:
            return str(error)
        return None

    def __init__(self, case: Problem) -> None:
        self.case = case
        self.emissions = case.emissions.clone().requires_grad_()
        self.parameters = [part.clone().requires_grad_() for part in (case.start, case.transitions, case.end)]

    def negative_log_likelihood(self) -> Tensor:
        """Summed over the batch, differentiable."""
        raise NotImplementedError

    def loss_backward(self) -> None:
        for leaf in (self.emissions, *self.parameters):
            leaf.grad = None
        self.negative_log_likelihood().backward()

    def gradients(self) -> Gradients:
        """The gradients of the last `loss_backward`."""
        return tuple(leaf.grad for leaf in (self.emissions, *self.parameters) if leaf.grad is not None)

    @torch.no_grad()
    def loss(self) -> Tensor:
        return self.negative_log_likelihood()

    def viterbi(self) -> Tensor:
        """The best tags (B, T), unspecified where masked."""
        raise NotImplementedError

    def decode(self) -> list[list[int]]:
        """The best tags as lists, without padding."""
        rows: list[list[int]] = self.viterbi().tolist()
        return [row[:length] for row, length in zip(rows, self.case.lengths.tolist(), strict=True)]


class Layer(Contender):
    """A contender with a module whose parameters take the problem's values."""

    parameter_names: ClassVar[tuple[str, str, str]] = ("start_transitions", "transitions", "end_transitions")

    def __init__(self, case: Problem) -> None:
        super().__init__(case)
        self.layer = self.make(case.shape[2]).to(case.emissions)  # its dtype and device
        parameters = [getattr(self.layer, name) for name in self.parameter_names]
        with torch.no_grad():
            for parameter, value in zip(parameters, self.parameters, strict=True):
                parameter.copy_(value)
        self.parameters = parameters

    def make(self, num_tags: int) -> Any:
        raise NotImplementedError

    def negative_log_likelihood(self) -> Tensor:
        likelihood: Tensor = self.layer(self.emissions, self.case.tags, self.case.mask)
        return -likelihood

    @torch.no_grad()
    def decode(self) -> list[list[int]]:
        paths: list[list[int]] = self.layer.decode(self.emissions, self.case.mask)
        return paths


class Ours(Layer):
    """:class:`pybert_crf.CRF`, through its public methods."""

    operations = OPERATIONS

    @classmethod
    def missing(cls, device: str = "cpu") -> str | None:
        status = backends(device)[cls.name]
        return None if status.usable else status.reason

    def make(self, num_tags: int) -> Any:
        return CRF(num_tags, batch_first=True, backend=self.name)

    def viterbi(self) -> Tensor:
        tags: Tensor = self.layer.viterbi(self.emissions, self.case.mask)[0]
        return tags


class Native(Ours):
    """The compiled kernels."""

    name = "native"


class Numba(Ours):
    """The fallback for the CPU."""

    name = "numba"


class Reference(Ours):
    """PyTorch operations in a loop over time."""

    name = "reference"


OURS: tuple[type[Contender], ...] = (Native, Numba, Reference)
