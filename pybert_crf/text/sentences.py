"""Where the sentences of raw text end, by its punctuation."""

from __future__ import annotations

import re

_CLOSING = "[”’\"'」』】）)\\]》〉]*"
# A full stop also ends abbreviations and initials, after which the sentence goes on.
_ABBREVIATIONS = (
    "Mr|Mrs|Ms|Dr|Prof|St|Gen|Col|Capt|Lt|Sgt|Sen|Rep|Gov|Rev|Hon|Jr|Sr|Inc|Ltd|Co|Corp|Bros|No|vs|etc|al|Fig|"
    "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec|Mt|Ft|Ave|Blvd|Rd"
)
_END = re.compile(
    rf"[。！？｡…]+[。！？｡…!?]*{_CLOSING}"  # full width: always
    rf"|[!?]+{_CLOSING}(?=\s)"
    rf"|\.+{_CLOSING}(?=\s+[^\s\W_a-z]|\s+[^\s\w])"  # unless a small letter follows
    r"|\n"
)
_NO_END = re.compile(rf"(?:^|[^\w.])(?:[^\W\d_]|(?:[^\W\d_]\.)+[^\W\d_]|{_ABBREVIATIONS})\.$")
_LONGEST_BEFORE = 24  # characters before a full stop that may be of an abbreviation


def sentence_ends(text: str) -> list[int]:
    """The ends of the sentences of a text, ascending; the last one is the text's own.

    A sentence ends after 。！？ or …, and after . ! or ? before white space, with the quotation marks and
    brackets that close there; and at a line break. A full stop is no end after an initial or a usual English
    abbreviation, or if a small letter follows.
    """
    ends = [
        found.end()
        for found in _END.finditer(text)
        if not (found[0].startswith(".") and _is_abbreviation(text, found.start() + 1))
    ]
    return ends if ends and ends[-1] == len(text) else [*ends, len(text)]


def _is_abbreviation(text: str, end: int) -> bool:
    return _NO_END.search(text[max(0, end - _LONGEST_BEFORE) : end]) is not None
