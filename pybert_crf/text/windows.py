"""Windows over texts longer than the encoder's maximum, so that nothing is truncated.

For tagging windows overlap: each is encoded separately, a unit's emissions are taken from the window with
the most context around it, and one CRF pass decodes the whole text. For pretraining windows do not overlap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

Window = tuple[int, int]


def usual_overlap(capacity: int) -> int:
    """Pieces that neighbouring windows share: a unit has at least an eighth of a window on each side."""
    return capacity // 4


def plan_windows(n_pieces: int, capacity: int, overlap: int) -> list[Window]:
    """Overlapping windows ``start:stop`` (half-open, in pieces) that cover ``0:n_pieces``, in order.

    Adjacent windows share `overlap` pieces, the last two possibly more: the last window is as long as the
    others and ends with the text. A text that fits is one window; an empty text has none.

    Args:
        n_pieces: length of the text in pieces.
        capacity: length of a window in pieces ([CLS] and [SEP] not counted).
        overlap: pieces shared by adjacent windows, 0 to ``capacity - 1``.

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
    """Disjoint windows ``start:stop`` of nearly equal length that cover ``0:n_pieces`` and end between words.

    For pretraining, where each piece occurs once. A window ends inside a word only if that word is longer
    than a window.

    Args:
        n_pieces: length of the text in pieces.
        boundaries: positions at which a word begins, ascending.
        capacity: length of a window in pieces.

    Raises:
        ValueError: `capacity` is not positive.
    """
    if capacity < 1:
        raise ValueError(f"a window needs at least one piece, got capacity={capacity}")
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
    """The last boundary in ``(start, target]``, else the first in ``(target, limit]``, else `target`."""
    before = bisect_right(boundaries, target) - 1
    if before >= 0 and boundaries[before] > start:
        return boundaries[before]
    after = before + 1
    return boundaries[after] if after < len(boundaries) and boundaries[after] <= limit else target


def place(first: Sequence[int], windows: Sequence[Window]) -> Iterator[tuple[int, int]]:
    """The window from which to take each unit's emissions, and the unit's position inside it.

    It is the window with the most context on the side where there is less, i.e. that maximises
    ``min(piece - start, stop - 1 - piece)``; the earlier of two equal ones.

    Args:
        first: index of each unit's first piece, ascending.
        windows: result of `plan_windows` (of equal length, ascending).

    Raises:
        ValueError: a unit is in no window.
    """

    def context(piece: int, window: int) -> int:
        start, stop = windows[window]
        return min(piece - start, stop - 1 - piece)

    window = 0
    for piece in first:
        # Along the windows the context first increases, then decreases, and its maximum moves forward only.
        while window + 1 < len(windows) and context(piece, window + 1) > context(piece, window):
            window += 1
        if not windows or context(piece, window) < 0:
            raise ValueError(f"piece {piece} is in none of the {len(windows)} windows")
        yield window, piece - windows[window][0]
