"""The constraints of a tag scheme (BIO, BIOES, ...) on the paths of a CRF."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pybert_crf.crf import Constraints
from pybert_crf.text.tagging.schemes import OUTSIDE, is_legal, role


def tag_constraints(labels: Sequence[str], scheme: str) -> Constraints:
    """The scheme's legal sequences as constraints for ``CRF(len(labels), constraints=...)``.

    In BIO, for example, I-PER is legal only after B-PER or I-PER; in BIOES no sequence ends within an entity.

    Args:
        labels: the tags by index: ``"O"``, ``"B-PER"``, or ``"B"`` alone.
        scheme: one of `pybert_crf.text.tagging.schemes.SCHEMES`. It is not guessed:
            BIO and IOB1 have the same labels.

    Returns:
        start (K,), transitions (K, K) and end (K,), all bool.

    Raises:
        ValueError: no labels, a repeated label, an unknown scheme, or a label that the scheme does not have.
    """
    if not labels or len(set(labels)) != len(labels):
        raise ValueError(f"labels must be distinct and at least one, got {list(labels)}")
    for label in labels:
        role(label, scheme)
    return Constraints.from_rule(tuple(labels), OUTSIDE, partial(is_legal, scheme=scheme))
