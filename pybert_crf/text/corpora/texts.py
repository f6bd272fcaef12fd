"""Texts of any format, without regard to tags: what `predict` tags, and what `pretrain` learns from."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pybert_crf.text.corpora.formats.columns import read_columns
from pybert_crf.text.corpora.formats.csv_files import csv_sentences
from pybert_crf.text.corpora.formats.json_files import json_text
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, Fault, Source, numbered_lines, refuse, source_name
from pybert_crf.text.corpora.reading import sentences_of_format

Text = str | list[str]
"""A text that is not cut yet, or its tokens."""


def read_texts(
    source: Source, habits: Habits, *, most: int | None = None, fault: Fault = refuse
) -> Iterator[Text]:
    """The texts of a file or stream, as they are read; of plain text each line is one, also an empty one.

    Args:
        source, most, fault: see `numbered_lines`.
        habits: its `format` says what is read: ``"auto"`` is plain text. Of ``"json"`` each line is an
            object with ``text`` or ``tokens``, or a pair that begins with a text; of word-segmented text each
            line is the text without its spaces, or with `unit` ``"word"`` its words.

    Raises:
        CorpusError: what the format's reader refuses; with its line.
        OSError: the file cannot be read.
    """
    if habits.format == "auto":
        for _, line in numbered_lines(source, most=most, fault=fault, encoding=habits.encoding):
            yield line
    elif habits.format == "columns":
        yield from read_columns(source, habits=habits, most=most, fault=fault)
    elif habits.format == "json":
        yield from _json_texts(source, habits, most, fault)
    elif habits.format == "words":
        for _, line in numbered_lines(source, most=most, fault=fault, encoding=habits.encoding):
            yield line.split() if habits.unit == "word" else "".join(line.split())
    elif habits.format == "csv":
        for sentence in csv_sentences(source, habits, _ignore, tagged=False):
            yield sentence.tokens
    else:
        for sentence in sentences_of_format(source, habits.format, habits, _ignore):
            yield sentence.tokens if sentence.text is None else sentence.text


def _ignore(note: str) -> None:
    """What was found out about the tags is of no interest."""


def _json_texts(source: Source, habits: Habits, most: int | None, fault: Fault) -> Iterator[Text]:
    name = source_name(source)
    for number, line in numbered_lines(source, most=most, fault=fault, encoding=habits.encoding):
        if not line or line.isspace():
            continue
        try:
            text = json_text(line, name, number)
        except CorpusError as error:
            fault(error)
        else:
            yield text


def looks_like_json(line: str) -> bool:
    """Whether a line of text is an object that JSON lines of a corpus hold."""
    if not line.lstrip().startswith("{"):
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and not {"text", "tokens", "data"}.isdisjoint(value)
