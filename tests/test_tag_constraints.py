"""Constraints made from the labels of a tag scheme."""

from __future__ import annotations

import itertools

import pytest
import torch

from pybert_crf import CRF, tag_constraints
from pybert_crf.text.tagging.schemes import SCHEMES, illegal_positions

LABELS = {
    "BIO": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "IO": ["I-LOC", "O", "I-PER"],
    "IOB1": ["B-PER", "O", "I-PER", "I-LOC"],
    "BIOES": ["O", "B-PER", "I-PER", "E-PER", "S-PER", "S-LOC"],
    "BMES": ["B", "M", "E", "S"],  # word segmentation
    "BILOU": ["O", "B", "I", "L", "U"],
    "BIOS": ["O", "B-PER", "I-PER", "S-PER", "S-LOC"],
    "BMEWO": ["O", "B-PER", "M-PER", "E-PER", "W-PER", "W-LOC"],
    "IOE2": ["O", "I-PER", "E-PER", "E-LOC"],
    "IOE1": ["O", "I-PER", "E-PER", "I-LOC"],
    "none": ["NOUN", "VERB", "O"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_they_allow_the_legal_sequences_and_no_other(scheme: str) -> None:
    labels = LABELS[scheme]
    crf = CRF(len(labels), batch_first=True, constraints=tag_constraints(labels, scheme))
    for length in (1, 2, 3):
        paths = list(itertools.product(range(len(labels)), repeat=length))
        emissions = torch.zeros(len(paths), length, len(labels))
        scores = crf.score(emissions, torch.tensor(paths))
        legal = [not illegal_positions([labels[tag] for tag in path], scheme) for path in paths]
        assert scores.isfinite().tolist() == legal
        assert any(legal)


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "BIOES", "BMES"])
def test_what_is_decoded_is_legal(scheme: str) -> None:
    labels = LABELS[scheme]
    crf = CRF(len(labels), batch_first=True, constraints=tag_constraints(labels, scheme))
    for path in crf.decode(3 * torch.randn(20, 9, len(labels))):
        assert illegal_positions([labels[tag] for tag in path], scheme) == []


@pytest.mark.parametrize(
    ("labels", "scheme", "message"),
    [
        ([], "BIO", "at least one"),
        (["O", "B-PER", "O"], "BIO", "distinct"),
        (["O", "B-PER"], "BIOX", "unknown tag scheme 'BIOX'"),
        (["O", "B-PER", "E-PER"], "BIO", "'E-PER' has a prefix that BIO does not use"),
        (["NOUN"], "BIO", "'NOUN' is neither"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: list[str], scheme: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tag_constraints(labels, scheme)
