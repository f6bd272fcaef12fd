"""Encoded sentences as padded arrays: windows, and batches under a budget of encoder positions.

A sentence longer than the encoder's window is cut into overlapping windows; `Arrays.first` says, for every
unit (character or word), where its first piece stands among all windows, so that one CRF pass sees the
whole sentence whatever its length. Nothing is truncated. Around a sentence shorter than the window there
may be its neighbours in the document, of which the CRF sees nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pybert_crf.text.context import NO_CONTEXT, Context, fit
from pybert_crf.text.tokenizer import Encoded
from pybert_crf.text.windows import Window, place, plan_windows, usual_overlap


class Example(NamedTuple):
    """One sentence, encoded and cut into windows.

    Attributes:
        encoded: its pieces, and the first piece of each unit.
        windows: half-open ranges of pieces, as `plan_windows` makes them; those of the context count.
        tags: in training the tag number of each unit.
        allowed: (units, K), true for the tags that a unit may have; None: all of them.
        before, after: pieces of the neighbouring sentences, which the encoder reads too.
        others: of an ensemble, the sentence as its other members read it.
    """

    encoded: Encoded
    windows: list[Window]
    tags: list[int] | None = None
    allowed: NDArray[np.bool_] | None = None
    before: Sequence[int] = ()
    after: Sequence[int] = ()
    others: tuple[Example, ...] = ()

    @property
    def positions(self) -> int:
        """Encoder positions in all windows, with room for ``[CLS]`` and ``[SEP]``."""
        if not self.windows:
            return 0
        start, stop = self.windows[0]  # all are equally long
        return len(self.windows) * (stop - start + 2)


class Arrays(NamedTuple):
    """Padded arrays of some sentences.

    Attributes:
        input_ids: (windows, length) int64 piece ids, ``[CLS]`` and ``[SEP]`` around each window.
        attention_mask: (windows, length) bool, false at padding.
        first: (batch, time) int64, each unit's first piece as an index into ``windows * length``.
        mask: (batch, time) bool, false after a sentence's last unit.
    """

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.bool_]
    first: NDArray[np.int64]
    mask: NDArray[np.bool_]


class WindowLayout(NamedTuple):
    """The special pieces around a window and its padding, and how many positions the encoder has.

    `before` and `after` are empty where nothing precedes or follows a window.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    pad_id: int
    max_positions: int

    @property
    def capacity(self) -> int:
        """Pieces that fit between ``[CLS]`` and ``[SEP]``."""
        return self.max_positions - len(self.before) - len(self.after)

    @property
    def overlap(self) -> int:
        """Pieces that neighbouring windows share."""
        return usual_overlap(self.capacity)


def make_example(
    encoded: Encoded, layout: WindowLayout, tags: list[int] | None = None, context: Context = NO_CONTEXT
) -> Example:
    """Cut an encoded sentence into the windows that the encoder reads.

    As much of the `context` as its window has room for stands around a sentence. One that fills a window, or
    takes several, has none.
    """
    pieces = len(encoded.ids)
    before, after = fit(context, max(0, layout.capacity - pieces)) if pieces else ([], [])
    pieces += len(before) + len(after)
    windows = plan_windows(pieces, layout.capacity, layout.overlap)
    return Example(encoded, windows, tags, before=before, after=after)


def collate_arrays(examples: Sequence[Example], layout: WindowLayout) -> Arrays:
    """Pad `examples`, whose tags are left out."""
    windows: list[list[int]] = []
    starts: list[int] = []  # each example's first window
    for example in examples:
        starts.append(len(windows))
        ids = [*example.before, *example.encoded.ids, *example.after]
        windows.extend([*layout.before, *ids[start:stop], *layout.after] for start, stop in example.windows)

    length = max(map(len, windows), default=0)
    pairs = zip(starts, examples, strict=True)
    firsts = [_first_pieces(example, start * length + len(layout.before), length) for start, example in pairs]
    return Arrays(pad(windows, layout.pad_id), _pad_mask(windows), pad(firsts, 0), _pad_mask(firsts))


def _first_pieces(example: Example, offset: int, length: int) -> list[int]:
    """The index of each unit's first piece among all windows of a batch, each `length` positions long.

    Args:
        offset: the index of the first piece of the example's first window.
    """
    first = example.encoded.first
    if len(example.windows) == 1:
        return [offset + len(example.before) + piece for piece in first]
    return [offset + window * length + position for window, position in place(first, example.windows)]


def _pad_mask(rows: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    lengths = np.array(list(map(len, rows)), dtype=np.int64)
    mask: NDArray[np.bool_] = np.arange(max(map(len, rows), default=0)) < lengths[:, None]
    return mask


def pad(rows: Sequence[Sequence[int]], value: int) -> NDArray[np.int64]:
    """The rows as one int64 array, the shorter ones followed by `value`."""
    padded = np.full((len(rows), max(map(len, rows), default=0)), value, dtype=np.int64)
    for line, row in zip(padded, rows, strict=True):
        line[: len(row)] = row
    return padded


def cut(lengths: Sequence[int], order: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Cut `order` (indices into `lengths`) into batches of at most `budget` positions, padding counted.

    A single sentence over the budget makes a batch of its own.
    """
    batch: list[int] = []
    longest = 0
    for index in order:
        longest = max(longest, lengths[index])
        if batch and longest * (len(batch) + 1) > budget:
            yield batch
            batch, longest = [], lengths[index]
        batch.append(index)
    if batch:
        yield batch


def by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Batches of neighbouring lengths, shortest first: for evaluation and prediction."""
    return list(cut(lengths, sorted(range(len(lengths)), key=lengths.__getitem__), budget))
