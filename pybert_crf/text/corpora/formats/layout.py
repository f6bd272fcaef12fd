"""How the lines of a column file are cut, found out from its first lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from pybert_crf.text.corpora.habits import CONLLU, Habits, column_index
from pybert_crf.text.tagging.schemes import SchemeError, detect_scheme, split_tag

BLANK = " \t\r\v\f\ufeff"
"""What a blank line may hold; other white space, U+2028 say, may be a token."""

Line = tuple[int, str]  # number from 1, text

_SEPARATOR = re.compile(r"[ \t]+")
_COMMENT = re.compile(r"#(?:[ \t]|$)")
_RANGE = re.compile(r"[0-9]+[-.][0-9]+")  # of CoNLL-U: words of several tokens, and empty ones
_SEGMENTED = re.compile(r"(.)([0-9])", re.DOTALL)
# CoNLL-2000 and CoNLL-2003 have chunks in the column before the last.
_CHUNKS = frozenset(["NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP"])


class Layout(NamedTuple):
    """The columns of a file.

    Attributes:
        width: their number.
        tabs: whether only tabs separate them.
        token, tag: indices from 0; the tag's is None if only tokens are read.
        counted: whether the first column counts the tokens of a sentence.
        segments: whether a digit behind each character counts within its word, as in Weibo NER.
        known: a column in which every value is a tag, by which a comment of as many columns is told apart.
    """

    width: int
    tabs: bool
    token: int
    tag: int | None
    counted: bool
    segments: bool
    known: int | None

    def split(self, text: str) -> list[str]:
        """The columns of a line."""
        return split(text, self.tabs)

    def is_comment(self, text: str) -> bool:
        """Whether a line is ``#`` and more, but does not have the file's columns, or no tag in them."""
        if not _COMMENT.match(text):
            return False
        columns = self.split(text)
        return len(columns) != self.width or (self.known is not None and not _is_tag(columns[self.known]))

    def is_left_out(self, columns: Sequence[str]) -> bool:
        """Whether a row of CoNLL-U is a range of tokens or an empty node."""
        return self.counted and _RANGE.fullmatch(columns[0]) is not None

    def told(self) -> str:
        """What was found out, in words."""
        parts = ["columns separated by tabs" if self.tabs else "columns separated by spaces or tabs"]
        parts.append(f"tokens in column {self.token + 1}")
        if self.tag is not None:
            parts.append(f"tags in column {self.tag + 1}")
        if self.counted:
            parts.append("column 1 counts and is left out")
        if self.segments:
            parts.append("the digit behind each character is a segment number and is stripped")
        return ", ".join(parts)


def split(text: str, tabs: bool) -> list[str]:
    """The columns of a line: separated by tabs alone, or by spaces and tabs."""
    if not tabs:
        return _SEPARATOR.split(text.rstrip(" \t"))
    return [column.strip(" ") or column for column in text.rstrip("\t").split("\t")]


def find_layout(lines: Sequence[Line], habits: Habits, tagged: bool) -> Layout:
    """The layout of a file that begins with these lines, which are not all blank.

    Raises:
        ValueError: a column that was asked for does not exist, or two columns hold tags; names the option.
    """
    rows = [text for _, text in lines if text.strip(BLANK) and not _COMMENT.match(text)]
    rows = rows or [text for _, text in lines if text.strip(BLANK)]
    tabs = all("\t" in text for text in rows)
    width = Counter(len(split(text, tabs)) for text in rows).most_common(1)[0][0]
    width = max(width, 1 + tagged)
    plain = Layout(width, tabs, 0, None, counted=False, segments=False, known=None)
    sentences = [rows for rows in _sentences(lines, plain) if rows]  # without what may be a comment
    counted = width > 1 + tagged and _counts(sentences)
    token = column_index(habits.token_column, "token-column", width) if habits.token_column else int(counted)
    tag = None
    if tagged and habits.tag_column:
        tag = column_index(habits.tag_column, "tag-column", width)
    elif tagged:
        tag = _find_tags(sentences, token, width)
    known = width - 1 if tag is None else tag
    filled = list(chain.from_iterable(sentences))
    # With tabs and nothing but tokens "#", as a short file of plain tags may be, these are no comments.
    all_tags = known > token and all(_is_tag(row[known]) for row in filled) and bool(filled or not tabs)
    found = plain._replace(token=token, tag=tag, counted=counted, known=known if all_tags else None)
    sentences = [[row for row in rows if not found.is_left_out(row)] for rows in sentences]
    return found._replace(segments=_has_segments([[row[token] for row in rows] for rows in sentences]))


def _sentences(lines: Sequence[Line], layout: Layout) -> Iterator[list[list[str]]]:
    rows: list[list[str]] = []
    for _, text in lines:
        if _COMMENT.match(text):
            continue
        columns = layout.split(text) if text.strip(BLANK) else []
        if len(columns) == layout.width:
            rows.append(columns)
        elif not columns:
            yield rows
            rows = []
    yield rows


def _counts(sentences: Sequence[Sequence[Sequence[str]]]) -> bool:
    """Whether the first column counts from 0, or from 1, in every sentence."""
    firsts = [[row[0] for row in rows if not _RANGE.fullmatch(row[0])] for rows in sentences]
    if not any(len(column) > 1 for column in firsts):
        return False
    return any(
        all(column == [str(i) for i in range(start, start + len(column))] for column in firsts)
        for start in (0, 1)
    )


def _find_tags(sentences: Sequence[Sequence[Sequence[str]]], token: int, width: int) -> int:
    """The column of the tags: the one that holds tags of a scheme, or upos of CoNLL-U, or else the last."""
    others = range(token + 1, width)
    holding = [i for i in others if _types([[row[i].strip() for row in rows] for rows in sentences])]
    if len(holding) > 1:
        holding = [
            i
            for i in holding
            if i == holding[-1] or not _types([[row[i] for row in rows] for rows in sentences]) <= _CHUNKS
        ]
    if len(holding) > 1:
        told = " and ".join(str(i + 1) for i in holding)
        raise ValueError(f"columns {told} hold tags of a scheme: --tag-column says which are meant")
    if not holding and token == 1 and width == len(CONLLU):
        return CONLLU.index("upos")
    return holding[0] if holding else width - 1


def _types(sequences: Sequence[Sequence[str]]) -> set[str]:
    """The types of tags of a scheme; empty if the values are none."""
    try:
        types = {split_tag(tag)[1] for tags in sequences for tag in tags} - {""}
        detect_scheme(sequences)
    except (ValueError, SchemeError):
        return set()
    return types


def _is_tag(value: str) -> bool:
    try:
        split_tag(value.strip())
    except ValueError:
        return False
    return True


def _has_segments(sentences: Sequence[Sequence[str]]) -> bool:
    """Whether each token is a character and a digit that counts from 0 in each word."""
    if sum(map(len, sentences)) < 2:
        return False
    for tokens in sentences:
        matches = [_SEGMENTED.fullmatch(token) for token in tokens]
        digits = [int(match[2]) if match else -1 for match in matches]
        if digits and digits[0] != 0:
            return False
        if any(digit not in (0, min(before + 1, 9)) for before, digit in pairwise(digits)):
            return False
    return any(len(token) > 1 and token[1] != "0" for tokens in sentences for token in tokens)
