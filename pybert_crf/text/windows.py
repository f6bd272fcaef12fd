"""Overlapping windows over a text longer than the encoder can read, so that nothing is truncated.

Each window is encoded by itself; a unit's emission is taken from the window that shows most of what is around
it, and one CRF pass decodes the whole.
"""

from __future__ import annotations

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
