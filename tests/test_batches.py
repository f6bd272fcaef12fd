"""Padding, windows, and batches under a budget."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.annotation.examples import Example, WindowLayout, by_length, cut, make_example
from pybert_crf.batches import collate
from pybert_crf.text.tokenizer import Encoded

LAYOUT = WindowLayout(before=(101,), after=(102,), pad_id=0, max_positions=13)  # 11 pieces fit


def example(pieces: int, tags: bool = True) -> Example:
    """A sentence of units with one piece each, numbered from 1000."""
    first = list(range(pieces))
    encoded = Encoded([1000 + i for i in first], first)
    return make_example(encoded, LAYOUT, [i % 3 for i in first] if tags else None)


def test_collate_pads_and_marks_what_is_real() -> None:
    batch = collate([example(2), example(5)], LAYOUT)
    assert batch.input_ids.tolist() == [
        [101, 1000, 1001, 102, 0, 0, 0],
        [101, 1000, 1001, 1002, 1003, 1004, 102],
    ]
    assert batch.attention_mask.sum(1).tolist() == [4, 7]
    assert batch.mask.tolist() == [[True, True, False, False, False], [True] * 5]
    assert batch.tags is not None
    assert batch.tags.tolist() == [[0, 1, -100, -100, -100], [0, 1, 2, 0, 1]]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_every_unit_of_any_length_is_found_at_its_own_piece(sizes: list[int]) -> None:
    batch = collate([example(size) for size in sizes], LAYOUT)
    assert batch.input_ids.shape[1] <= LAYOUT.max_positions
    found = batch.input_ids.flatten()[batch.first]
    for row, size in enumerate(sizes):
        assert found[row][batch.mask[row]].tolist() == [1000 + i for i in range(size)]


def test_units_of_several_pieces_are_found_at_their_first() -> None:
    batch = collate([make_example(Encoded([7, 8, 9, 10], [0, 3]), LAYOUT)], LAYOUT)
    assert batch.input_ids.flatten()[batch.first].tolist() == [[7, 10]]
    assert batch.tags is None


def test_an_empty_batch_and_an_empty_sentence() -> None:
    assert collate([], LAYOUT).mask.shape == (0, 0)
    batch = collate([example(0), example(1)], LAYOUT)
    assert batch.mask.tolist() == [[False], [True]]


def test_tags_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="example 1 of the batch has 2 units but 1 tags"):
        collate([example(2), example(2)._replace(tags=[0])], LAYOUT)
    with pytest.raises(ValueError, match="1 of 2 examples of the batch have no tags"):
        collate([example(2), example(2, tags=False)], LAYOUT)


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 100))
def test_batches_keep_to_the_budget_and_lose_nothing(lengths: list[int], budget: int) -> None:
    for batches in (list(cut(lengths, range(len(lengths)), budget)), by_length(lengths, budget)):
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
        for batch in batches:
            assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


def test_positions_count_every_window() -> None:
    assert example(4).positions == 6
    assert example(11).positions == 13
    assert example(12).positions == 26


def test_a_batch_moves_as_one() -> None:
    moved = collate([example(2)], LAYOUT).to("meta")
    assert moved.input_ids.device == torch.device("meta")
    assert moved.tags is not None
    assert moved.tags.device == torch.device("meta")
