"""Tag schemes: how the tags of a sequence spell out its entities, and the way from one spelling to another.

A tag is ``O`` (outside) or ``PREFIX-TYPE``; a type may hold hyphens. Where there is but one type, as in
word segmentation, the prefix may stand alone (``B``, ``M``, ``E``, ``S``). In each scheme a prefix plays one
of four roles: the entity Begins, is Inside, Ends here, or is a Single unit long.

=======  ==================================================================================================
BIO      every entity begins with B (also called IOB2)
IOB1     an entity begins with I, and with B only right after another of its own type (CoNLL-2003)
IO       I throughout: neighbouring entities of one type cannot be told apart
BIOES    B I E, or S for an entity of one unit (BIESO, IOBES)
BMES     the same with M for I (usual for Chinese)
BILOU    the same with L for E and U for S
=======  ==================================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

OUTSIDE = "O"
UNTYPED = "_"  # the type of a prefix that stands alone; seqeval's name for it

# Roles B, I, E, S, in this order → the prefix each scheme writes. The order of the schemes is the order in
# which `detect_scheme` tries them.
_SPELLING = {
    "BIO": "BIIB",
    "IO": "IIII",
    "IOB1": "IIII",  # and B where `_spell` says so
    "BIOES": "BIES",
    "BMES": "BMES",
    "BILOU": "BILU",
}
_CLOSED = frozenset({"BIOES", "BMES", "BILOU"})  # the schemes that mark an entity's end

SCHEMES = tuple(_SPELLING)
TOLERATED = 0.01  # the share of entity tags that may be illegal (Resume NER's train part holds 4 such)


class SchemeError(ValueError):
    """Tags that fit no scheme (or not the one named): which tag, and where.

    Attributes:
        sentence, position: 0-based index of the sequence, and of the tag in it (its length: after the last).
    """

    def __init__(self, message: str, sentence: int, position: int) -> None:
        super().__init__(message)
        self.sentence = sentence
        self.position = position


@lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """``"B-PER"`` → ``("B", "PER")``; ``"B"`` → ``("B", UNTYPED)``; ``"O"`` → ``("O", "")``.

    The type may hold hyphens.

    Raises:
        ValueError: the tag is neither ``O`` nor one of the prefixes B I M E S L U, alone or with a hyphen and
            a type.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, hyphen, label = tag.partition("-")
    if not hyphen and len(tag) == 1 and tag in "BIMESLU":
        return tag, UNTYPED
    if not hyphen or not label or len(prefix) != 1 or prefix not in "BIMESLU":
        raise ValueError(
            f"tag {tag!r} is neither 'O' nor PREFIX-TYPE with one of the prefixes B, I, M, E, S, L, U"
        )
    return prefix, label


def join_tag(prefix: str, label: str) -> str:
    """The tag of a prefix and a type, as `split_tag` takes it apart."""
    return prefix if label == UNTYPED else f"{prefix}-{label}"


@lru_cache(maxsize=16384)
def role(tag: str, scheme: str) -> tuple[str, str]:
    """The tag's (role, type), the role one of O B I E S whatever the scheme's spelling.

    Raises:
        ValueError: the scheme is unknown, the tag malformed, or its prefix is not one of the scheme's.
    """
    prefixes = _prefixes(scheme)
    prefix, label = split_tag(tag)
    if prefix == OUTSIDE:
        return OUTSIDE, ""
    if prefix not in prefixes:
        raise ValueError(f"tag {tag!r} has a prefix that {scheme} does not use")
    return prefixes[prefix], label


@lru_cache(maxsize=65536)
def continues(previous_tag: str, tag: str, scheme: str) -> bool:
    """Whether `tag` continues the entity that `previous_tag` belongs to, read leniently.

    That is conlleval's rule: same type, no beginning here, no end there. An illegal tag (an I- after O, say)
    opens an entity of its own. Between two tags an entity goes on or it does not: the runs that this relation
    leaves together are the entities.
    """
    (previous_role, previous_label), (this_role, label) = role(previous_tag, scheme), role(tag, scheme)
    return previous_role in "BI" and this_role in "IE" and previous_label == label


@lru_cache(maxsize=65536)
def is_legal(previous_tag: str, tag: str, scheme: str) -> bool:
    """Whether the scheme allows `tag` right after `previous_tag`; use ``O`` for both ends of a sequence.

    A tag whose prefix the scheme does not use is not legal anywhere.
    """
    _spelling(scheme)  # an unknown scheme is an error all the same
    try:
        (previous_role, previous_label), (this_role, label) = role(previous_tag, scheme), role(tag, scheme)
    except ValueError:
        return False
    after_same = previous_role in "BI" and previous_label == label
    if scheme in _CLOSED:
        return after_same if this_role in "IE" else previous_role not in "BI"
    if scheme == "BIO":
        return this_role != "I" or after_same
    return this_role != "B" or after_same


def illegal_positions(tags: Sequence[str], scheme: str) -> list[int]:
    """Where a tag may not follow its neighbour in this scheme; ``len(tags)``: the last entity has no end."""
    pairs = zip([OUTSIDE, *tags], [*tags, OUTSIDE], strict=True)
    return [position for position, pair in enumerate(pairs) if not is_legal(*pair, scheme)]


def detect_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """The scheme whose prefixes cover all tags and under which the fewest of them are illegal.

    What several schemes allow alike goes to the first of BIO, IO, IOB1, BIOES, BMES, BILOU. So BIO against
    IOB1 is decided by whether some I-X opens an entity (after O, after another type, at the start of a
    sequence) while B-X stands only right after an entity of the same type. Only O tags are BIO; only I- tags
    are IO, not IOB1; B, E and S without I or M are BIOES, not BMES. Real corpora hold a few faults: a share
    of `TOLERATED` of the entity tags may be illegal.

    Raises:
        SchemeError: no scheme has all the prefixes, or too many tags are illegal in the closest one.
    """
    seen = _pairs_of(sequences)
    # Smaller is closer; min takes the first of equals.
    closest = min(SCHEMES, key=lambda scheme: _distance(seen, scheme))
    _demand(seen, closest, f"the tags fit none of {', '.join(SCHEMES)}; in the closest, ")
    return closest


def check_scheme(sequences: Iterable[Sequence[str]], scheme: str) -> None:
    """Raise `SchemeError` unless the tags fit `scheme` as well as `detect_scheme` would ask of them."""
    _spelling(scheme)
    _demand(_pairs_of(sequences), scheme, "the tags do not fit the scheme: in ")


def convert(tags: Sequence[str], source: str, target: str) -> list[str]:
    """The same entities in another scheme. Exact on legal tags; illegal ones are read as `continues` reads
    them, so that converting a scheme to itself mends them.

    Raises:
        ValueError: a tag or scheme is unknown, or two neighbours of one type would merge in IO.
    """
    _spelling(target)
    padded = [OUTSIDE, *tags, OUTSIDE]
    converted = []
    for previous, tag, following in zip(padded, padded[1:], padded[2:], strict=False):
        label = role(tag, source)[1]
        if not label:
            converted.append(OUTSIDE)
            continue
        begins = not continues(previous, tag, source)
        ends = not continues(tag, following, source)
        touches = begins and role(previous, source)[1] == label  # right after another of its own type
        converted.append(join_tag(_spell(begins, ends, touches, target), label))
    return converted


def _spell(begins: bool, ends: bool, touches: bool, scheme: str) -> str:
    """The prefix that says so in `scheme`."""
    if touches and scheme == "IO":
        raise ValueError("two neighbouring entities of one type cannot be told apart in IO")
    if touches and scheme == "IOB1":
        return "B"
    this_role = {(True, False): 0, (False, False): 1, (False, True): 2, (True, True): 3}[begins, ends]
    return _spelling(scheme)[this_role]


def _spelling(scheme: str) -> str:
    if scheme not in _SPELLING:
        raise ValueError(f"unknown tag scheme {scheme!r}; known: {', '.join(SCHEMES)}")
    return _SPELLING[scheme]


@cache
def _prefixes(scheme: str) -> dict[str, str]:
    """Each prefix of the scheme and its role; a letter that serves several roles counts as B or I."""
    spelling = _spelling(scheme)
    if spelling == "IIII":
        return {"I": "I"} if scheme == "IO" else {"I": "I", "B": "B"}
    return {prefix: "BIES"[spelling.index(prefix)] for prefix in spelling}


class _Pair(NamedTuple):
    """Two neighbouring tags of a corpus: which, how often, and where first."""

    previous: str
    tag: str
    times: int
    sentence: int
    position: int


def _pairs_of(sequences: Iterable[Sequence[str]]) -> list[_Pair]:
    """The distinct neighbours, by first appearance: a corpus has few, so each is judged once per scheme."""
    counts: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str], tuple[int, int]] = {}
    for sentence, tags in enumerate(sequences):
        pairs = list(zip([OUTSIDE, *tags], [*tags, OUTSIDE], strict=True))
        counts.update(pairs)
        for position, pair in enumerate(pairs):
            places.setdefault(pair, (sentence, position))
    return [_Pair(*pair, counts[pair], *place) for pair, place in places.items()]


def _is_foreign(tag: str, scheme: str) -> bool:
    """Whether the scheme lacks the tag's prefix."""
    return tag != OUTSIDE and split_tag(tag)[0] not in _prefixes(scheme)


def _distance(seen: list[_Pair], scheme: str) -> tuple[int, int]:
    """(tags with a prefix that the scheme lacks, illegal tags): how far the tags are from the scheme."""
    foreign = sum(pair.times for pair in seen if _is_foreign(pair.tag, scheme))
    return foreign, sum(pair.times for pair in seen if not is_legal(pair.previous, pair.tag, scheme))


def _demand(seen: list[_Pair], scheme: str, opening: str) -> None:
    """Raise, naming the first culprit, where the tags are too far from `scheme`."""
    foreign, illegal = _distance(seen, scheme)
    entity_tags = sum(pair.times for pair in seen if pair.tag != OUTSIDE)
    if foreign:
        culprit = next(pair for pair in seen if _is_foreign(pair.tag, scheme))
        what = f"the prefix of {culprit.tag!r} is not one of {', '.join(_prefixes(scheme))}"
    elif illegal > TOLERATED * entity_tags:
        culprit = next(pair for pair in seen if not is_legal(pair.previous, pair.tag, scheme))
        what = f"{culprit.tag!r} cannot follow {culprit.previous!r} ({illegal} such faults)"
    else:
        return
    raise SchemeError(f"{opening}{scheme}, {what}", culprit.sentence, culprit.position)
