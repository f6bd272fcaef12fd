"""Tag schemes: detection, lossless conversion, legal and illegal tags."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.tagging.schemes import (
    PLAIN,
    SCHEMES,
    UNTYPED,
    SchemeError,
    check_scheme,
    continues,
    convert,
    detect_scheme,
    fits,
    illegal_positions,
    is_legal,
    scheme_named,
    split_tag,
)

# An entity of three units, two adjacent ones of one type and an entity of one unit, in every scheme.
SAME_ENTITIES = {
    "BIO": "O B-A I-A I-A B-A O B-B B-A I-A",
    "IOB1": "O I-A I-A I-A B-A O I-B I-A I-A",
    "BIOES": "O B-A I-A E-A S-A O S-B B-A E-A",
    "BMES": "O B-A M-A E-A S-A O S-B B-A E-A",
    "BILOU": "O B-A I-A L-A U-A O U-B B-A L-A",
    "BIOS": "O B-A I-A I-A S-A O S-B B-A I-A",
    "BMEWO": "O B-A M-A E-A W-A O W-B B-A E-A",
    "IOE2": "O I-A I-A E-A E-A O E-B I-A E-A",
    "IOE1": "O I-A I-A E-A I-A O I-B I-A I-A",
}
WHOLE = [scheme for scheme in SCHEMES if scheme not in ("IO", PLAIN)]  # that hold any entities


def test_split_tag_leaves_hyphens_to_the_type() -> None:
    assert split_tag("O") == ("O", "")
    assert split_tag("B-PER") == ("B", "PER")
    assert split_tag("I-creative-work") == ("I", "creative-work")
    assert split_tag("E--") == ("E", "-")


def test_a_prefix_may_stand_alone_as_in_word_segmentation() -> None:
    assert split_tag("M") == ("M", UNTYPED)
    assert detect_scheme([["B", "E", "S", "B", "M", "E"]]) == "BMES"
    assert detect_scheme([["B", "I", "B"]]) == "BIO"
    assert convert(["B", "E", "S", "B", "M", "E"], "BMES", "BIO") == ["B", "I", "B", "B", "I", "I"]
    assert convert(["B", "I", "B"], "BIO", "BMES") == ["B", "E", "S"]


@pytest.mark.parametrize(
    "tag", ["", "o", "X", "BI", "B-", "-PER", "X-PER", "PER", "BI-PER", "b-PER", "O-PER", "B_PER", "0"]
)
def test_split_tag_rejects_what_is_no_tag(tag: str) -> None:
    with pytest.raises(ValueError, match=r"neither 'O' nor PREFIX-TYPE") as error:
        split_tag(tag)
    assert repr(tag) in str(error.value)


@pytest.mark.parametrize(("source", "target"), list(permutations(SAME_ENTITIES, 2)))
def test_convert_writes_the_same_entities_in_another_scheme(source: str, target: str) -> None:
    assert convert(SAME_ENTITIES[source].split(), source, target) == SAME_ENTITIES[target].split()


@given(data=st.data(), path=st.lists(st.sampled_from(WHOLE), max_size=4))
def test_converting_through_any_schemes_and_back_changes_nothing(
    data: st.DataObject, path: list[str], legal_bio: st.SearchStrategy[list[str]]
) -> None:
    original = data.draw(legal_bio)
    tags, scheme = original, "BIO"
    for following in [*path, "BIO"]:
        tags, scheme = convert(tags, scheme, following), following
        assert illegal_positions(tags, scheme) == []
    assert tags == original


def test_io_loses_the_border_between_neighbours_and_says_so() -> None:
    assert convert(["B-A", "I-A", "B-B"], "BIO", "IO") == ["I-A", "I-A", "I-B"]
    assert convert(["I-A", "I-A", "I-B"], "IO", "BIOES") == ["B-A", "E-A", "S-B"]
    with pytest.raises(ValueError, match="cannot be told apart in IO"):
        convert(["B-A", "B-A"], "BIO", "IO")


def test_converting_a_scheme_to_itself_mends_it() -> None:
    assert convert(["O", "I-A", "I-A", "I-B"], "BIO", "BIO") == ["O", "B-A", "I-A", "B-B"]
    assert convert(["B-A", "M-A", "O", "M-B"], "BMES", "BMES") == ["B-A", "E-A", "O", "S-B"]


@given(data=st.data())
def test_mended_tags_are_legal(
    data: st.DataObject, any_tags: st.SearchStrategy[tuple[str, list[str]]]
) -> None:
    scheme, tags = data.draw(any_tags)
    mended = convert(tags, scheme, scheme)
    assert illegal_positions(mended, scheme) == []
    assert [tag == "O" for tag in mended] == [tag == "O" for tag in tags]


@pytest.mark.parametrize("scheme", SAME_ENTITIES)
def test_detect_scheme_recognises(scheme: str) -> None:
    assert detect_scheme([["O"], SAME_ENTITIES[scheme].split()]) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("", "BIO"),
        ("O O", "BIO"),
        ("B-A O B-B", "BIO"),
        ("I-A O I-B I-A", "IO"),
        ("I-A B-A", "IOB1"),
        ("S-A O", "BIOES"),
        ("B-A E-A S-A", "BIOES"),  # also BMES
        ("B-A M-A E-A", "BMES"),
        ("U-A", "BILOU"),
        ("B-A I-A S-A", "BIOS"),
        ("B-A E-A W-B", "BMEWO"),
        ("I-A E-A O E-B", "IOE2"),
        ("I-A E-A I-A O I-B", "IOE1"),
    ],
)
def test_detect_scheme_takes_the_first_that_fits(tags: str, scheme: str) -> None:
    assert detect_scheme([tags.split()]) == scheme


@pytest.mark.parametrize(
    ("sequences", "sentence", "position", "culprit"),
    [
        (
            ["O B-A", "O B-A O I-A", "O B-A O I-A"],
            1,
            3,
            "I-A",
        ),  # BIO except for the I, IOB1 except for the B's
        (["B-A M-A E-A I-A"], 0, 3, "I-A"),
        (["B-A I-A L-A", "E-A"], 1, 0, "E-A"),
        (["O B-A E-A", "B-A", "B-A"], 1, 1, "'O' cannot follow 'B-A'"),
    ],
)
def test_tags_that_fit_no_scheme_are_named(
    sequences: list[str], sentence: int, position: int, culprit: str
) -> None:
    with pytest.raises(SchemeError, match="fit none of") as error:
        detect_scheme([line.split() for line in sequences])
    assert (error.value.sentence, error.value.position) == (sentence, position)
    assert culprit in str(error.value)


def test_a_rare_fault_does_not_hide_the_scheme() -> None:
    clean = [["B-A", "I-A", "O"]] * 100
    assert detect_scheme([*clean, ["I-A"]]) == "BIO"
    assert detect_scheme([*([["I-A", "B-A", "O"]] * 100), ["B-A"]]) == "IOB1"
    assert detect_scheme([*([["B-A", "E-A", "O"]] * 100), ["E-A"]]) == "BIOES"
    assert detect_scheme([["B-A", "I-A", "O", "I-A"]]) == "BIO"  # one may be in any corpus
    with pytest.raises(SchemeError):  # 3 of 203 are more than 1 %
        detect_scheme([*clean, ["I-A"], ["I-A"], ["I-B"]])


def test_a_foreign_prefix_is_never_tolerated() -> None:
    with pytest.raises(SchemeError, match="'U-A'") as error:
        detect_scheme([*([["B-A", "E-A", "O"]] * 1000), ["U-A"]])
    assert error.value.sentence == 1000


def test_one_fault_is_none_of_another_scheme() -> None:
    assert not fits([["B-X"]], "IOB1")  # as a file of entities is read
    assert not fits([["O", "I-X"]], "BIO")
    assert fits([["O", "I-X", "O", "B-X", "B-X", "B-Y"]], "BIO")  # a fault in IOB1 and IO too
    assert fits([["B-X", "I-X"]] * 60 + [["O", "I-X"]], "BIO")  # one of a hundred
    assert fits([["I-X"]], "IOB1")
    assert not fits([["B-X", "I-X"]], "BIOES")
    assert fits([["NN"]], "none")


def test_check_scheme() -> None:
    check_scheme([["S-A", "O"]], "BMES")
    with pytest.raises(SchemeError, match="BIO"):
        check_scheme([["O", "I-A", "O", "I-A"]], "BIO")
    with pytest.raises(ValueError, match="unknown tag scheme 'BIOUL'"):
        check_scheme([["O"]], "BIOUL")


def test_continues() -> None:
    assert continues("B-A", "I-A", "BIO")
    assert continues("I-A", "I-A", "IO")
    assert continues("M-A", "E-A", "BMES")
    assert continues("I-A", "L-A", "BILOU")
    assert not continues("I-A", "B-A", "IOB1")
    assert not continues("B-A", "I-B", "BIO")
    assert not continues("O", "I-A", "BIO")
    assert not continues("I-A", "O", "BIO")
    assert not continues("E-A", "M-A", "BMES")
    assert not continues("O", "O", "BIO")


@pytest.mark.parametrize(
    ("scheme", "legal", "illegal"),
    [
        ("BIO", ["O B-A", "B-A I-A", "I-A B-A", "B-A B-A", "I-A O"], ["O I-A", "B-A I-B", "O E-A"]),
        ("IO", ["O I-A", "I-A I-B"], ["O B-A"]),
        ("IOB1", ["O I-A", "I-A B-A", "B-A I-A", "I-A I-B"], ["O B-A", "I-A B-B"]),
        (
            "BIOES",
            ["B-A E-A", "E-A S-A", "S-A B-B", "E-A O"],
            ["B-A O", "I-A S-A", "O E-A", "B-A E-B", "O M-A"],
        ),
        ("BIOS", ["B-A I-A", "S-A S-A", "S-A B-A", "I-A O"], ["S-A I-A", "O I-A", "O E-A"]),
        ("IOE2", ["O I-A", "O E-A", "I-A E-A", "E-A E-A", "E-A I-B"], ["I-A O", "I-A I-B", "O B-A"]),
        ("IOE1", ["O I-A", "I-A E-A", "E-A I-A", "E-A E-A", "I-A O"], ["E-A O", "E-A I-B", "O B-A"]),
        (PLAIN, ["NN VB", "O B-A"], []),
    ],
)
def test_is_legal(scheme: str, legal: list[str], illegal: list[str]) -> None:
    assert [pair for pair in legal + illegal if is_legal(*pair.split(), scheme)] == legal


def test_an_unknown_scheme_is_an_error_everywhere() -> None:
    for call in (
        lambda: is_legal("O", "O", "BIOUL"),
        lambda: continues("O", "O", "BIOUL"),
        lambda: convert(["S-A"], "BIOES", "BIOUL"),
        lambda: convert(["O"], "BIOUL", "BIO"),
        lambda: convert(["O"], "BIO", "BIOUL"),
        lambda: scheme_named("bioul"),
    ):
        with pytest.raises(ValueError, match="unknown tag scheme 'BIOUL'"):
            call()


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("bio", "BIO"), ("IOB2", "BIO"), ("iobes", "BIOES"), ("None", PLAIN), ("IOE1", "IOE1")],
)
def test_schemes_have_other_names(name: str, scheme: str) -> None:
    assert scheme_named(name) == scheme


def test_plain_tags_are_no_entities() -> None:
    assert convert(["NN", "B"], PLAIN, PLAIN) == ["NN", "B"]
    assert not continues("NN", "NN", PLAIN)
    check_scheme([["NN", "O"]], PLAIN)
    for source, target in ((PLAIN, "BIO"), ("BIO", PLAIN)):
        with pytest.raises(ValueError, match="plain tags"):
            convert(["B-A"], source, target)


def test_the_end_of_a_sequence_counts() -> None:
    assert illegal_positions(["O", "B-A"], "BIOES") == [2]
    assert illegal_positions(["I-A", "O", "I-A"], "BIO") == [0, 2]
