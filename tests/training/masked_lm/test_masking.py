"""Masking: how much, what together, what the encoder sees instead, and what the draws depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pybert_crf.training.masked_lm.masking import HELD_OUT, TRAINING, Masking

MASK, SPECIAL = 4, 5  # ids below 5 are special
IDS = np.arange(5, 105, dtype=np.int32)
PIECES = np.arange(100, dtype=np.int32)  # each a group of its own
WORDS = np.repeat(np.arange(40, dtype=np.int32), ([1, 2, 3, 4] * 10))


def masking(**changes: Any) -> Masking:
    fields: dict[str, Any] = {
        "rate": 0.15,
        "mask_share": 0.8,
        "random_share": 0.1,
        "mask_id": MASK,
        "ordinary": np.arange(SPECIAL, 200, dtype=np.int32),
        "dynamic": True,
        "seed": 0,
    }
    return Masking(**(fields | changes))


@pytest.mark.parametrize("rate", [0.01, 0.15, 0.5, 0.99])
def test_the_rate_is_kept_exactly(rate: float) -> None:
    drawn = [masking(rate=rate).draw(IDS, PIECES, window, 1) for window in range(20)]
    assert {len(masked.places) for masked in drawn} == {round(100 * rate)}


def test_what_is_not_masked_is_untouched_and_targets_are_what_stood_there() -> None:
    for window in range(50):
        before = IDS.copy()
        masked = masking().draw(IDS, PIECES, window, 1)
        assert (before == IDS).all()
        elsewhere = np.setdiff1d(np.arange(100), masked.places)
        assert (masked.ids[elsewhere] == IDS[elsewhere]).all()
        assert (masked.targets == IDS[masked.places]).all()
        assert (np.diff(masked.places) > 0).all()


@pytest.mark.parametrize(("mask_share", "random_share"), [(0.8, 0.1), (0.5, 0.5), (1.0, 0.0), (0.0, 0.0)])
def test_masked_random_and_kept_come_in_their_shares(mask_share: float, random_share: float) -> None:
    drawn = [
        masking(mask_share=mask_share, random_share=random_share).draw(IDS, PIECES, window, 1)
        for window in range(400)
    ]
    seen = np.concatenate([masked.ids[masked.places] for masked in drawn])
    targets = np.concatenate([masked.targets for masked in drawn])
    shares = (seen == MASK).mean(), (seen == targets).mean()
    # 6,000 draws: a share's standard error is at most 0.0065. A random piece is the right one once in 195.
    kept = 1 - mask_share - random_share + random_share / 195
    assert shares == pytest.approx((mask_share, kept), abs=0.026)
    assert seen[seen != MASK].min(initial=SPECIAL) >= SPECIAL


def test_places_are_drawn_evenly() -> None:
    counts = np.zeros(100)
    for window in range(2000):
        counts[masking().draw(IDS, PIECES, window, 1).places] += 1
    # Binomial(2000, 0.15): 300 with a standard deviation of 16.
    assert np.abs(counts - 300).max() < 5 * 16


def test_words_are_masked_whole() -> None:
    masked_pieces = 0
    for window in range(200):
        places = masking().draw(IDS, WORDS, window, 1).places
        words = np.unique(WORDS[places])
        assert (np.flatnonzero(np.isin(WORDS, words)) == places).all()
        assert len(places) <= 15
        masked_pieces += len(places)
    assert masked_pieces > 200 * 14  # words that fit fill the rate


def test_a_word_larger_than_the_rate_is_taken_where_nothing_smaller_is() -> None:
    groups = np.repeat(np.array([0, 1], np.int32), 5)
    for window in range(20):
        assert masking().draw(IDS[:10], groups, window, 1).places.tolist() in (
            [0, 1, 2, 3, 4],
            [5, 6, 7, 8, 9],
        )


def test_groups_below_zero_are_never_masked() -> None:
    groups = WORDS.copy()
    groups[::3] = -1
    for window in range(100):
        assert (groups[masking(rate=0.9).draw(IDS, groups, window, 1).places] >= 0).all()
    assert len(masking().draw(IDS, np.full(100, -1, np.int32), 0, 1).places) == 0


@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_shortest_windows_have_something_to_predict(length: int) -> None:
    assert len(masking().draw(IDS[:length], PIECES[:length], 0, 1).places) == 1


def test_dynamic_draws_differ_by_epoch_and_static_ones_do_not() -> None:
    def places(dynamic: bool, epoch: int, stream: int = TRAINING) -> list[int]:
        return [int(p) for p in masking(dynamic=dynamic).draw(IDS, PIECES, 7, epoch, stream).places]

    assert places(True, 1) != places(True, 2)
    assert places(True, 2) == places(True, 2)
    assert places(False, 1) == places(False, 2)
    assert places(True, 1, HELD_OUT) == places(True, 2, HELD_OUT)
    assert places(False, 1) != places(False, 1, HELD_OUT)


def test_draws_differ_by_window_and_seed() -> None:
    first = masking().draw(IDS, PIECES, 0, 1)
    assert first.places.tolist() != masking().draw(IDS, PIECES, 1, 1).places.tolist()
    assert first.places.tolist() != masking(seed=1).draw(IDS, PIECES, 0, 1).places.tolist()
    assert masking(seed=-3).draw(IDS, PIECES, 0, 1).places.tolist()
