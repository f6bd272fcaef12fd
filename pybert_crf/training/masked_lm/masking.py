"""Which pieces are to be predicted, and what the encoder sees in their place.

Devlin et al. (2019), "BERT", section 3.1, and the whole-word masking of its later release. The draws of a
window depend on the seed, the epoch and the window alone, so a resumed run, or one of several processes,
draws what an uninterrupted one would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
HELD_OUT, TRAINING = 0, 1  # independent streams of random numbers


class Masked(NamedTuple):
    """A window with some pieces masked.

    Attributes:
        ids: (L,) int32, what the encoder sees.
        places: (M,) int64, where pieces are to be predicted, ascending.
        targets: (M,) int32, the pieces that stood there.
    """

    ids: Ids
    places: NDArray[np.int64]
    targets: Ids


@dataclass(frozen=True)
class Masking:
    """How to mask.

    Attributes:
        rate: share of the maskable pieces that are to be predicted.
        mask_share, random_share: parts of these that the encoder sees as [MASK], and as a random piece.
        mask_id: id of [MASK].
        ordinary: ids that may stand in as random pieces.
        dynamic: whether the draws differ from epoch to epoch.
        seed: of the draws.
    """

    rate: float
    mask_share: float
    random_share: float
    mask_id: int
    ordinary: Ids
    dynamic: bool
    seed: int

    def draw(self, ids: Ids, groups: Ids, window: int, epoch: int, stream: int = TRAINING) -> Masked:
        """Mask the window whose number is `window`.

        Args:
            ids: (L,) its pieces.
            groups: (L,) the number of each piece's group (word, character …), ascending along the window;
                pieces of one group are masked together. Below 0: never masked.
            epoch: from 1; ignored by static masking and for the held-out part.
            stream: `TRAINING` or `HELD_OUT`.
        """
        varying = epoch if self.dynamic and stream == TRAINING else 0
        random = np.random.default_rng([self.seed % 2**64, stream, varying, window])
        places = self._choose(groups, random)
        targets = ids[places]
        fate = random.random(len(places))
        strangers = self.ordinary[random.integers(len(self.ordinary), size=len(places))]
        seen = np.where(fate < self.mask_share, self.mask_id, targets)
        is_random = (fate >= self.mask_share) & (fate < self.mask_share + self.random_share)
        masked = ids.copy()
        masked[places] = np.where(is_random, strangers, seen)
        return Masked(masked, places, targets)

    def _choose(self, groups: Ids, random: np.random.Generator) -> NDArray[np.int64]:
        """The masked positions: groups in random order, skipping those that no longer fit, up to the rate.

        If every group is larger than the rate allows (a line of one long word), the first one drawn is taken.
        """
        starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
        lengths = np.diff(starts, append=len(groups))
        maskable = groups[starts] >= 0
        starts, lengths = starts[maskable], lengths[maskable]
        if not len(starts):
            return np.empty(0, np.int64)
        budget = max(1, round(self.rate * int(lengths.sum())))
        order = random.permutation(len(starts))
        if lengths.max() == 1:
            return np.sort(starts[order[:budget]])
        chosen = _fill(lengths[order].tolist(), budget)
        rows = order[chosen] if chosen else order[:1]
        return np.sort(np.concatenate([np.arange(starts[i], starts[i] + lengths[i]) for i in rows]))


def _fill(lengths: list[int], budget: int) -> list[int]:
    """Indices of the lengths, taken in their order, whose sum stays within `budget`."""
    chosen = []
    for i, length in enumerate(lengths):
        if length <= budget:
            chosen.append(i)
            budget -= length
            if not budget:
                break
    return chosen
