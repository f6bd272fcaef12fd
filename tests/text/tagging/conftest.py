"""Strategies for tag sequences."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st


def _bio(chunks: list[tuple[str | None, int]]) -> list[str]:
    tags: list[str] = []
    for label, length in chunks:
        tags += ["O"] * length if label is None else [f"B-{label}"] + [f"I-{label}"] * (length - 1)
    return tags


_CHUNK = st.tuples(st.sampled_from([None, "PER", "LOC", "creative-work"]), st.integers(1, 4))


@pytest.fixture(scope="session")
def legal_bio() -> st.SearchStrategy[list[str]]:
    """Legal BIO sequences, among them adjacent entities of one type and the empty sequence."""
    return st.lists(_CHUNK, max_size=8).map(_bio)


@pytest.fixture(scope="session")
def any_tags() -> st.SearchStrategy[tuple[str, list[str]]]:
    """(scheme, tags) with the scheme's prefixes in any order, mostly illegal."""
    prefixes = {"BIO": "BI", "IOB1": "BI", "BIOES": "BIES", "BMES": "BMES", "BILOU": "BILU"}
    prefixes |= {"BIOS": "BIS", "BMEWO": "BMEW", "IOE1": "IE", "IOE2": "IE"}

    def sequences(scheme: str) -> st.SearchStrategy[tuple[str, list[str]]]:
        tags = [
            "O",
            *(f"{prefix}-{label}" for prefix in prefixes[scheme] for label in ("PER", "creative-work")),
        ]
        return st.tuples(st.just(scheme), st.lists(st.sampled_from(tags), max_size=9))

    return st.sampled_from(sorted(prefixes)).flatmap(sequences)
