"""What is said to callers whose tensors do not fit. Shapes are messaged in the words of pytorch-crf."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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


def check_readable(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> None:
    """Raise ValueError naming the first batch row with NaN in an unmasked emission: it has no best path.

    Parameters that hold NaN are an error as well. Waits for the device.
    """
    # One cheap look first: a finite sum has no NaN in it.
    if bool((emissions.sum() + start.sum() + transitions.sum() + end.sum()).isfinite()):
        return
    if any(bool(parameter.isnan().any()) for parameter in (start, transitions, end)):
        raise ValueError("the transition parameters hold NaN")
    wrong = mask & emissions.isnan().any(dim=2)
    if bool(wrong.any()):
        row, position = wrong.nonzero()[0].tolist()
        raise ValueError(f"emissions hold NaN at batch row {row}, position {position}")


def check_legal(scores: Tensor) -> None:
    """Raise ValueError naming the batch rows whose best path scores (B,) are -inf. Waits for the device."""
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
