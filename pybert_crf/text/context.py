"""Document context: for each sentence the pieces of its neighbours, which the encoder reads around it.

The idea is FLERT's (Schweter and Akbik, 2020, "FLERT: document-level features for named entity recognition").
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from pybert_crf.text.tokenizer import Encoded

Item = TypeVar("Item")


class Context(NamedTuple):
    """The pieces of whole units on both sides of a sentence, the nearest ones."""

    left: Encoded
    right: Encoded


NO_CONTEXT = Context(Encoded([], []), Encoded([], []))
"""That of a sentence of no document, or the only one of its document."""


def neighbourhood(width: int) -> str:
    """What is read around a sentence, on either side, in words."""
    return f"up to {width:,} pieces of a document's neighbouring sentences"


Placed: TypeAlias = tuple[Item, Encoded, Context]
"""An item of a stream, the pieces of its sentence, and those around it."""


class Neighbours(Generic[Item]):
    """Gives each sentence of a stream its context, as soon as enough of what follows it is known.

    Args:
        width: pieces on either side at most; 0 for none.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._document = 0
        self._left = NO_CONTEXT.left  # of the first one that waits
        self._waiting: deque[tuple[Item, Encoded]] = deque()
        self._pieces = 0  # of those that wait

    def add(self, item: Item, encoded: Encoded, document: int) -> list[Placed[Item]]:
        """Take the next sentence of the stream; those whose context is now known, in order.

        Args:
            document: its document's number; 0 if it belongs to none. Neighbours have the same number.
        """
        if not (self.width and document):
            return [*self.end(), (item, encoded, NO_CONTEXT)]
        known = self.end() if document != self._document else []
        self._document = document
        self._waiting.append((item, encoded))
        self._pieces += len(encoded.ids)
        while self._pieces - len(self._waiting[0][1].ids) >= self.width:
            known.append(self._next())
        return known

    def end(self) -> list[Placed[Item]]:
        """The document ends here: those that wait, in order."""
        known = [self._next() for _ in range(len(self._waiting))]
        self._left, self._document = NO_CONTEXT.left, 0
        return known

    def _next(self) -> Placed[Item]:
        item, encoded = self._waiting.popleft()
        self._pieces -= len(encoded.ids)
        following = NO_CONTEXT.right
        for _, after in self._waiting:
            if len(following.ids) >= self.width:
                break
            following = _joined(following, after)
        left, self._left = self._left, last_units(_joined(self._left, encoded), self.width)
        return item, encoded, Context(left, first_units(following, self.width))


def last_units(encoded: Encoded, most: int) -> Encoded:
    """The last units, whole, of as many as have at most `most` pieces."""
    ids, first = encoded
    unit = bisect_left(first, len(ids) - most)
    begin = first[unit] if unit < len(first) else len(ids)
    return Encoded(ids[begin:], [piece - begin for piece in first[unit:]])


def first_units(encoded: Encoded, most: int) -> Encoded:
    """The first units, whole, of as many as have at most `most` pieces."""
    ids, first = encoded
    if len(ids) <= most:
        return encoded
    unit = bisect_right(first, most) - 1  # the unit that reaches beyond them
    return Encoded(ids[: first[unit]], first[:unit])


def fit(context: Context, room: int) -> tuple[list[int], list[int]]:
    """The pieces before and after a sentence, at most `room`: half on each side, unless one has fewer."""
    left, right = len(context.left.ids), len(context.right.ids)
    if left + right > room:
        half = room // 2
        if left <= half:
            right = room - left
        elif right <= half:
            left = room - right
        else:
            left, right = room - half, half
    return last_units(context.left, left).ids, first_units(context.right, right).ids


def _joined(one: Encoded, other: Encoded) -> Encoded:
    shift = len(one.ids)
    return Encoded(one.ids + other.ids, one.first + [shift + piece for piece in other.first])
