"""Units, the characters or words that are tagged: detection in a corpus, segmentation of raw text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain, groupby, pairwise

from pybert_crf.reading import quoted

UNITS = ("char", "word")

_MAJORITY = 0.9


def detect_unit(token_sequences: Iterable[Sequence[str]]) -> str:
    """``"char"`` if at least 9 of 10 tokens with a letter have one code point, else ``"word"``.

    Only tokens with a letter count, unless there are none. The threshold is far from real corpora: the
    share of tokens with one code point is 6 % in W-NUT 2017, about half in Chinese segmented into words,
    and nearly 100 % in Chinese tagged by character, even if Latin words are single tokens there.
    """
    lengths = {True: [0, 0], False: [0, 0]}  # has a letter → [tokens of one code point, tokens]
    for tokens in token_sequences:
        for token in tokens:
            tally = lengths[any(map(str.isalpha, token))]
            tally[0] += len(token) == 1
            tally[1] += 1
    single, total = lengths[True] if lengths[True][1] else lengths[False]
    return "char" if total and single >= _MAJORITY * total else "word"


def split_units(text: str, unit: str) -> list[tuple[int, int]]:
    """Segment raw text into units: half-open character offsets ``start, end``, ascending and disjoint.

    Every character except white space (`str.isspace`) is in exactly one unit; no unit contains white space.
    With ``"char"`` each such character is a unit. With ``"word"`` a unit is, from left to right,

    - a URL without its closing punctuation, an e-mail address, ``@user``, ``#tag``, ``&amp;``;
    - a number with its separators: 7.7, 1,000, 12:30, 1/2; an abbreviation: U.S.;
    - a word with its hyphens and inner apostrophes (state-of-the-art, don't, O'Neill) but without 's
      ("John's" is two units, as in the Penn Treebank); each Chinese character is a word;
    - otherwise a symbol with its marks and joiners; repetitions of one symbol are one unit (...).

    Raises:
        ValueError: `unit` is neither.
    """
    if unit == "char":
        places = zip(pairwise(range(len(text) + 1)), text, strict=True)  # neighbours share their number
        return [place for place, character in places if not character.isspace()]
    if unit == "word":
        return [match.span() for match in _word_pattern().finditer(text)]
    raise ValueError(f"unit must be one of {', '.join(UNITS)}; got {quoted(unit)}")


def join_units(units: Sequence[str], unit: str) -> tuple[str, list[tuple[int, int]]]:
    """The units as one text, words joined by a space and characters by nothing, and each one's offsets."""
    glue = " " if unit == "word" else ""
    offsets, start = [], 0
    for each in units:
        offsets.append((start, start + len(each)))
        start += len(each) + len(glue)
    return glue.join(units), offsets


@cache
def _word_pattern() -> re.Pattern[str]:
    # Marks (Hindi vowel signs, accents, variation selectors) do not match \w in `re` but belong to the
    # preceding letter, as do the joiners of Persian, of Indic scripts and of emoji.
    mark = f"[{_marks()}\u200c\u200d\U0001f3fb-\U0001f3ff]"
    han = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    letters = rf"[^\W{han}](?:[^\W{han}]|{mark})*"
    possessive = r"['’][sS]\b"
    alternatives = (
        r"(?:https?://|www\.)\S*[^\s.,;:!?…'\"’”)\]}>，。；：！？）】》]",
        r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}\w{1,63}",
        rf"[@#](?:\w|{mark})+",
        r"&#?\w{1,8};",
        r"\d+(?:[.,:/]\d+)+",
        r"(?:[^\W\d_]\.){2,}",
        rf"{letters}(?:(?!{possessive})[-'’]{letters})*",
        possessive,
        rf"[{han}]{mark}*",
        r"([^\s\w])\1+",
        rf"[^\s\w](?:{mark}|(?<=\u200d)[^\s\w])*",
    )
    return re.compile("|".join(alternatives))


def _marks() -> str:
    """The characters of the Unicode categories M*, as ranges for a regular expression."""
    planes = chain(range(0x300, 0x20000), range(0xE0100, 0xE01F0))  # there are none elsewhere
    codes = [code for code in planes if unicodedata.category(chr(code))[0] == "M"]
    runs = [list(run) for _, run in groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0])]
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)
