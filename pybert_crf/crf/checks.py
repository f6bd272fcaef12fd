"""What is said to callers whose tensors do not fit. Shapes are messaged in the words of pytorch-crf."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pybert_crf.crf.chain import Chain


def check_emissions(emissions: Tensor, num_tags: int) -> None:
    """Raise ValueError unless emissions are (·, ·, num_tags) and floating point."""
    if emissions.dim() != 3:
        raise ValueError(f"emissions must have dimension of 3, got {emissions.dim()}")
    if emissions.size(2) != num_tags:
        raise ValueError(f"expected last dimension of emissions is {num_tags}, got {emissions.size(2)}")
    if not emissions.is_floating_point():
        raise ValueError(f"emissions must be floating point, got {emissions.dtype}")


def check_beside(name: str, tensor: Tensor, emissions: Tensor) -> None:
    """Raise ValueError unless ``tensor``, called ``name``, has the first two dimensions of the emissions."""
    if emissions.shape[:2] != tensor.shape:
        raise ValueError(
            f"the first two dimensions of emissions and {name} must match, "
            f"got {tuple(emissions.shape[:2])} and {tuple(tensor.shape)}"
        )


def check_tags(tags: Tensor, mask: Tensor, num_tags: int) -> None:
    """Raise ValueError naming the first unmasked tag (B, T) outside 0..num_tags-1.

    On other devices than the CPU this would wait for the device, and while compiling it would break the
    graph: there the gather that reads the tags asserts its own bounds.
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
    """Raise ValueError unless pairwise scores have an entry for every pair of tags at every position but the
    first."""
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
    """Raise ValueError naming the batch rows whose best path scores (B,) are NaN or -inf, and why.

    Waits for the device.
    """
    if all(map(math.isfinite, scores.tolist())):
        return
    if any(bool(parameter.isnan().any()) for parameter in (chain.start, chain.transitions, chain.end)):
        raise ValueError("the transition parameters hold NaN")
    unreadable = scores.isnan().nonzero()[:, 0].tolist()
    if unreadable:
        row = unreadable[0]
        wrong = (chain.mask[row] & chain.emissions[row].isnan().any(dim=1)).nonzero()[:, 0].tolist()
        where = f", position {wrong[0]}" if wrong else ", or +inf beside -inf"
        raise ValueError(f"emissions hold NaN at batch row {row}{where}")
    illegal = (scores == float("-inf")).nonzero()[:, 0].tolist()
    if illegal:
        named = ", ".join(map(str, illegal[:5])) + (", ..." if len(illegal) > 5 else "")
        raise ValueError(f"no legal tag sequence for batch row {named}: every path scores -inf")


def check_spans(spans: Sequence[tuple[int, int, int]] | Tensor, mask: Tensor) -> Tensor:
    """Spans as a tensor (S, 3) of int64 on the mask's device.

    Raises ValueError naming the first that is empty or not within the unmasked positions of its row of
    ``mask`` (B, T). Waits for the device.
    """
    if not isinstance(spans, Tensor):
        spans = torch.tensor(list(spans), dtype=torch.int64).reshape(len(spans), 3)
    if spans.dim() != 2 or spans.shape[1] != 3:
        raise ValueError(f"spans must be (spans, 3): batch row, start and end; got {tuple(spans.shape)}")
    spans = spans.to(mask.device, torch.int64)
    batch, begin, end = spans.unbind(dim=1)
    known = (batch >= 0) & (batch < mask.shape[0])
    lengths = torch.cat([mask.sum(dim=1), mask.new_zeros(1, dtype=torch.int64)])  # the last: of no row
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
