"""Long calls into compiled code, which Python cannot interrupt, made so that Ctrl-C is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_LONG = 5e7  # elementary steps; at 1 to 5 ns each that is a tenth of a second or less
_PATIENCE = 0.05  # seconds between two looks at whether Ctrl-C has come


def in_slices(work: Callable[[int, int], Result], rows: int, width: int, steps_a_row: float) -> list[Result]:
    """``work(begin, end)`` for consecutive ranges of rows, in order.

    A short call is made whole and at once. A long one runs in a thread, `width` rows at a time, while the
    main thread waits: Ctrl-C there raises KeyboardInterrupt at once, and the thread ends after its rows.

    Args:
        steps_a_row: about how many elementary steps a row takes.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if rows * steps_a_row < _LONG or not is_main:
        return [work(0, rows)]
    results: list[Result] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def run() -> None:
        try:
            for begin in range(0, rows, width):
                if stop.is_set():
                    return
                results.append(work(begin, min(begin + width, rows)))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_PATIENCE)
    finally:
        stop.set()
    if errors:
        raise errors[0]
    return results


def count_paths(k: int, time: int, tags: int) -> int:
    """``k``, or the number of paths of `time` positions if that is less."""
    needed, paths = 0, 1  # positions that have k paths
    while paths < k and tags > 1:
        needed, paths = needed + 1, paths * tags
    return k if time >= needed and paths >= k else tags**time
