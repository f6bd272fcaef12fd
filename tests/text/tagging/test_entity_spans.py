"""Conversion of tags to entities, which agrees with seqeval's, and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE2, Entities

from pybert_crf.text.tagging.entity_spans import Span, spans, tags_from_spans
from pybert_crf.text.tagging.schemes import SCHEMES, convert

SEQEVAL_SCHEMES = {"BIO": IOB2, "IOB1": IOB1, "BIOES": IOBES, "BMES": IOBES, "BILOU": BILOU}
SEQEVAL_SCHEMES |= {"BMEWO": IOBES, "IOE2": IOE2}  # its IOE1 is unfinished, by its own comment


def _for_seqeval(tags: list[str], scheme: str) -> list[str]:
    letters = {"BMES": {"M": "I"}, "BMEWO": {"M": "I", "W": "S"}, "BILOU": {"L": "E", "U": "S"}}.get(
        scheme, {}
    )
    return [letters.get(tag[0], tag[0]) + tag[1:] for tag in tags]


@given(data=st.data())
@settings(max_examples=400)
def test_lenient_reading_is_seqevals_default(
    data: st.DataObject, any_tags: st.SearchStrategy[tuple[str, list[str]]]
) -> None:
    scheme, tags = data.draw(any_tags)
    expected = [(start, end + 1, label) for label, start, end in get_entities(_for_seqeval(tags, scheme))]
    assert spans(tags, scheme) == expected


@given(data=st.data())
@settings(max_examples=400)
def test_strict_reading_is_seqevals_strict_mode(
    data: st.DataObject, any_tags: st.SearchStrategy[tuple[str, list[str]]]
) -> None:
    scheme, tags = data.draw(any_tags.filter(lambda drawn: drawn[0] in SEQEVAL_SCHEMES))
    theirs = tags if scheme == "BILOU" else _for_seqeval(tags, scheme)
    entities = Entities([theirs], SEQEVAL_SCHEMES[scheme]).entities[0]
    assert spans(tags, scheme, strict=True) == [(entity.start, entity.end, entity.tag) for entity in entities]


@given(data=st.data(), scheme=st.sampled_from([scheme for scheme in SCHEMES if scheme not in ("IO", "none")]))
def test_spans_to_tags_and_back(
    data: st.DataObject, scheme: str, legal_bio: st.SearchStrategy[list[str]]
) -> None:
    tags = convert(data.draw(legal_bio), "BIO", scheme)
    found = spans(tags, scheme)
    assert spans(tags, scheme, strict=True) == found
    assert tags_from_spans(reversed(found), len(tags), scheme) == tags


def test_the_two_readings_differ_where_tags_are_illegal() -> None:
    tags = ["O", "I-PER", "I-PER", "B-LOC", "I-PER"]
    assert spans(tags, "BIO") == [Span(1, 3, "PER"), Span(3, 4, "LOC"), Span(4, 5, "PER")]
    assert spans(tags, "BIO", strict=True) == [Span(3, 4, "LOC")]
    assert spans(["I-A", "I-A", "I-B"], "IO", strict=True) == [Span(0, 2, "A"), Span(2, 3, "B")]


@pytest.mark.parametrize(
    ("scheme", "tags", "strict"),
    [
        ("BIOS", "S-A I-A B-A I-A", [(0, 1), (2, 4)]),
        ("IOE1", "I-A E-A I-A E-A", [(0, 2)]),  # the last E is before no other, so it closes nothing
        ("IOE1", "E-A E-A I-A", [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_the_strict_reading_of_schemes_that_seqeval_lacks(
    scheme: str, tags: str, strict: list[tuple[int, int]]
) -> None:
    assert [span[:2] for span in spans(tags.split(), scheme, strict=True)] == strict


def test_every_plain_tag_is_an_entity_of_one_unit() -> None:
    found = [Span(0, 1, "DET"), Span(1, 2, "NOUN"), Span(2, 3, "NOUN")]
    assert spans(["DET", "NOUN", "NOUN"], "none") == found
    assert spans(["DET", "NOUN", "NOUN"], "none", strict=True) == found


def test_no_tags_no_spans() -> None:
    assert spans([], "BIO") == spans([], "BMES", strict=True) == []
    assert tags_from_spans([], 0, "BIO") == []


@pytest.mark.parametrize("strict", [False, True])
def test_a_prefix_of_another_scheme_is_an_error(strict: bool) -> None:
    with pytest.raises(ValueError, match=r"'E-PER' has a prefix that BIO does not use"):
        spans(["B-PER", "E-PER"], "BIO", strict=strict)


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([Span(1, 1, "A")], "span 1:1"),
        ([Span(-1, 1, "A")], "span -1:1"),
        ([Span(2, 4, "A")], "is empty or out of range for 3 units"),
        ([Span(0, 2, "A"), Span(1, 3, "B")], "overlaps"),
    ],
)
def test_impossible_spans_are_errors(entities: list[Span], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tags_from_spans(entities, 3, "BIO")
