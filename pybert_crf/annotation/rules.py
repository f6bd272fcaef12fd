"""Rules that a reading of a text must keep: surfaces that are entities of a type, or are not; types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pybert_crf.reading import ConfigError, listed, quoted, read_object
from pybert_crf.text.tagging.entity_spans import Span, tags_from_spans
from pybert_crf.text.tagging.schemes import PLAIN, continues, role, type_name

ANY = "*"
"""In `Rules.never`, every type."""

Surface: TypeAlias = "str | re.Pattern[str]"


@dataclass(frozen=True)
class Rules:
    """What a tagger must find, and must not, given as surfaces in the text. They act inside the CRF.

    A surface is a string, or a compiled pattern whose matches count. It is found where it begins and ends
    with units, so that in text tagged by word "in" is not found inside "inside". The best path, its
    probability and those of its entities are then taken among the readings that keep the rules.

    Args:
        must: surfaces by type. Wherever one is found, exactly it is an entity of the type; of overlapping
            ones the leftmost counts, and of those that begin together the longest. An entity of the
            same type can directly precede it in all schemes but IO and IOB1, and follow it in all but IO
            and IOE1.
        never: surfaces by type, or by ``"*"`` for all types: no unit of one is in an entity of the type.
        labels: the types that may be found at all; None: those of the tagger.

    Raises:
        TypeError: a surface is neither a string nor a compiled pattern.
        ValueError: an empty surface, or one that must be of two types or of a type not in `labels`.
    """

    must: Mapping[str, Sequence[Surface]] = field(default_factory=dict)
    never: Mapping[str, Sequence[Surface]] = field(default_factory=dict)
    labels: frozenset[str] | None = None
    _must: _Matcher = field(init=False, repr=False, compare=False)
    _never: list[_Matcher] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.labels is not None:
            object.__setattr__(self, "labels", frozenset(self.labels))
        if ANY in self.must:
            raise ValueError(f"must needs a type, not {ANY!r}")
        excluded = set() if self.labels is None else set(self.must) - self.labels
        if excluded:
            raise ValueError(f"types that must be found are not among the labels: {listed(sorted(excluded))}")
        object.__setattr__(self, "_must", _Matcher("must", self.must))
        object.__setattr__(
            self, "_never", [_Matcher("never", {kind: each}) for kind, each in self.never.items()]
        )

    @classmethod
    def from_file(cls, path: str | Path) -> Rules:
        """Read a JSON file: ``{"must": {TYPE: [SURFACE, …]}, "never": {TYPE: […]}, "labels": [TYPE, …]}``.

        A surface is a string, or ``{"pattern": REGULAR EXPRESSION}``. Each key may be left out.

        Raises:
            ConfigError: not such a file; names the file and the key.
        """
        path = Path(path)
        given = read_object(path)
        unknown = given.keys() - {"must", "never", "labels"}
        if unknown:
            raise ConfigError(f"{path}: unknown keys {listed(sorted(unknown))}; known: must, never, labels")
        labels = given.get("labels")
        if labels is not None and not _is_list_of_str(labels):
            raise ConfigError(f"{path}: labels must be a list of types, got {quoted(labels)}")
        try:
            must, never = (_read_surfaces(name, given.get(name, {})) for name in ("must", "never"))
            return cls(must, never, None if labels is None else frozenset(labels))
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from error

    def check(self, tags: Sequence[str], scheme: str) -> None:
        """Check that a tagger with these tags can keep the rules.

        Raises:
            ValueError: a type that the tagger does not have; names it and those that there are.
        """
        known = {type_name(role(tag, scheme)[1]) for tag in tags} - {""}
        named = set(self.must) | (set(self.never) - {ANY}) | (self.labels or set())
        if named - known:
            unknown, there = listed(sorted(named - known)), listed(sorted(known))
            raise ValueError(f"the tagger has no type {unknown}; it has {there}")

    def allowed(
        self, text: str, offsets: Sequence[tuple[int, int]], tags: Sequence[str], scheme: str
    ) -> NDArray[np.bool_] | None:
        """Which tag each unit may have, (T, K); None if the rules leave all of them.

        Args:
            text: the text.
            offsets: the half-open characters of its T units.
            tags: the K tags of the tagger, in the order of their numbers.
            scheme: their scheme.

        Raises:
            ValueError: what must be found is also never to be, or the tagger lacks a tag that it takes.
        """
        types = np.array([type_name(role(tag, scheme)[1]) for tag in tags])
        allowed = np.ones((len(offsets), len(tags)), bool)
        if self.labels is not None:
            allowed &= np.isin(types, ["", *self.labels])
        begins = {begin: unit for unit, (begin, _) in enumerate(offsets)}
        ends = {end: unit + 1 for unit, (_, end) in enumerate(offsets)}
        for matcher in self._never:
            for start, end, kind in matcher.find(text, begins, ends):
                allowed[start:end] &= (types == "") if kind == ANY else (types != kind)
        for span in self._chosen(text, begins, ends):
            _impose(span, allowed, tags, scheme, text[offsets[span.start][0] : offsets[span.end - 1][1]])
        return None if allowed.all() else allowed

    def _chosen(self, text: str, begins: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Span]:
        """What must be found: leftmost first, the longest of those that begin together, none overlapping."""
        free = 0
        found = sorted(self._must.find(text, begins, ends), key=lambda span: (span.start, -span.end))
        for number, span in enumerate(found):
            if span.start < free:
                continue
            other = next((each for each in found[number + 1 :] if each[:2] == span[:2]), span)
            if other.label != span.label:
                kinds = f"{span.label} and {other.label}"
                raise ValueError(f"units {span.start}:{span.end} of {quoted(text)} must be {kinds}")
            free = span.end
            yield span


class _Words(NamedTuple):
    """Strings by their type, and how long they are."""

    kinds: dict[str, str]
    lengths: list[int]


class _Matcher:
    """Finds surfaces in a text, where they begin and end with units."""

    def __init__(self, rule: str, surfaces: Mapping[str, Sequence[Surface]]) -> None:
        self.patterns: list[tuple[re.Pattern[str], str]] = []
        kinds: dict[str, str] = {}
        for kind, listed_ in surfaces.items():
            if isinstance(listed_, str):
                raise TypeError(f"{rule} must hold a list of surfaces for {kind}, got {quoted(listed_)}")
            for surface in listed_:
                if isinstance(surface, re.Pattern):
                    self.patterns.append((surface, kind))
                    continue
                if not isinstance(surface, str):
                    raise TypeError(f"{rule}: {kind} holds {quoted(surface)}: neither a string nor a pattern")
                if not surface or surface != surface.strip():
                    raise ValueError(
                        f"{rule}: {kind} holds {quoted(surface)}: empty, or white space around it"
                    )
                if kinds.setdefault(surface, kind) != kind:
                    raise ValueError(f"{quoted(surface)} must be {kinds[surface]} and {kind}")
        self.words = _Words(kinds, sorted({len(word) for word in kinds}))

    def find(self, text: str, begins: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Span]:
        """All matches, overlapping ones too, as spans of units."""
        for begin, start in begins.items():
            for length in self.words.lengths:
                kind = self.words.kinds.get(text[begin : begin + length])
                end = ends.get(begin + length)
                if kind is not None and end is not None:
                    yield Span(start, end, kind)
        for pattern, kind in self.patterns:
            for match in pattern.finditer(text):
                if match.start() in begins and match.end() in ends and match.start() < match.end():
                    yield Span(begins[match.start()], ends[match.end()], kind)


def _impose(span: Span, allowed: NDArray[np.bool_], tags: Sequence[str], scheme: str, surface: str) -> None:
    """Leave only the tags by which exactly the span is an entity of its type."""
    length = span.end - span.start
    if scheme == PLAIN:
        spelled = [span.label] * length
    else:
        kind = next(k for tag in tags if type_name(k := role(tag, scheme)[1]) == span.label)
        spelled = tags_from_spans([Span(0, length, kind)], length, scheme)
    numbers = {tag: number for number, tag in enumerate(tags)}
    for place, tag in enumerate(spelled, start=span.start):
        if tag not in numbers:
            raise ValueError(f"{quoted(surface)} must be {span.label}, but the tagger has no tag {tag}")
        if not allowed[place, numbers[tag]]:
            raise ValueError(f"{quoted(surface)} must be {span.label}, but another rule forbids it")
        allowed[place] = False
        allowed[place, numbers[tag]] = True
    if span.start > 0:
        allowed[span.start - 1] &= [not continues(tag, spelled[0], scheme) for tag in tags]
    if span.end < len(allowed):
        allowed[span.end] &= [not continues(spelled[-1], tag, scheme) for tag in tags]


def _read_surfaces(name: str, given: Any) -> dict[str, list[Surface]]:
    if not isinstance(given, dict):
        raise ValueError(f"{name} must be an object of lists, got {quoted(given)}")
    read: dict[str, list[Surface]] = {}
    for kind, surfaces in given.items():
        if not isinstance(surfaces, list):
            raise ValueError(f"{name}.{kind} must be a list of surfaces, got {quoted(surfaces)}")
        read[kind] = [_read_surface(f"{name}.{kind}", surface) for surface in surfaces]
    return read


def _read_surface(where: str, given: Any) -> Surface:
    if isinstance(given, str):
        return given
    if isinstance(given, dict) and given.keys() == {"pattern"} and isinstance(given["pattern"], str):
        try:
            return re.compile(given["pattern"])
        except re.error as error:
            raise ValueError(
                f"{where}: {quoted(given['pattern'])} is no regular expression: {error}"
            ) from error
    raise ValueError(f'{where} holds {quoted(given)} instead of a string or {{"pattern": …}}')


def _is_list_of_str(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
