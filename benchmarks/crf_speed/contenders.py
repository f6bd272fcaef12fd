"""What a contender is, and ours: the CRF layer with each backend, and the bare native kernels."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from crf_speed.problem import Problem, Shape
from pybert_crf import CRF, backends
from pybert_crf.crf.problem import Chain

# The order of the tables. The kernel's forward_backward is log Z and its gradient, without a path's score.
OPERATIONS = ("loss_backward", "loss", "decode", "viterbi", "forward_backward")

Gradients = tuple[Tensor, Tensor, Tensor, Tensor]  # of emissions, start, transitions, end


class Contender:
    """One implementation with one problem's tensors, ready to be run.

    Whatever can be prepared once for many batches is done in `__init__`, outside the measured time.
    """

    name: ClassVar[str]
    package: ClassVar[str]  # whose version is reported
    operations: ClassVar[tuple[str, ...]] = ("loss_backward", "loss", "decode")
    double: ClassVar[bool] = True  # whether it can compute in float64

    @classmethod
    def load(cls) -> Any:
        """What it needs imported; ImportError says why it cannot take part."""
        raise NotImplementedError

    @classmethod
    def excuse(cls, shape: Shape) -> str | None:
        """Why it does not run a shape, or None if it does."""
        return None

    def __init__(self, case: Problem) -> None:
        self.case = case
        self.emissions = case.emissions.clone().requires_grad_()
        self.parameters: list[Tensor] = [
            part.clone().requires_grad_() for part in (case.start, case.transitions, case.end)
        ]

    def negative_log_likelihood(self) -> Tensor:
        """Summed over the batch, differentiable."""
        raise NotImplementedError

    def loss_backward(self) -> None:
        for leaf in (self.emissions, *self.parameters):
            leaf.grad = None
        self.negative_log_likelihood().backward()

    def gradients(self) -> Gradients:
        """What the last `loss_backward` left."""
        grads = [leaf.grad for leaf in (self.emissions, *self.parameters) if leaf.grad is not None]
        emissions, start, transitions, end = grads
        return emissions, start, transitions, end

    @torch.no_grad()
    def loss(self) -> Tensor:
        return self.negative_log_likelihood()

    def viterbi(self) -> Tensor:
        """The best tags (B, T); anything where masked."""
        raise NotImplementedError

    def decode(self) -> list[list[int]]:
        """The best tags as lists, without padding."""
        rows: list[list[int]] = self.viterbi().tolist()
        return [row[:length] for row, length in zip(rows, self._lengths, strict=True)]

    @property
    def _lengths(self) -> list[int]:
        return self.case.lengths.tolist()

    def run(self, operation: str) -> Callable[[], Any]:
        """What is measured."""
        call: Callable[[], Any] = getattr(self, operation)
        return call


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


class Ours(Layer):
    """:class:`pybert_crf.CRF`, through its public methods."""

    package = "pybert-crf"
    operations = ("loss_backward", "loss", "decode", "viterbi")
    backend: ClassVar[str]

    @classmethod
    def load(cls) -> Any:
        status = backends()[cls.backend]
        if not status.usable:
            raise ImportError(status.reason)
        return CRF

    def make(self, num_tags: int) -> Any:
        return CRF(num_tags, batch_first=True, backend=self.backend)

    def negative_log_likelihood(self) -> Tensor:
        likelihood: Tensor = self.layer(self.emissions, self.case.tags, mask=self.case.mask)
        return -likelihood

    def viterbi(self) -> Tensor:
        tags: Tensor = self.layer.viterbi(self.emissions, mask=self.case.mask)[0]
        return tags

    def decode(self) -> list[list[int]]:
        paths: list[list[int]] = self.layer.decode(self.emissions, mask=self.case.mask)
        return paths


class Native(Ours):
    name = backend = "native"


class Numba(Ours):
    name = backend = "numba"


class Reference(Ours):
    name = backend = "reference"


class NativeKernel(Contender):
    """The compiled functions behind the native backend: no checks, no autograd, outputs made before.

    What is timed is one call from Python into the extension.
    """

    name = "native kernel"
    package = "pybert-crf"
    operations = ("loss_backward", "loss", "viterbi", "forward_backward")

    @classmethod
    def load(cls) -> Any:
        return importlib.import_module("pybert_crf.crf.backends.native")

    def __init__(self, case: Problem) -> None:
        super().__init__(case)
        native, scores = self.load(), (case.emissions, case.start, case.transitions, case.end)
        self.forward, self.both, self.best_paths = (
            native._kernel(f"{operation}_{str(case.emissions.dtype).removeprefix('torch.')}")
            for operation in ("log_partition", "value_and_gradient", "viterbi")
        )
        self.problem = native._problem(Chain(case.emissions, case.mask, *scores[1:]))
        self.paths = native._paths(case.tags, case.emissions)
        self.up, self.down = (case.emissions.new_full(case.lengths.shape, grad) for grad in (1.0, -1.0))
        self.value, self.log_z = torch.empty_like(self.up), torch.empty_like(self.up)
        emissions, start, transitions, end = map(torch.empty_like, scores)
        self.result = emissions, start, transitions, end
        self.best_tags, self.messages = torch.empty_like(case.tags), torch.empty_like(case.emissions)
        self.forward_outputs = [part.data_ptr() for part in (self.value, self.log_z, self.messages)]
        self.both_outputs = [part.data_ptr() for part in (self.value, *self.result)]
        self.best_outputs = [part.data_ptr() for part in (self.best_tags, self.value)]

    def loss(self) -> Tensor:
        self.forward(self.problem, self.paths, *self.forward_outputs, torch.get_num_threads())
        return -self.value.sum()

    def loss_backward(self) -> None:
        self._both(self.paths, self.down)

    def gradients(self) -> Gradients:
        return self.result

    def forward_backward(self) -> tuple[Tensor, Gradients]:
        """log Z (B,) and the gradient of its sum."""
        self._both(None, self.up)
        return self.value, self.result

    def viterbi(self) -> Tensor:
        self.best_paths(self.problem, *self.best_outputs, torch.get_num_threads())
        return self.best_tags

    def _both(self, paths: Any, grad: Tensor) -> None:
        self.both(self.problem, paths, grad.data_ptr(), *self.both_outputs, torch.get_num_threads())


OURS: tuple[type[Contender], ...] = (Native, Numba, Reference, NativeKernel)
