"""Conversion between tags and entity spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from pybert_crf.text.tagging.schemes import OUTSIDE, continues, convert, join_tag, role


class Span(NamedTuple):
    """An entity of type `label` over the units ``start:end`` (half-open)."""

    start: int
    end: int
    label: str


def spans(tags: Sequence[str], scheme: str, strict: bool = False) -> list[Span]:
    """The entities of a sequence of tags, in order.

    The lenient reading is conlleval's (and seqeval's default): every unit whose tag is not O belongs to an
    entity, and an entity continues as long as the type is the same and no prefix begins or ends one, so an
    illegal I- begins one. The strict reading is seqeval's ``mode="strict"``: an entity without the prefixes
    that the scheme requires (B-, E-) does not count. In IO both readings are the same. Every plain tag is an
    entity of one unit.

    Raises:
        ValueError: a tag is malformed or its prefix is not one of the scheme's.
    """
    return _strict(tags, scheme) if strict and scheme != "IO" else _lenient(tags, scheme)


def tags_from_spans(entities: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The tags of a sequence of `length` units with these entities, given in any order.

    Raises:
        ValueError: a span is empty, out of range or overlaps another; or IO would merge two of them.
    """
    tags = [OUTSIDE] * length
    for start, end, label in sorted(entities):
        if not 0 <= start < end <= length:
            raise ValueError(f"span {start}:{end} ({label}) is empty or out of range for {length} units")
        if any(tag != OUTSIDE for tag in tags[start:end]):
            raise ValueError(f"span {start}:{end} ({label}) overlaps another")
        tags[start:end] = [join_tag("B", label)] + [join_tag("I", label)] * (end - start - 1)
    return convert(tags, "BIO", scheme)


def _lenient(tags: Sequence[str], scheme: str) -> list[Span]:
    found: list[Span] = []
    start = 0
    for end, (tag, following) in enumerate(pairwise([*tags, OUTSIDE]), start=1):
        if continues(tag, following, scheme):
            continue
        label = role(tag, scheme)[1]
        if label:
            found.append(Span(start, end, label))
        start = end
    return found


def _strict(tags: Sequence[str], scheme: str) -> list[Span]:
    padded = [*tags, OUTSIDE]
    roles = [role(tag, scheme) for tag in padded]
    found: list[Span] = []
    previous, start = (OUTSIDE, ""), 0
    while start < len(tags):
        end = start + 1
        if _opens(previous, roles[start], scheme):
            while continues(padded[end - 1], padded[end], scheme):
                end += 1
            if _closes(roles[end - 1], roles[end], scheme):
                found.append(Span(start, end, roles[start][1]))
        previous, start = roles[end - 1], end
    return found


_Role = tuple[str, str]  # (role, type), as schemes.role gives it


def _opens(previous: _Role, current: _Role, scheme: str) -> bool:
    if scheme in ("IOE1", "IOE2"):  # what continues nothing
        return current[0] in "IE"
    if scheme != "IOB1":
        return current[0] in "BS"
    if current[0] == "B":  # only between two entities of one type
        return previous[0] in "BI" and previous[1] == current[1]
    return current[0] == "I"  # any I that continues nothing, also after a B that began nothing


def _closes(last: _Role, following: _Role, scheme: str) -> bool:
    if scheme == "IOB1":  # a B that follows a B of another type does not close it
        return not (last[0] == following[0] == "B" and last[1] != following[1])
    if scheme == "IOE1":  # an E only between two entities of one type
        return last[0] == "I" or (following[0] in "IE" and last[1] == following[1])
    return scheme in ("BIO", "BIOS") or last[0] in "ES"
