"""Column files (CoNLL's format): a token a line, its tag in the last column, a blank line after a sentence.

Only ``\\n`` ends a line and only spaces and tabs separate columns, so that U+0085, U+00A0, U+2028 or U+3000
may be tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pybert_crf.files import write_text
from pybert_crf.reading import quoted
from pybert_crf.text.corpora.corpus import Sentence
from pybert_crf.text.corpora.lines import (
    BOM,
    CorpusError,
    Fault,
    Source,
    numbered_lines,
    refuse,
    source_name,
)
from pybert_crf.text.tagging.schemes import split_tag

DOCSTART = "-DOCSTART-"
_SEPARATOR = re.compile(r"[ \t]+")
_ASCII_WHITESPACE = " \t\r\v\f"

Row = tuple[int, list[str]]  # line number from 1, columns


def read_columns(source: Source, *, most: int | None = None, fault: Fault = refuse) -> Iterator[list[str]]:
    """The tokens (first column) of each sentence of a tagged or untagged column file, as they are read.

    Args and errors are those of `sentence_rows`. An empty file is no error: it has no sentences.
    """
    for rows in sentence_rows(source, min_columns=1, most=most, fault=fault):
        yield [columns[0] for _, columns in rows]


def tagged_sentences(source: Source) -> Iterator[Sentence]:
    """The sentences of a column file: the first column holds the token, the last one its tag.

    Raises:
        CorpusError: as `sentence_rows`, or a malformed tag.
    """
    for rows in sentence_rows(source, min_columns=2):
        for line, columns in rows:
            try:
                split_tag(columns[-1])
            except ValueError as error:  # noqa: PERF203 (the error must name the line)
                raise CorpusError(
                    source_name(source), line, f"{error}: {quoted(' '.join(columns))}"
                ) from None
        tokens, tags = [columns[0] for _, columns in rows], [columns[-1] for _, columns in rows]
        yield Sentence(tokens, tags, line=rows[0][0])


def sentence_rows(
    source: Source, min_columns: int, *, most: int | None = None, fault: Fault = refuse
) -> Iterator[list[Row]]:
    """The non-empty sentences of a column file, one list of rows each.

    A blank line ends a sentence (ASCII whitespace or a byte order mark alone is blank too), as does a line
    whose first column is ``-DOCSTART-``, which is skipped.

    Args:
        source, most: see `numbered_lines`.
        min_columns: columns that each line must have.
        fault: called with the first error of a sentence; if it returns, the sentence is left out.

    Raises:
        CorpusError: a line is not UTF-8 or too long, has fewer than `min_columns` columns, begins with a
            separator, or contains a carriage return (by `refuse`).
    """
    name = source_name(source)
    rows: list[Row] = []
    spoilt = False

    def spoil(error: CorpusError) -> None:
        nonlocal spoilt
        if not spoilt:
            fault(error)
        spoilt = True

    for number, text in numbered_lines(source, most=most, fault=spoil):
        blank = text.strip(_ASCII_WHITESPACE) in ("", BOM)
        try:
            columns = None if blank else _split(text, name, number, min_columns)
        except CorpusError as error:
            spoil(error)
            continue
        if columns is not None and columns[0] != DOCSTART:
            rows.append((number, columns))
            continue
        if rows and not spoilt:
            yield rows
        rows, spoilt = [], False
    if rows and not spoilt:
        yield rows


def _split(text: str, name: str, number: int, min_columns: int) -> list[str]:
    expected = "'token … tag'" if min_columns > 1 else "a token"
    if "\r" in text:
        raise CorpusError(name, number, f"a carriage return inside the line: {quoted(text)}")
    if text[0] in " \t":
        raise CorpusError(name, number, f"the token column is empty (expected {expected}): {quoted(text)}")
    columns = _SEPARATOR.split(text.rstrip(" \t"))
    if len(columns) < min_columns and columns[0] != DOCSTART:
        count = "one column" if len(columns) == 1 else f"{len(columns)} columns"
        raise CorpusError(
            name, number, f"{count}, expected {expected} separated by spaces or tabs: {quoted(text)}"
        )
    return columns


def write_columns(path: str | Path, sentences: Iterable[Sentence]) -> None:
    """Write ``token TAB tag`` lines and a blank line after each sentence; `read_corpus` reads the same back.

    The file appears whole or not at all.

    Raises:
        ValueError: a sentence is empty, has unequal numbers of tokens and tags, or has a token that no column
            file can hold (empty, containing a space, tab, CR or LF, or ``-DOCSTART-``).
    """
    text = "".join(_lines(number, sentence) for number, sentence in enumerate(sentences))
    if text.startswith(BOM):  # a token, which a reader would take for the file's byte order mark
        text = BOM + text
    write_text(path, text)


def _lines(number: int, sentence: Sentence) -> str:
    if not sentence.tokens or len(sentence.tokens) != len(sentence.tags):
        sizes = f"{len(sentence.tokens)} tokens and {len(sentence.tags)} tags"
        raise ValueError(f"sentence {number} has {sizes}: it needs at least one token, and a tag for each")
    for value in (*sentence.tokens, *sentence.tags):
        if not value or value == DOCSTART or not set(value).isdisjoint(" \t\r\n"):
            raise ValueError(f"sentence {number}: {quoted(value)} cannot stand in a column file")
    lines = [f"{token}\t{tag}\n" for token, tag in zip(sentence.tokens, sentence.tags, strict=True)]
    return "".join(lines) + "\n"
