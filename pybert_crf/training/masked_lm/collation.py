"""Masked windows, padded to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pybert_crf.annotation.examples import WindowLayout
from pybert_crf.training.masked_lm.masking import TRAINING, Masking
from pybert_crf.training.masked_lm.texts import EncodedText


@dataclass(frozen=True)
class MaskedBatch:
    """Padded tensors of some windows, of which M pieces in all are to be predicted.

    Attributes:
        input_ids: (windows, length) int64 piece ids as the encoder sees them, ``[CLS]`` and ``[SEP]`` around.
        attention_mask: (windows, length) bool, false at padding.
        places: (M,) int64, where pieces are to be predicted, as indices into ``windows * length``.
        targets: (M,) int64, the pieces that stood there.
    """

    input_ids: Tensor
    attention_mask: Tensor
    places: Tensor
    targets: Tensor

    def to(self, device: torch.device | str) -> MaskedBatch:
        """The same batch on `device`."""
        return MaskedBatch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


def collate_masked(
    text: EncodedText,
    rows: Sequence[int],
    layout: WindowLayout,
    masking: Masking,
    epoch: int,
    stream: int = TRAINING,
) -> MaskedBatch:
    """Mask and pad the windows of `text` whose numbers are `rows`; see `Masking.draw`."""
    first, around = len(layout.before), len(layout.before) + len(layout.after)
    length = max(stop - start for start, stop in (text.windows[row] for row in rows)) + around
    input_ids = np.full((len(rows), length), layout.pad_id, np.int64)
    attention_mask = np.zeros((len(rows), length), np.bool_)
    places, targets = [], []
    for line, row in enumerate(rows):
        start, stop = text.windows[row]
        masked = masking.draw(text.ids[start:stop], text.groups[start:stop], row, epoch, stream)
        size = stop - start + around
        input_ids[line, :size] = [*layout.before, *masked.ids, *layout.after]
        attention_mask[line, :size] = True
        places.append(masked.places + line * length + first)
        targets.append(masked.targets.astype(np.int64))
    return MaskedBatch(
        torch.from_numpy(input_ids),
        torch.from_numpy(attention_mask),
        torch.from_numpy(np.concatenate(places)),
        torch.from_numpy(np.concatenate(targets)),
    )
