"""The problem that every backend takes, and the checks of what callers give.

Errors about shapes are in the words of pytorch-crf.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pybert_crf.crf.log_space import NEG_INF, widened

DTYPES = (torch.float32, torch.float64)


class Chain(NamedTuple):
    """A batch of linear chains: batch-first, of one of DTYPES, on one device, with no lazy negation.

    The chain of a row is the sequence of its unmasked positions, in order. Backends read chains as raw memory
    and trust their sizes: :class:`pybert_crf.crf.CRF` checks those that it makes, and
    :mod:`pybert_crf.crf.library` those that an op is given.
    """

    emissions: Tensor  # (B, T, K)
    mask: Tensor  # (B, T) bool
    start: Tensor  # (K,)
    transitions: Tensor  # (K, K), from row to column
    end: Tensor  # (K,)

    def narrowed(self, allowed: Tensor) -> Chain:
        """The chain in which only the tags ``allowed`` (B, T, K) bool are legal at each position."""
        return self._replace(emissions=torch.where(allowed, self.emissions, NEG_INF))

    def widened(self) -> Chain:
        """The chain in float64, unless the device has no float64."""
        emissions, mask, *scores = self
        emissions, start, transitions, end = widened(emissions, *scores)
        return Chain(emissions, mask, start, transitions, end)


class Problem(NamedTuple):
    """A chain, the name of its backend, and pairwise scores, which only the reference backend takes."""

    chain: Chain
    backend: str
    pairwise: Tensor | None = None  # (B, T - 1, K, K): added to the transitions on entering position t + 1

    def widened(self) -> Problem:
        """The problem in float64, unless the device has no float64."""
        return self._replace(chain=self.chain.widened())


def check_given(emissions: Tensor, num_tags: int, tags: Tensor | None, mask: Tensor | None) -> None:
    """Raise ValueError unless emissions are (·, ·, num_tags) and floating point, and tags and mask are of
    their first two dimensions and on their device."""
    shape = emissions.shape
    if len(shape) != 3:
        raise ValueError(f"emissions must have dimension of 3, got {len(shape)}")
    if shape[2] != num_tags:
        raise ValueError(f"expected last dimension of emissions is {num_tags}, got {shape[2]}")
    if emissions.dtype not in DTYPES and not emissions.is_floating_point():
        raise ValueError(f"emissions must be floating point, got {emissions.dtype}")
    for name, beside in (("tags", tags), ("mask", mask)):
        if beside is None:
            continue
        if beside.shape != shape[:2]:
            raise ValueError(
                f"the first two dimensions of emissions and {name} must match, "
                f"got {tuple(shape[:2])} and {tuple(beside.shape)}"
            )
        if beside.device != emissions.device:
            raise ValueError(f"{name} must be on {emissions.device}, as emissions are, got {beside.device}")


def check_order(tags: Tensor, mask: Tensor | None) -> None:
    """Raise ValueError if tags and an integer mask were swapped, as bert4torch and NCRF++ have them.

    The mask then has values other than 0 and 1, and the tags have no others. Not checked on other devices,
    because the host would wait for the device.
    """
    if mask is None or mask.dtype == torch.bool or mask.is_floating_point() or not mask.is_cpu:
        return
    if torch.compiler.is_compiling() or mask.numel() == 0:
        return
    if all(
        bool(((part == 0) | (part == 1)).all()) == binary for part, binary in ((tags, True), (mask, False))
    ):
        raise ValueError(
            "mask has values other than 0 and 1, and tags have no others: "
            "the order is crf(emissions, tags, mask)"
        )


def check_tags(tags: Tensor, mask: Tensor, num_tags: int) -> None:
    """Raise ValueError naming the first unmasked tag (B, T) outside 0..num_tags-1.

    Not checked on other devices, because the host would wait for the device, and under torch.compile, because
    the graph would break: there the gather that reads the tags asserts its own bounds.
    """
    if torch.compiler.is_compiling() or tags.device.type != "cpu" or tags.numel() == 0:
        return
    lowest, highest = tags.masked_fill(~mask, 0).aminmax()
    if int(lowest) >= 0 and int(highest) < num_tags:
        return
    wrong = mask & ((tags < 0) | (tags >= num_tags))
    row, position = wrong.nonzero()[0].tolist()
    raise ValueError(
        f"tag {int(tags[row, position])} at batch row {row}, position {position} is out of range: "
        f"expected 0 <= tag < {num_tags} where the mask is on"
    )


def check_allowed(name: str, allowed: Tensor, emissions: Tensor) -> None:
    """Raise ValueError unless ``allowed``, called ``name``, is bool and of the emissions' shape."""
    if allowed.dtype != torch.bool or allowed.shape != emissions.shape:
        raise ValueError(
            f"{name} must be bool of the emissions' shape {tuple(emissions.shape)}, "
            f"got {allowed.dtype} of shape {tuple(allowed.shape)}"
        )


def check_pairwise(pairwise: Tensor, emissions: Tensor, batch_first: bool) -> None:
    """Raise ValueError unless pairwise scores are (B, T - 1, K, K) in the emissions' layout, and floating."""
    sizes, K = list(emissions.shape[:2]), emissions.shape[2]
    sizes[batch_first] = max(0, sizes[batch_first] - 1)
    if pairwise.shape != (*sizes, K, K) or not pairwise.is_floating_point():
        raise ValueError(
            f"pairwise must be floating point of shape {(*sizes, K, K)}, "
            f"got {pairwise.dtype} of shape {tuple(pairwise.shape)}"
        )


def check_vector(name: str, vector: Tensor, size: int) -> None:
    """Raise ValueError unless ``vector``, called ``name``, is floating point of shape (size,)."""
    if vector.shape != (size,) or not vector.is_floating_point():
        raise ValueError(
            f"{name} must be floating point of shape ({size},), "
            f"got {vector.dtype} of shape {tuple(vector.shape)}"
        )


def check_fraction(name: str, value: float) -> None:
    """Raise ValueError unless ``value``, called ``name``, is in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, got {value}")


def check_best(scores: Tensor, chain: Chain) -> None:
    """Raise ValueError if the score (B,) of a row's best path is not finite; names the row and the cause.

    Waits for the device.
    """
    if all(map(math.isfinite, scores.tolist())):
        return
    for parameter in (chain.start, chain.transitions, chain.end):
        if not bool((parameter < math.inf).all()):
            held = "NaN" if bool(parameter.isnan().any()) else "+inf"
            raise ValueError(f"the transition parameters hold {held}")
    unreadable = scores.isnan().nonzero()[:, 0].tolist()
    if unreadable:
        row = unreadable[0]
        emissions = chain.emissions[row]
        usable = (emissions < math.inf).all(dim=1) | ~chain.mask[row]
        wrong = (~usable).nonzero()[:, 0].tolist()
        if not wrong:
            raise ValueError(f"the scores of batch row {row} sum to NaN")
        held = "NaN" if bool(emissions[wrong[0]].isnan().any()) else "+inf"
        raise ValueError(f"emissions hold {held} at batch row {row}, position {wrong[0]}")
    illegal = (scores == float("-inf")).nonzero()[:, 0].tolist()
    if illegal:
        named = ", ".join(map(str, illegal[:5])) + (", ..." if len(illegal) > 5 else "")
        raise ValueError(f"no legal tag sequence for batch row {named}: every path scores -inf")


def check_spans(spans: Sequence[tuple[int, int, int]] | Tensor, mask: Tensor) -> Tensor:
    """Spans as a tensor (S, 3) of int64 on the mask's device.

    Raises ValueError naming the first span that is empty or not within the unmasked positions of its row of
    ``mask`` (B, T). Waits for the device.
    """
    if not isinstance(spans, Tensor):
        spans = torch.tensor(list(spans), dtype=torch.int64).reshape(len(spans), 3)
    if spans.dim() != 2 or spans.shape[1] != 3:
        raise ValueError(f"spans must be (spans, 3): batch row, start and end; got {tuple(spans.shape)}")
    spans = spans.to(mask.device, torch.int64)
    batch, begin, end = spans.unbind(dim=1)
    known = (batch >= 0) & (batch < mask.shape[0])
    lengths = torch.cat([mask.sum(dim=1), mask.new_zeros(1, dtype=torch.int64)])  # last: of no row
    length = lengths[torch.where(known, batch, mask.shape[0])]
    wrong = ~(known & (begin >= 0) & (begin < end) & (end <= length))
    if bool(wrong.any()):
        index = int(wrong.nonzero()[0])
        row, first, stop = spans[index].tolist()
        held = (
            f"which has {int(length[index])} unmasked positions"
            if bool(known[index])
            else "which does not exist"
        )
        raise ValueError(f"span {index} is [{first}, {stop}) of batch row {row}, {held}")
    return spans


def check_chain(chain: Chain) -> None:
    """Raise ValueError unless a chain is what its fields say: backends read it as raw memory."""
    emissions, shape = chain.emissions, chain.emissions.shape
    if emissions.dtype not in DTYPES:
        raise ValueError(f"emissions must be float32 or float64, got {emissions.dtype}")
    if len(shape) != 3 or shape[2] == 0:
        raise ValueError(f"emissions must be (batch, time, tags) with tags > 0, got {tuple(shape)}")
    check_tensor("mask", chain.mask, shape[:2], torch.bool, emissions)
    check_parameters(chain)


def check_parameters(chain: Chain) -> None:
    """Raise ValueError unless start, transitions and end fit the emissions (B, T, K)."""
    emissions, _, start, transitions, end = chain
    dtype, device, K = emissions.dtype, emissions.device, emissions.shape[2]
    fits = (
        start.shape == end.shape == (K,)
        and transitions.shape == (K, K)
        and dtype == start.dtype == transitions.dtype == end.dtype
        and device == start.device == transitions.device == end.device
    )
    if not fits:  # say what does not
        check_tensor("start", start, (K,), dtype, emissions)
        check_tensor("transitions", transitions, (K, K), dtype, emissions)
        check_tensor("end", end, (K,), dtype, emissions)


def check_tensor(
    name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype, emissions: Tensor
) -> None:
    """Raise ValueError unless a tensor has this shape and dtype, on the emissions' device."""
    if tensor.shape != shape or tensor.dtype != dtype or tensor.device != emissions.device:
        place = "the CPU" if emissions.is_cpu else str(emissions.device)
        raise ValueError(
            f"{name} must be {tuple(shape)} of {dtype} on {place}, "
            f"got {tuple(tensor.shape)} of {tensor.dtype} on {tensor.device}"
        )
