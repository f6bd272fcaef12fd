"""Windows over a text longer than the encoder can read, so that nothing is truncated.

For tagging they overlap: each window is encoded by itself; a unit's emission is taken from the window that
shows most of what is around it, and one CRF pass decodes the whole. For pretraining they do not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

Window = tuple[int, int]


def plan_windows(n_pieces: int, capacity: int, overlap: int) -> list[Window]:
    """Windows ``start:stop`` (half-open, in pieces) that cover ``0:n_pieces``, in order.

    Neighbours share `overlap` pieces, the last two possibly more: the last window is as long as the others
    and ends with the text. A text that fits is one window; one without pieces has none.

    Args:
        n_pieces: length of the text, in pieces.
        capacity: how many pieces a window holds ([CLS] and [SEP] not counted).
        overlap: pieces shared by neighbours, 0 to ``capacity - 1``.

    Raises:
        ValueError: a size is out of range.
    """
    if n_pieces < 0 or capacity < 1 or not 0 <= overlap < capacity:
        raise ValueError(
            f"need n_pieces >= 0, capacity >= 1 and 0 <= overlap < capacity; "
            f"got n_pieces={n_pieces}, capacity={capacity}, overlap={overlap}"
        )
    if n_pieces <= capacity:
        return [(0, n_pieces)] if n_pieces else []
    last = n_pieces - capacity
    starts = [*range(0, last, capacity - overlap), last]
    return [(start, start + capacity) for start in starts]


def split_evenly(n_pieces: int, boundaries: Sequence[int], capacity: int) -> list[Window]:
    """Windows ``start:stop`` that cover ``0:n_pieces`` without overlap, near-equally long, cut at boundaries.

    For pretraining, where a piece is to be seen once. A window ends inside a word only where the word alone
    is longer than a window.

    Args:
        n_pieces: length of the text, in pieces.
        boundaries: where a word begins, ascending.
        capacity: how many pieces a window holds.

    Raises:
        ValueError: `capacity` is not positive.
    """
    if capacity < 1:
        raise ValueError(f"a window must hold a piece at least, got capacity={capacity}")
    windows = []
    start = 0
    while start < n_pieces:
        left = n_pieces - start
        target = start + -(-left // -(-left // capacity))  # an equal share of what is left
        stop = target if target == n_pieces else _cut(start, target, start + capacity, boundaries)
        windows.append((start, stop))
        start = stop
    return windows


def _cut(start: int, target: int, limit: int, boundaries: Sequence[int]) -> int:
    """The boundary in ``(start, limit]`` at or next before `target`, else next after it, else `target`."""
    before = bisect_right(boundaries, target) - 1
    if before >= 0 and boundaries[before] > start:
        return boundaries[before]
    after = before + 1
    return boundaries[after] if after < len(boundaries) and boundaries[after] <= limit else target


def place(first: Sequence[int], windows: Sequence[Window]) -> list[tuple[int, int]]:
    """For each unit the window to take its emission from, and its position inside that window.

    It is the one with most context on the unit's scarcer side, ``max min(piece - start, stop - 1 - piece)``;
    the earlier of two equal ones.

    Args:
        first: index of each unit's first piece, ascending.
        windows: as `plan_windows` made them (equally long, ascending).

    Raises:
        ValueError: a unit lies in no window.
    """

    def context(piece: int, window: int) -> int:
        start, stop = windows[window]
        return min(piece - start, stop - 1 - piece)

    placed = []
    window = 0
    for piece in first:
        # Context rises, then falls, along the windows, and its peak only moves forward from unit to unit.
        while window + 1 < len(windows) and context(piece, window + 1) > context(piece, window):
            window += 1
        if not windows or context(piece, window) < 0:
            raise ValueError(f"piece {piece} lies in none of the {len(windows)} windows")
        placed.append((window, piece - windows[window][0]))
    return placed
