"""From the labels of a tag scheme to what a CRF may hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pybert_crf.crf import Constraints
from pybert_crf.text.tagging.schemes import OUTSIDE, is_legal, role


def tag_constraints(labels: Sequence[str], scheme: str) -> Constraints:
    """The scheme's legal sequences as constraints for ``CRF(len(labels), constraints=...)``.

    In BIO, say, I-PER may stand only after B-PER or I-PER; in BIOES a sequence may not end within an entity.

    Args:
        labels: the tags, in the order of their numbers; ``"O"``, ``"B-PER"``, or ``"B"`` alone.
        scheme: ``"BIO"``, ``"IO"``, ``"IOB1"``, ``"BIOES"``, ``"BMES"`` or ``"BILOU"``. Not guessed: the
            labels alone do not tell BIO from IOB1.

    Returns:
        start (K,), transitions (K, K) and end (K,), all bool.

    Raises:
        ValueError: no labels, a label twice, an unknown scheme, or a label that is none of the scheme's.
    """
    if not labels or len(set(labels)) != len(labels):
        raise ValueError(f"labels must be distinct and at least one, got {list(labels)}")
    for label in labels:
        role(label, scheme)
    return Constraints.from_rule(tuple(labels), OUTSIDE, partial(is_legal, scheme=scheme))
