"""CSV and TSV with a header that names the columns: the sentence, the word and its tag.

In TSV a quotation mark is a character like others; in CSV it quotes a field.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence

from pybert_crf.reading import listed, quoted, shortened
from pybert_crf.text.corpora.corpus import Sentence, lines_of
from pybert_crf.text.corpora.documents import DocumentNumbers
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, Source, numbered_lines, source_name

_TOKENS = ("token", "tokens", "word", "words", "form", "char", "text", "字", "词", "词语")
_TAGS = (
    "tag",
    "ner_tag",
    "ner tag",
    "ner_tags",
    "ner",
    "label",
    "labels",
    "bio",
    "iob",
    "tags",
    "标签",
    "pos",
)
_SENTENCES = (
    *("sentence #", "sentence_id", "sentence id", "sentence_idx", "sentence", "sent_id", "sent", "sid"),
    *("sentence_number", "sentence no", "sent_no", "句子", "句号"),
)
_DELIMITERS = "\t,;"


def delimiter_of(header: str, habits: Habits) -> str | None:
    """What separates the columns that this first line of a file names; None if it names none."""
    for delimiter in _DELIMITERS:
        names = _names(header, delimiter)
        if len(names) > 1 and all(_find(names, each) is not None for each in _wanted(habits)[:2]):
            return delimiter
    return None


def _wanted(habits: Habits) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """The names that the columns of tokens, tags and sentences may have."""
    given = (habits.token_column, habits.tag_column, habits.sentence_column)
    usual = (_TOKENS, _TAGS, _SENTENCES)
    return tuple((name,) if name else names for name, names in zip(given, usual, strict=True))  # type: ignore


def _names(header: str, delimiter: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _find(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    """The index of the first wanted name that a column has."""
    return next((names.index(name.lower()) for name in wanted if name.lower() in names), None)


def csv_sentences(
    source: Source, habits: Habits, say: Callable[[str], None], *, tagged: bool = True
) -> Iterator[Sentence]:
    """The sentences of a file with a header.

    A sentence ends where the value of its column changes (an empty one continues it), or at an empty line.

    Args:
        say: is told in one line what was found out about the file.
        tagged: whether a column of tags is needed; if not, tokens stand in their place.

    Raises:
        CorpusError: no header with the columns, or nothing that ends sentences (both name the option), a line
            of another number of fields, or an empty token; by the line.
    """
    name = source_name(source)
    rows = _rows(source, habits, name)
    _, header = next(rows, (1, []))
    names = [each.strip().lower() for each in header]
    token, tag, sentence = (_find(names, wanted) for wanted in _wanted(habits))
    if not tagged:
        tag = token
    for found, what in ((token, "token"), (tag, "tag")):
        if found is None:
            told = f"no column of {what}s among {listed(header)}: --{what}-column names it"
            raise CorpusError(name, 1, told)
    assert token is not None
    assert tag is not None
    document = None if habits.document_column is None else _find(names, (habits.document_column,))
    if habits.document_column is not None and document is None:
        told = f"--document-column {shortened(habits.document_column)} is none of {listed(header)}"
        raise CorpusError(name, 1, told)
    numbers = DocumentNumbers()
    marked = "an empty line" if sentence is None else f"column {header[sentence]!r}"
    say(f"{name}: tokens in column {header[token]!r}, tags in {header[tag]!r}, sentences end by {marked}")
    tokens: list[tuple[int, str, str]] = []
    current, ended, belongs = "", sentence is not None, 0
    for line, row in rows:
        if not any(row):
            ended = True
        else:
            _check_row(row, header, token, tag, name, line)
        mark = row[sentence] if sentence is not None and any(row) else ""
        if tokens and (not any(row) or (mark and mark != current)):
            yield _sentence(tokens, belongs)
            tokens = []
        current = mark or current
        if any(row):
            if document is not None and not tokens:
                belongs = numbers.of(row[document].strip()) or belongs
            tokens.append((line, row[token].strip(), row[tag].strip()))
    if tokens and not ended and len(tokens) > _LONGEST:
        told = (
            f"nothing ends a sentence in {len(tokens):,} lines: --sentence-column names the column that does"
        )
        raise CorpusError(name, 1, told)
    if tokens:
        yield _sentence(tokens, belongs)


_LONGEST = 1000  # tokens that one sentence may have without any sign that sentences end


def _rows(source: Source, habits: Habits, name: str) -> Iterator[tuple[int, list[str]]]:
    """The fields of each record, and the line at which it begins; empty for an empty line."""
    lines = numbered_lines(source, encoding=habits.encoding)
    first = next(lines, (1, ""))[1]
    delimiter = delimiter_of(first, habits) or max(_DELIMITERS, key=first.count)
    try:
        yield 1, next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error as error:
        raise CorpusError(name, 1, f"not CSV: {error}") from None
    texts = (f"{text}\n" for _, text in lines)
    if delimiter == "\t":
        reader = csv.reader(texts, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(texts, delimiter=delimiter)
    line = 2
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise CorpusError(name, line, f"not CSV: {error}") from None
        if row is None:
            return
        yield line, [] if not any(field.strip() for field in row) else row
        line = reader.line_num + 2


def _check_row(row: Sequence[str], header: Sequence[str], token: int, tag: int, name: str, line: int) -> None:
    if len(row) != len(header):
        raise CorpusError(name, line, f"{len(row)} fields, but the header has {len(header)}: {quoted(row)}")
    if not row[token].strip():
        raise CorpusError(name, line, f"the token is empty: {quoted(row)}")
    if all(row[i].startswith("[") and row[i].endswith("]") and "'" in row[i] for i in (token, tag)):
        told = "a whole list in one field, where a token is expected: write Parquet or JSON lines instead"
        raise CorpusError(name, line, f"{told}: {quoted(row[token])}")


def _sentence(rows: Sequence[tuple[int, str, str]], document: int) -> Sentence:
    tokens, tags = [token for _, token, _ in rows], [tag for *_, tag in rows]
    return Sentence(tokens, tags, rows[0][0], lines=lines_of(rows), document=document)
