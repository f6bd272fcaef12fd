"""Entities found on tensors are those that the tags spell out, read one by one."""

from __future__ import annotations

import pytest
import torch

from pybert_crf.crf import CRF
from pybert_crf.taggers.decoding import EntityDecoder
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import continues

LABELS = {
    "BIO": ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"],
    "IOB1": ["O", "I-LOC", "B-LOC", "I-PER"],
    "IO": ["O", "I-LOC", "I-PER"],
    "BIOES": ["O", "B-LOC", "I-LOC", "E-LOC", "S-LOC", "B-PER", "E-PER"],
    "BMES": ["B", "M", "E", "S"],
}


@pytest.mark.parametrize("scheme", LABELS)
def test_entities_and_scores_of_legal_and_illegal_sequences(scheme: str) -> None:
    """Without constraints, so that every sequence appears."""
    labels = LABELS[scheme]
    torch.manual_seed(1)
    crf = CRF(len(labels), batch_first=True)
    emissions = 3 * torch.randn(40, 12, len(labels))
    lengths = torch.arange(40) % 13  # 0 too
    mask = torch.arange(12) < lengths[:, None]
    taggings = EntityDecoder(labels, scheme)(crf, emissions, mask, scores=True)
    continuing = torch.tensor([[continues(a, b, scheme) for b in labels] for a in labels])
    tags, _ = crf.viterbi(emissions, mask)
    for row, (tagging, path) in enumerate(zip(taggings, crf.decode(emissions, mask), strict=True)):
        assert tagging.tags == [labels[number] for number in path]
        assert tagging.spans == spans(tagging.tags, scheme)
        places = [(row, span.start, span.end) for span in tagging.spans]
        expected = crf.span_probabilities(emissions, tags, places, mask, continuing).tolist()
        assert tagging.scores == pytest.approx(expected, abs=1e-6)
    assert sum(len(tagging.spans) for tagging in taggings) > 20


def test_without_scores_none_are_computed() -> None:
    crf = CRF(3, batch_first=True)
    mask = torch.ones(2, 4, dtype=torch.bool)
    for tagging in EntityDecoder(LABELS["IO"], "IO")(crf, torch.randn(2, 4, 3), mask, scores=False):
        assert tagging.scores == []


def test_a_row_that_cannot_be_decoded_is_named() -> None:
    crf = CRF(3, batch_first=True)
    emissions = torch.randn(3, 4, 3)
    emissions[1, 2, 0] = torch.nan
    mask = torch.ones(3, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"1"):
        EntityDecoder(LABELS["IO"], "IO")(crf, emissions, mask, scores=True)
