"""Units: detection of characters or words in corpora, segmentation of raw text without loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybert_crf.text.units import UNITS, detect_unit, split_units


@pytest.mark.parametrize(
    ("tokens", "unit"),
    [
        ("在 这 里 ， 恕 弟 不 恭 之 罪 ， 2 0 0 3 年", "char"),
        ("他 在 I B M 与 Windows 工 作 了 三 年 的 时 间", "char"),  # a Latin word is one token
        ("小 明 1998 2003 100 99.5 12 在 北 京", "char"),  # numbers are one token each
        ("J o h n l i v e s", "char"),
        ("John lives in a big house , I think .", "word"),
        ("我们 在 北京 大学 的 图书馆 里 看 书", "word"),  # segmented into words
        ("! ? . ... I am", "word"),
        (". , !", "char"),
        ("... 12 !!", "word"),
        ("", "word"),
    ],
)
def test_detect_unit(tokens: str, unit: str) -> None:
    assert detect_unit([[], tokens.split()]) == unit


HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "aB9é你 \t\n.-'’s@#:/_&;\u200d\ufe0f\u0301\u200e\u3000\xa0\u2028\x85\x1c\ufeff❤👩💻🏽\ud800"
        ),
    ),
    max_size=60,
)


@given(HOSTILE, st.sampled_from(UNITS))
def test_units_cover_all_but_white_space_once(text: str, unit: str) -> None:
    covered = [index for start, end in split_units(text, unit) for index in range(start, end)]
    assert covered == [index for index, character in enumerate(text) if not character.isspace()]
    assert all(start < end for start, end in split_units(text, unit))
    if unit == "char":
        assert all(end == start + 1 for start, end in split_units(text, unit))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Peter lives in Bonn.", "Peter|lives|in|Bonn|."),
        ("John's, O'Neill’s and ITS'S", "John|'s|,|O'Neill|’s|and|ITS|'S"),
        ("don't I'm rock'n'roll 'quoted'", "don't|I'm|rock'n'roll|'|quoted|'"),
        ("(state-of-the-art) -a- --", "(|state-of-the-art|)|-|a|-|--"),
        ("7.7, 1,000 12:30 24/7 3. 100% $5", "7.7|,|1,000|12:30|24/7|3|.|100|%|$|5"),
        ("U.S. p.m. end.", "U.S.|p.m.|end|."),
        ("@user: #tag, #你好 a@b.co.uk.", "@user|:|#tag|,|#你好|a@b.co.uk|."),
        ("see (http://a.b/c?d=1). www.x.org!", "see|(|http://a.b/c?d=1|)|.|www.x.org|!"),
        ("Wait... what?! &amp; so", "Wait|...|what|?|!|&amp;|so"),
        ("我love北京 ３５", "我|love|北|京|３５"),
        ("café cafe\u0301 हिन्दी می\u200cخواهم", "café|cafe\u0301|हिन्दी|می\u200cخواهم"),
        ("❤️👍🏽 👩\u200d💻 😂😂", "❤️|👍🏽|👩\u200d💻|😂😂"),
        ("a\u200eb\u3000c\xa0d", "a|\u200e|b|c|d"),
        ("", ""),
        (" \n\u2028", ""),
    ],
)
def test_words_of_a_sentence(text: str, words: str) -> None:
    assert "|".join(text[start:end] for start, end in split_units(text, "word")) == words


def test_characters_are_code_points() -> None:
    assert split_units("7.7 𠮷\u200e", "char") == [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6)]


def test_long_text_without_white_space_is_cut_once_through() -> None:
    """Texts on which a naive pattern takes quadratic time, scanning to the end at every character."""
    for piece in ("a.b+", "http://", "www.", "@", "a-", "'s", "1,", ".+", "a@b."):
        text = piece * (200_000 // len(piece))
        assert sum(end - start for start, end in split_units(text, "word")) == len(text)


def test_an_unknown_unit_is_an_error() -> None:
    with pytest.raises(ValueError, match="char, word; got 'sentence'"):
        split_units("a", "sentence")
