"""Tag schemes: detection, legal sequences, and conversion from one scheme to another.

A tag is ``O`` (outside) or ``PREFIX-TYPE``; a type may contain hyphens. If there is only one type, as in
word segmentation, a tag may be the prefix alone (``B``, ``M``, ``E``, ``S``). In each scheme a prefix has
one of four roles: the unit Begins an entity, is Inside it, Ends it, or is the Single unit of it.

=======  ==================================================================================================
BIO      every entity begins with B (also called IOB2)
IOB1     an entity begins with I, or with B if it directly follows another of its type (CoNLL-2003)
IO       I only: adjacent entities of one type are indistinguishable
BIOES    B I E, or S for an entity of one unit (also called BIESO, IOBES)
BMES     as BIOES with M for I (usual for Chinese)
BILOU    as BIOES with L for E and U for S
BIOS     as BIO, with S for an entity of one unit (CLUENER's baselines)
BMEWO    as BIOES with M for I and W for S
IOE2     I only, and E for the last unit of every entity
IOE1     I only, and E for the last unit if another entity of its type directly follows
none     plain tags, as parts of speech: any text is a tag, and any tag may follow any
=======  ==================================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from pybert_crf.reading import quoted

OUTSIDE = "O"
UNTYPED = "_"  # the type of a tag without a type, as in seqeval
PLAIN = "none"  # of tags that belong to no scheme

# The prefixes of the roles B, I, E, S, in this order; `detect_scheme` tries the schemes in the order below.
_SPELLING = {
    "BIO": "BIIB",
    "IO": "IIII",
    "IOB1": "IIII",  # or B, see `_prefix`
    "BIOES": "BIES",
    "BMES": "BMES",
    "BILOU": "BILU",
    "BIOS": "BIIS",
    "BMEWO": "BMEW",
    "IOE2": "IIEE",
    "IOE1": "IIII",  # or E, see `_prefix`
}
_CLOSED = frozenset({"BIOES", "BMES", "BILOU", "BMEWO"})  # the schemes that mark both ends of an entity
_PREFIXES = "BIMESLUW"

SCHEMES = (*_SPELLING, PLAIN)
_ALIASES = {"IOB2": "BIO", "IOBES": "BIOES", "BILUO": "BILOU", "BMEW": "BMEWO", "NONE": PLAIN}
# Share of the entity tags that may be illegal (the training part of Resume NER has 4); in any corpus one may.
TOLERATED = 0.01


class SchemeError(ValueError):
    """Tags that fit no scheme, or not the given one.

    Attributes:
        sentence: index of the sequence, from 0.
        position: index of the tag in it; the sequence's length if its last entity has no end.
    """

    def __init__(self, message: str, sentence: int, position: int) -> None:
        super().__init__(message)
        self.sentence = sentence
        self.position = position


@lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """``"B-PER"`` → ``("B", "PER")``; ``"B"`` → ``("B", UNTYPED)``; ``"O"`` → ``("O", "")``.

    The type may contain hyphens.

    Raises:
        ValueError: the tag is neither ``O`` nor one of the prefixes B I M E S L U W, alone or before a hyphen
            and a type.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, hyphen, label = tag.partition("-")
    if not hyphen and len(tag) == 1 and tag in _PREFIXES:
        return tag, UNTYPED
    if not hyphen or not label or len(prefix) != 1 or prefix not in _PREFIXES:
        known = ", ".join(_PREFIXES)
        raise ValueError(f"tag {quoted(tag)} is neither 'O' nor PREFIX-TYPE with one of the prefixes {known}")
    return prefix, label


def join_tag(prefix: str, label: str) -> str:
    """The tag of a prefix and a type: the inverse of `split_tag`."""
    return prefix if label == UNTYPED else f"{prefix}-{label}"


def scheme_named(name: str) -> str:
    """The scheme of a name in any case, by which it may be known elsewhere: ``"IOB2"`` is ``"BIO"``.

    Raises:
        ValueError: the scheme is unknown.
    """
    scheme = _ALIASES.get(name.upper(), name.upper())
    if scheme != PLAIN:
        _spelling(scheme)  # raises for an unknown scheme
    return scheme


def type_name(label: str) -> str:
    """What people are shown of a type: ``word`` for what has none, as in word segmentation."""
    return "word" if label == UNTYPED else label


@lru_cache(maxsize=16384)
def role(tag: str, scheme: str) -> tuple[str, str]:
    """The tag's (role, type); the role is O, B, I, E or S in every scheme. A plain tag is a type itself.

    Raises:
        ValueError: the scheme is unknown, the tag malformed, or its prefix is not one of the scheme's.
    """
    if scheme == PLAIN:
        return "S", tag
    prefixes = _prefixes(scheme)
    prefix, label = split_tag(tag)
    if prefix == OUTSIDE:
        return OUTSIDE, ""
    if prefix not in prefixes:
        raise ValueError(f"tag {quoted(tag)} has a prefix that {scheme} does not use")
    return prefixes[prefix], label


@lru_cache(maxsize=65536)
def continues(previous_tag: str, tag: str, scheme: str) -> bool:
    """Whether `tag` continues the entity of `previous_tag`, by conlleval's lenient rule.

    It does if both have the same type, the previous tag does not end an entity and this one does not begin
    one. An illegal tag (an I- after O, say) begins an entity of its own. The entities of a sequence are its
    maximal runs of tags each of which continues the one before it.
    """
    (previous_role, previous_label), (this_role, label) = role(previous_tag, scheme), role(tag, scheme)
    return previous_role in "BI" and this_role in "IE" and previous_label == label


@lru_cache(maxsize=65536)
def is_legal(previous_tag: str, tag: str, scheme: str) -> bool:
    """Whether the scheme allows `tag` directly after `previous_tag`; both ends of a sequence count as ``O``.

    A tag whose prefix is not the scheme's is illegal everywhere. Raises ``ValueError`` for an unknown scheme.
    """
    if scheme == PLAIN:
        return True
    _spelling(scheme)  # raises for an unknown scheme, unlike for a foreign prefix
    try:
        (previous_role, previous_label), (this_role, label) = role(previous_tag, scheme), role(tag, scheme)
    except ValueError:
        return False
    after_same = previous_role in "BI" and previous_label == label
    if scheme in _CLOSED:
        return after_same if this_role in "IE" else previous_role not in "BI"
    if scheme in ("BIO", "BIOS"):
        return this_role != "I" or after_same
    if scheme == "IOE2":
        return previous_role != "I" or (this_role in "IE" and after_same)
    if scheme == "IOE1":
        return previous_role != "E" or (this_role in "IE" and previous_label == label)
    return this_role != "B" or after_same


def illegal_positions(tags: Sequence[str], scheme: str) -> list[int]:
    """Positions of tags that may not follow the tag before; ``len(tags)`` if the last entity has no end."""
    pairs = zip([OUTSIDE, *tags], [*tags, OUTSIDE], strict=True)
    return [position for position, pair in enumerate(pairs) if not is_legal(*pair, scheme)]


def detect_scheme(sequences: Iterable[Sequence[str]] | TagPairs) -> str:
    """The scheme that has the prefixes of all tags and in which the fewest tags are illegal.

    Ties go to the first in the order of the table above. So tags are IOB1 rather than BIO if I-X
    begins entities (after O, after another type, at the start of a sequence) and B-X occurs only directly
    after an entity of the same type. O tags alone are BIO; I- tags alone are IO, not IOB1; B, E and S
    without I or M are BIOES, not BMES. As real corpora contain a few faults, one tag, or a share of
    `TOLERATED` of the entity tags, may be illegal.

    Raises:
        SchemeError: no scheme has all the prefixes, or too many tags are illegal in the closest scheme.
    """
    seen = _pairs_of(sequences)
    # min returns the first of equally close schemes.
    closest = min(_SPELLING, key=lambda scheme: _distance(seen, scheme))
    _check_fit(seen, closest, f"the tags fit none of {', '.join(_SPELLING)}; in the closest, ")
    return closest


def check_scheme(sequences: Iterable[Sequence[str]] | TagPairs, scheme: str) -> None:
    """Raise `SchemeError` unless the tags fit `scheme` by the criterion of `detect_scheme`."""
    if scheme == PLAIN:
        return
    _spelling(scheme)
    _check_fit(_pairs_of(sequences), scheme, "the tags do not fit the scheme: in ")


def fits(sequences: Iterable[Sequence[str]] | TagPairs, scheme: str) -> bool:
    """Whether the tags fit `scheme` by the criterion of `detect_scheme`, and no other scheme without a fault.

    So the one fault that any corpus may have does not make IOB1 of the only B-X of a small file in BIO; in a
    larger one a fault within `TOLERATED` stays a fault.
    """
    if scheme == PLAIN:
        return True
    seen = _pairs_of(sequences)
    try:
        _check_fit(seen, scheme, "")
    except SchemeError:
        return False
    entity_tags = sum(pair.times for pair in seen if pair.tag != OUTSIDE)
    illegal = _distance(seen, scheme)[1]
    return illegal <= TOLERATED * entity_tags or not any(
        _distance(seen, each) == (0, 0) for each in _SPELLING
    )


def convert(tags: Sequence[str], source: str, target: str) -> list[str]:
    """The tags of the same entities in another scheme.

    Illegal tags are read as `continues` does, so that conversion to the same scheme repairs them.

    Raises:
        SchemeError: two adjacent entities of one type would merge in IO, or one scheme is that of plain tags
            and the other is not.
        ValueError: a tag or scheme is unknown.
    """
    if source == target == PLAIN:
        return list(tags)
    if PLAIN in (source, target):
        told = f"plain tags cannot be read as {target}" if source == PLAIN else f"{source} is not plain tags"
        raise SchemeError(told, 0, 0)
    _spelling(target)
    padded = [OUTSIDE, *tags, OUTSIDE]
    converted = []
    for position, (previous, tag, following) in enumerate(zip(padded, padded[1:], padded[2:], strict=False)):
        label = role(tag, source)[1]
        if not label:
            converted.append(OUTSIDE)
            continue
        begins = not continues(previous, tag, source)
        ends = not continues(tag, following, source)
        touches = begins and role(previous, source)[1] == label  # directly after another of its type
        if touches and target == "IO":
            raise SchemeError("two adjacent entities of one type cannot be told apart in IO", 0, position)
        touched = ends and role(following, source)[1] == label  # directly before another of its type
        converted.append(join_tag(_prefix(begins, ends, touches, touched, target), label))
    return converted


def _prefix(begins: bool, ends: bool, touches: bool, touched: bool, scheme: str) -> str:
    """The prefix in `scheme` of a unit that begins or ends an entity, or touches one of its type."""
    if touches and scheme == "IOB1":
        return "B"
    if touched and scheme == "IOE1":
        return "E"
    this_role = {(True, False): 0, (False, False): 1, (False, True): 2, (True, True): 3}[begins, ends]
    return _spelling(scheme)[this_role]


def _spelling(scheme: str) -> str:
    if scheme not in _SPELLING:
        raise ValueError(f"unknown tag scheme {quoted(scheme)}; known: {', '.join(SCHEMES)}")
    return _SPELLING[scheme]


@cache
def _prefixes(scheme: str) -> dict[str, str]:
    """The scheme's prefixes with their roles; a letter with several roles counts as B or I."""
    spelling = _spelling(scheme)
    if spelling.startswith("II"):
        return {"I": "I"} | {"IOB1": {"B": "B"}, "IOE1": {"E": "E"}, "IOE2": {"E": "E"}}.get(scheme, {})
    return {prefix: "BIES"[spelling.index(prefix)] for prefix in spelling}


class _Pair(NamedTuple):
    """Two adjacent tags of a corpus, how often they occur, and where first."""

    previous: str
    tag: str
    times: int
    sentence: int
    position: int


class TagPairs:
    """The distinct pairs of adjacent tags of a corpus: there are few, so checks of them are fast.

    Both ends of a sequence count as ``O``. Of more than `MOST` pairs, which tags of no scheme make, the
    rest is not kept. The pairs are in order of appearance.

    Attributes:
        pairs: the pairs.
        counts: how often each tag occurs.
    """

    MOST = 100_000

    def __init__(self, sequences: Iterable[Sequence[str]]) -> None:
        times: Counter[tuple[str, str]] = Counter()
        places: dict[tuple[str, str], tuple[int, int]] = {}
        self.counts: Counter[str] = Counter()
        for sentence, tags in enumerate(sequences):
            if len(places) > self.MOST:
                break
            self.counts.update(tags)
            pairs = list(zip([OUTSIDE, *tags], [*tags, OUTSIDE], strict=True))
            times.update(pairs)
            for position, pair in enumerate(pairs):
                if pair not in places:
                    places[pair] = (sentence, position)
        self.pairs = [_Pair(*pair, times[pair], *place) for pair, place in places.items()]


def _pairs_of(sequences: Iterable[Sequence[str]] | TagPairs) -> list[_Pair]:
    return (sequences if isinstance(sequences, TagPairs) else TagPairs(sequences)).pairs


def _is_foreign(tag: str, scheme: str) -> bool:
    """Whether the scheme lacks the tag's prefix."""
    return tag != OUTSIDE and split_tag(tag)[0] not in _prefixes(scheme)


def _distance(seen: list[_Pair], scheme: str) -> tuple[int, int]:
    """Numbers of tags with a foreign prefix and of illegal tags: how far the tags are from the scheme."""
    foreign = sum(pair.times for pair in seen if _is_foreign(pair.tag, scheme))
    return foreign, sum(pair.times for pair in seen if not is_legal(pair.previous, pair.tag, scheme))


def _check_fit(seen: list[_Pair], scheme: str, opening: str) -> None:
    """Raise `SchemeError`, naming the first fault, if the tags do not fit `scheme`."""
    foreign, illegal = _distance(seen, scheme)
    entity_tags = sum(pair.times for pair in seen if pair.tag != OUTSIDE)
    if foreign:
        culprit = next(pair for pair in seen if _is_foreign(pair.tag, scheme))
        what = f"the prefix of {quoted(culprit.tag)} is not one of {', '.join(_prefixes(scheme))}"
    elif illegal > max(1, TOLERATED * entity_tags):
        culprit = next(pair for pair in seen if not is_legal(pair.previous, pair.tag, scheme))
        what = f"{quoted(culprit.tag)} cannot follow {quoted(culprit.previous)} ({illegal} such faults)"
    else:
        return
    raise SchemeError(f"{opening}{scheme}, {what}", culprit.sentence, culprit.position)
