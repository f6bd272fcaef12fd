"""The CRF layer's parameters, and from a caller's tensors to the chain that the backends take."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pybert_crf.crf.constraints import Constraints, check_constraint
from pybert_crf.crf.log_space import NEG_INF
from pybert_crf.crf.problem import (
    Chain,
    Problem,
    check_allowed,
    check_beside,
    check_emissions,
    check_pairwise,
)
from pybert_crf.crf.registry import check_name, choose

_PARAMETERS = {"start": "start_transitions", "transitions": "transitions", "end": "end_transitions"}
_KERNEL_DTYPES = (torch.float32, torch.float64)


class ChainLayer(nn.Module):
    """The parameters, constraints and layout of :class:`pybert_crf.crf.CRF`, where all is explained."""

    def __init__(
        self,
        num_tags: int,
        batch_first: bool = False,
        *,
        constraints: Constraints | None = None,
        backend: str = "auto",
    ) -> None:
        if num_tags <= 0:
            raise ValueError(f"invalid number of tags: {num_tags}")
        check_name(backend)
        super().__init__()
        self.num_tags = num_tags
        self.batch_first = batch_first
        self.backend = backend
        self.start_transitions = nn.Parameter(torch.empty(num_tags))
        self.end_transitions = nn.Parameter(torch.empty(num_tags))
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.reset_parameters()
        self._constrain(constraints)

    def _constrain(self, constraints: Constraints | None) -> None:
        """Keep what is allowed as buffers, so that it moves with the module."""
        for name, allowed in (constraints or Constraints(None, None, None))._asdict().items():
            if allowed is not None:
                allowed = check_constraint(name, allowed, getattr(self, _PARAMETERS[name]))
            self.register_buffer(f"_allowed_{name}", allowed, persistent=False)
        self._is_constrained = constraints is not None

    def reset_parameters(self) -> None:
        """Draw the parameters from U(-0.1, 0.1)."""
        nn.init.uniform_(self.start_transitions, -0.1, 0.1)
        nn.init.uniform_(self.end_transitions, -0.1, 0.1)
        nn.init.uniform_(self.transitions, -0.1, 0.1)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(num_tags={self.num_tags})"

    def _problem(
        self,
        emissions: Tensor,
        mask: Tensor | None,
        tags: Tensor | None = None,
        allowed: Tensor | None = None,
        pairwise: Tensor | None = None,
        *,
        reference_for: str = "",
    ) -> Problem:
        """Check the shapes; bring everything to batch-first, one dtype and a bool mask.

        ``reference_for`` names what only the reference backend can do, where the caller wants that.
        """
        check_emissions(emissions, self.num_tags)
        if tags is not None:
            check_beside("tags", tags, emissions)
        if mask is not None:
            check_beside("mask", mask, emissions)
            mask = mask if mask.dtype == torch.bool else mask != 0
        if allowed is not None:
            check_allowed("allowed", allowed, emissions)
        if pairwise is not None:
            check_pairwise(pairwise, emissions, self.batch_first)
            reference_for = "pairwise scores"

        chain = self._chain(emissions, mask)
        if allowed is not None:
            chain = chain.narrowed(self._batch_first(allowed))
        if pairwise is not None:
            pairwise = self._batch_first(pairwise).to(chain.emissions.dtype)
        return Problem(chain, self._backend(emissions, reference_for), pairwise)

    def _chain(self, emissions: Tensor, mask: Tensor | None) -> Chain:
        if not self.batch_first:
            emissions = emissions.transpose(0, 1)
            mask = None if mask is None else mask.transpose(0, 1)
        if mask is None:
            mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        start: Tensor = self.start_transitions
        transitions: Tensor = self.transitions
        end: Tensor = self.end_transitions
        if self._is_constrained:
            start, transitions, end = (self._scores(name) for name in _PARAMETERS)
        dtype = emissions.dtype
        if not (dtype in _KERNEL_DTYPES and dtype == start.dtype == transitions.dtype == end.dtype):
            # At least single precision: half of it loses the sums of a long row.
            dtype = torch.promote_types(torch.promote_types(dtype, transitions.dtype), torch.float32)
            emissions = emissions.to(dtype)
            start, transitions, end = (part.to(dtype) for part in (start, transitions, end))
        return Chain(emissions, mask, start, transitions, end)

    def _scores(self, name: str) -> Tensor:
        """A parameter, with -inf where the constraints forbid: no path there, and no gradient."""
        parameter: Tensor = getattr(self, _PARAMETERS[name])
        allowed: Tensor | None = getattr(self, f"_allowed_{name}")
        return parameter if allowed is None else torch.where(allowed, parameter, NEG_INF)

    def _tags(self, tags: Tensor) -> Tensor:
        """Tags brought to batch-first int64."""
        if tags.dtype != torch.int64:
            if tags.is_floating_point() or tags.is_complex() or tags.dtype == torch.bool:
                raise ValueError(f"tags must be integers, got {tags.dtype}")
            tags = tags.to(torch.int64)
        return self._batch_first(tags)

    def _batch_first(self, given: Tensor) -> Tensor:
        """A caller's tensor with a batch and a time axis, brought to batch-first."""
        return given if self.batch_first else given.transpose(0, 1)

    def _leave(self, result: Tensor, batch_axis: int = 0) -> Tensor:
        """A batch-first result in the layout of the caller's emissions."""
        return result if self.batch_first else result.transpose(batch_axis, batch_axis + 1)

    def _backend(self, emissions: Tensor, reference_for: str) -> str:
        if reference_for and self.backend not in ("auto", "reference"):
            raise ValueError(
                f"the {self.backend} backend has no {reference_for}: use CRF(..., backend='reference')"
            )
        name: str = "reference" if reference_for else choose(self.backend, emissions.device.type)
        return name
