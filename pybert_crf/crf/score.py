"""The score of given paths, under any mask."""

from __future__ import annotations

import torch
from torch import Tensor


def path_score(
    tags: Tensor, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> Tensor:
    """The score (B,) of each row's path of ``tags``: the sum that :class:`pybert_crf.crf.CRF` describes.

    Differentiable to any order; summed in double precision where the device has it.

    Args:
        tags: (B, T) int64, in 0..K-1 where unmasked (the caller has checked); anything where masked.
        emissions: (B, T, K), any strides; anything at masked positions.
        mask: (B, T) bool.
        start: (K,); transitions: (K, K), from row to column; end: (K,).

    Returns:
        (B,) of the emissions' dtype; 0 for a row with nothing unmasked.
    """
    T, K = emissions.shape[1:]
    if T == 0:
        return emissions.sum(dim=(1, 2))
    wide = emissions.dtype if emissions.device.type == "mps" else torch.float64
    tags = tags.masked_fill(~mask, 0)  # a masked tag is never read: -100 is fine there

    # The latest unmasked position up to each position, -1 where there is none yet.
    positions = torch.arange(T, device=mask.device)
    latest = torch.where(mask, positions, -1).cummax(dim=1).values  # (B, T)
    before = latest[:, :-1]  # the position that position t + 1 is linked to
    linked = mask[:, 1:] & (before >= 0)
    first = mask.to(torch.uint8).argmax(dim=1, keepdim=True)  # (B, 1)
    nonempty = latest[:, -1] >= 0

    emitted = emissions.gather(2, tags[:, :, None])[:, :, 0]  # (B, T)
    arcs = tags.gather(1, before.clamp(min=0)) * K + tags[:, 1:]  # (B, T - 1), flat (from, to)
    moved = transitions.reshape(-1).index_select(0, arcs.reshape(-1)).view_as(arcs)
    first_tag = tags.gather(1, first)[:, 0]
    last_tag = tags.gather(1, latest[:, -1:].clamp(min=0))[:, 0]
    ends = start.index_select(0, first_tag) + end.index_select(0, last_tag)

    # where(), not a product with the mask: 0 * -inf and 0 * NaN are NaN.
    total = torch.where(mask, emitted, 0.0).sum(dim=1, dtype=wide)
    total = total + torch.where(linked, moved, 0.0).sum(dim=1, dtype=wide)
    return (total + torch.where(nonempty, ends, 0.0)).to(emissions.dtype)
