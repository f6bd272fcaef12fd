"""The order of batches: shares of processes, epochs, padding."""

from __future__ import annotations

import pytest

from pybert_crf.training.loop.batch_order import BatchOrder, repeated


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_every_process_takes_equally_many_batches_and_all_sentences_are_seen(world: int) -> None:
    lengths = [3 + i % 17 for i in range(101)]
    shares = [BatchOrder(lengths[rank::world], 64, 5).epoch(2) for rank in range(world)]
    count = max(map(len, shares))
    taken = [repeated(share, count) for share in shares]
    assert {len(share) for share in taken} == {count}
    seen = [i * world + rank for rank, share in enumerate(taken) for batch in share for i in batch]
    assert set(seen) == set(range(101))
    assert world > 1 or len(seen) == 101


def test_an_epoch_is_repeatable_and_the_next_differs() -> None:
    lengths = [3 + i % 17 for i in range(101)]
    assert BatchOrder(lengths, 64, 5).epoch(2) == BatchOrder(lengths, 64, 5).epoch(2)
    assert BatchOrder(lengths, 64, 5).epoch(2) != BatchOrder(lengths, 64, 5).epoch(3)
    assert BatchOrder(lengths, 64, 5).epoch(2) != BatchOrder(lengths, 64, 6).epoch(2)


def test_bucketing_leaves_little_padding() -> None:
    lengths = [3 + (i * 37) % 90 for i in range(2000)]
    batches = BatchOrder(lengths, 512, 0).epoch(1)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert padded < 1.15 * sum(lengths)
