"""Texts of any format, without regard to tags: what `predict` tags, and what `pretrain` learns from."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pybert_crf.text.corpora.documents import DocumentNumbers, check_documents, settled
from pybert_crf.text.corpora.formats.columns import sentence_rows
from pybert_crf.text.corpora.formats.csv_files import csv_sentences
from pybert_crf.text.corpora.formats.json_files import json_text
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, Fault, Source, numbered_lines, refuse, source_name
from pybert_crf.text.corpora.reading import sentences_of_format

Text = str | list[str]
"""A text that is not cut yet, or its tokens."""


def read_texts(source: Source, habits: Habits, *, fault: Fault = refuse) -> Iterator[Text]:
    """The texts of a file or stream; see `read_texts_of_documents`."""
    return (text for text, _ in read_texts_of_documents(source, habits, fault=fault))


def read_texts_of_documents(
    source: Source, habits: Habits, *, most: int | None = None, fault: Fault = refuse
) -> Iterator[tuple[Text, int]]:
    """The texts of a file or stream, as they are read, each with the number of its document, 0 for none.

    Of plain text each line is one, also an empty one.

    Args:
        source, most, fault: see `numbered_lines`.
        habits: its `format` says what is read: ``"auto"`` is plain text. Of ``"json"`` each line is an
            object with ``text`` or ``tokens``, or a pair that begins with a text; of word-segmented text each
            line is the text without its spaces, or with `unit` ``"word"`` its words.

    Raises:
        CorpusError: what the format's reader refuses, with its line; or documents that it cannot tell.
        OSError: the file cannot be read.
    """
    check_documents(habits, habits.format, source_name(source))
    for text, document in _marked_texts(source, habits, most, fault):
        yield text, settled(document, habits, habits.format)


def _marked_texts(
    source: Source, habits: Habits, most: int | None, fault: Fault
) -> Iterator[tuple[Text, int]]:
    """The texts, each with the number of its document as the file marks it."""
    if habits.format in ("auto", "words"):
        yield from _lines(source, habits, most, fault)
    elif habits.format == "columns":
        for rows, document in sentence_rows(source, tagged=False, habits=habits, most=most, fault=fault):
            yield [token for _, token, _ in rows], document
    elif habits.format == "json":
        yield from _json_texts(source, habits, most, fault)
    elif habits.format == "csv":
        for sentence in csv_sentences(source, habits, _ignore, tagged=False):
            yield sentence.tokens, sentence.document
    else:
        for sentence in sentences_of_format(source, habits.format, habits, _ignore):
            yield sentence.tokens if sentence.text is None else sentence.text, sentence.document


def _lines(source: Source, habits: Habits, most: int | None, fault: Fault) -> Iterator[tuple[Text, int]]:
    """The lines of plain text, or what stands between the spaces of word-segmented text."""
    document = int(habits.documents == "blank")
    for _, line in numbered_lines(source, most=most, fault=fault, encoding=habits.encoding):
        blank = not line or line.isspace()
        document += blank and document > 0
        if habits.format == "auto":
            text: Text = line
        else:
            text = line.split() if habits.unit == "word" else "".join(line.split())
        yield text, document


def _ignore(note: str) -> None:
    """What was found out about the tags is of no interest."""


def _json_texts(source: Source, habits: Habits, most: int | None, fault: Fault) -> Iterator[tuple[Text, int]]:
    name, numbers = source_name(source), DocumentNumbers()
    for number, line in numbered_lines(source, most=most, fault=fault, encoding=habits.encoding):
        if not line or line.isspace():
            continue
        try:
            text, document = json_text(line, name, number, habits)
        except CorpusError as error:
            fault(error)
        else:
            yield text, numbers.of(document)


def looks_like_json(line: str) -> bool:
    """Whether a line of text is an object that JSON lines of a corpus hold."""
    if not line.lstrip().startswith("{"):
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and not {"text", "tokens", "data"}.isdisjoint(value)
