"""Windows cover the text with the given overlap, and give each unit the most context."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.windows import place, plan_windows, split_evenly

_SIZES = st.integers(1, 40).flatmap(
    lambda capacity: st.tuples(st.integers(0, 200), st.just(capacity), st.integers(0, capacity - 1))
)


@given(_SIZES)
def test_windows_cover_the_text_and_overlap(sizes: tuple[int, int, int]) -> None:
    n_pieces, capacity, overlap = sizes
    windows = plan_windows(n_pieces, capacity, overlap)
    assert {piece for start, stop in windows for piece in range(start, stop)} == set(range(n_pieces))
    assert all(stop - start == min(capacity, n_pieces) for start, stop in windows)
    shared = [stop - start for (_, stop), (start, _) in pairwise(windows)]
    assert all(size == overlap for size in shared[:-1])
    assert all(overlap <= size < capacity for size in shared[-1:])


@given(_SIZES, st.data())
def test_each_unit_gets_the_window_with_most_context_on_its_scarcer_side(
    sizes: tuple[int, int, int], data: st.DataObject
) -> None:
    n_pieces, capacity, overlap = sizes
    windows = plan_windows(n_pieces, capacity, overlap)
    first = sorted(data.draw(st.sets(st.integers(0, n_pieces - 1)))) if n_pieces else []
    placed = list(place(first, windows))
    assert len(placed) == len(first)
    for piece, (window, position) in zip(first, placed, strict=True):
        scarcer = [min(piece - start, stop - 1 - piece) for start, stop in windows]
        assert scarcer[window] == max(scarcer)
        assert scarcer.index(max(scarcer)) == window
        assert windows[window][0] + position == piece


def test_an_example() -> None:
    windows = plan_windows(10, 6, 2)
    assert windows == [(0, 6), (4, 10)]
    assert list(place([0, 3, 4, 5, 9], windows)) == [(0, 0), (0, 3), (0, 4), (1, 1), (1, 5)]


def test_the_last_window_is_as_long_as_the_others() -> None:
    assert plan_windows(11, 6, 2) == [(0, 6), (4, 10), (5, 11)]
    assert plan_windows(6, 6, 5) == [(0, 6)]
    assert plan_windows(2, 6, 0) == [(0, 2)]
    assert plan_windows(0, 6, 0) == []


@pytest.mark.parametrize(("n_pieces", "capacity", "overlap"), [(-1, 5, 0), (5, 0, 0), (5, 5, 5), (5, 5, -1)])
def test_sizes_out_of_range_are_errors(n_pieces: int, capacity: int, overlap: int) -> None:
    with pytest.raises(ValueError, match=f"n_pieces={n_pieces}, capacity={capacity}, overlap={overlap}"):
        plan_windows(n_pieces, capacity, overlap)


@pytest.mark.parametrize(("first", "windows"), [([0], []), ([6], [(0, 6)]), ([0, 11], [(0, 6), (4, 10)])])
def test_a_piece_outside_all_windows_is_an_error(first: list[int], windows: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match=f"piece {first[-1]} is in none"):
        list(place(first, windows))


@given(st.integers(0, 60), st.sets(st.integers(0, 59)), st.integers(1, 20))
def test_even_windows_cover_all_once_and_are_cut_at_boundaries_where_they_can(
    n_pieces: int, boundaries: set[int], capacity: int
) -> None:
    marks = sorted({0, *(b for b in boundaries if b < n_pieces)}) if n_pieces else []
    windows = split_evenly(n_pieces, marks, capacity)
    assert [i for start, stop in windows for i in range(start, stop)] == list(range(n_pieces))
    assert all(0 < stop - start <= capacity for start, stop in windows)
    for start, stop in windows[:-1]:
        within = [mark for mark in marks if start < mark <= start + capacity]
        assert stop in marks or not within


def test_even_windows_are_even() -> None:
    assert split_evenly(10, range(10), 4) == [(0, 4), (4, 7), (7, 10)]
    assert split_evenly(9, [0, 5], 8) == [(0, 5), (5, 9)]
    with pytest.raises(ValueError, match="capacity=0"):
        split_evenly(3, [0], 0)
