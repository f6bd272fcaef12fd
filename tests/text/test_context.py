"""Document context: which pieces of the neighbours stand around a sentence."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.context import NO_CONTEXT, Context, Neighbours, Placed, first_units, fit, last_units
from pybert_crf.text.tokenizer import Encoded

SENTENCES = st.lists(st.tuples(st.lists(st.integers(1, 4), max_size=5), st.integers(0, 3)), max_size=12)
"""The numbers of pieces of each sentence's units, and its document."""


def encoded(sizes: list[int], start: int) -> Encoded:
    """Units of these sizes, of pieces that are numbered from `start`."""
    first = [sum(sizes[:i]) for i in range(len(sizes))]
    return Encoded([start + i for i in range(sum(sizes))], first)


def whole_units(ids: list[int], ends: list[int], most: int) -> list[int]:
    """The longest beginning that ends where a unit does; by trying all of them."""
    return ids[: max(end for end in [0, *ends] if end <= most)]


@given(SENTENCES, st.integers(0, 9))
def test_the_context_is_that_of_the_neighbours_in_the_document(
    sentences: list[tuple[list[int], int]], width: int
) -> None:
    stream = [(encoded(sizes, 100 * row), document) for row, (sizes, document) in enumerate(sentences)]
    neighbours: Neighbours[int] = Neighbours(width)
    known: list[Placed[int]] = []
    for row, (each, document) in enumerate(stream):
        known += neighbours.add(row, each, document)
    known += neighbours.end()
    assert [row for row, _, _ in known] == list(range(len(stream)))  # nothing is lost, and all in order

    for _, group in groupby(range(len(stream)), key=lambda row: stream[row][1]):
        rows = list(group)
        for row in rows:
            _, own, context = known[row]
            assert own == stream[row][0]
            if not stream[row][1]:
                assert context == NO_CONTEXT
                continue
            after = [i for other in rows if other > row for i in stream[other][0].ids]
            sizes = [size for other in rows if other > row for size in sentences[other][0]]
            ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
            assert context.right.ids == whole_units(after, ends, width)
            before = [i for other in rows if other < row for i in stream[other][0].ids]
            sizes = [size for other in rows if other < row for size in sentences[other][0]][::-1]
            ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
            assert context.left.ids[::-1] == whole_units(before[::-1], ends, width)


def test_a_sentence_is_known_as_soon_as_enough_follows() -> None:
    neighbours: Neighbours[str] = Neighbours(3)
    assert neighbours.add("a", encoded([1, 1], 0), 1) == []
    assert neighbours.add("b", encoded([2], 10), 1) == []
    (known,) = neighbours.add("c", encoded([1], 20), 1)  # three pieces follow
    assert known == ("a", Encoded([0, 1], [0, 1]), Context(Encoded([], []), Encoded([10, 11, 20], [0, 2])))
    known_b, known_c, known_d = neighbours.add("d", encoded([1], 30), 0)  # of no document
    assert (known_b[0], known_b[2].left.ids, known_b[2].right.ids) == ("b", [0, 1], [20])
    assert (known_c[0], known_c[2].left.ids) == ("c", [1, 10, 11])
    assert (known_d[0], known_d[2]) == ("d", NO_CONTEXT)
    assert neighbours.end() == []


def test_units_are_not_cut() -> None:
    units = encoded([2, 3, 1], 0)
    assert [first_units(units, most).ids for most in (0, 1, 2, 4, 5, 6, 9)] == [
        [],
        [],
        [0, 1],
        [0, 1],
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4, 5],
        [0, 1, 2, 3, 4, 5],
    ]
    assert [last_units(units, most) for most in (0, 3, 4)] == [
        Encoded([], []),
        Encoded([5], [0]),
        Encoded([2, 3, 4, 5], [0, 3]),
    ]


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 30))
def test_what_fits_is_shared_evenly(left: int, right: int, room: int) -> None:
    before, after = fit(Context(encoded([1] * left, 0), encoded([1] * right, 100)), room)
    assert len(before) + len(after) == min(left + right, room)  # no room is left unused
    assert before == list(range(left))[left - len(before) :]
    assert after == [100 + i for i in range(len(after))]
    if len(before) < left and len(after) < right:
        assert abs(len(before) - len(after)) <= 1
