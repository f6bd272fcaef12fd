"""Padded tensors of encoded sentences, with the tags that a model learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pybert_crf.annotation.examples import Example, WindowLayout, collate_arrays, pad


@dataclass(frozen=True)
class Batch:
    """Padded tensors of some sentences: `pybert_crf.annotation.examples.Arrays`, and tags.

    Attributes:
        input_ids: (windows, length) int64.
        attention_mask: (windows, length) bool.
        first: (batch, time) int64.
        mask: (batch, time) bool.
        tags: (batch, time) int64 tag numbers, -100 where masked; None outside training.
    """

    input_ids: Tensor
    attention_mask: Tensor
    first: Tensor
    mask: Tensor
    tags: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`."""
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if value is not None
        }
        return replace(self, **moved)


def collate(examples: Sequence[Example], layout: WindowLayout) -> Batch:
    """Pad `examples` to a `Batch`.

    Raises:
        ValueError: an example whose tags and units differ in number, or some with tags and some without.
    """
    for row, example in enumerate(examples):
        first, tags = example.encoded.first, example.tags
        if tags is not None and len(tags) != len(first):
            raise ValueError(f"example {row} of the batch has {len(first)} units but {len(tags)} tags")
    arrays = collate_arrays(examples, layout)._asdict()
    return Batch(**{name: torch.from_numpy(each) for name, each in arrays.items()}, tags=_pad_tags(examples))


def _pad_tags(examples: Sequence[Example]) -> Tensor | None:
    tags = [example.tags for example in examples if example.tags is not None]
    if not tags:
        return None
    if len(tags) != len(examples):
        raise ValueError(f"{len(examples) - len(tags)} of {len(examples)} examples of the batch have no tags")
    return torch.from_numpy(pad(tags, -100))
