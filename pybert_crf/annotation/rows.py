"""The rows that callers give: texts, lists of units, documents. What is none is refused with the cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


def each_text(texts: Iterable[str]) -> Iterator[str]:
    """The texts, each checked when it is read; raises TypeError."""
    _check_rows(texts, "several texts are expected", "for one text call tagger(text) or give [text]")
    return (_checked_text(row, text) for row, text in enumerate(texts))


def _checked_text(row: int, text: str) -> str:
    if isinstance(text, str):
        return text
    if isinstance(text, list | tuple):
        cure = "for texts cut into units call tagger.tag_units or tagger.annotate_units"
    else:
        cure = 'fill or drop missing values first, as by fillna("") of a data frame\'s column'
    raise TypeError(f"row {row} of the texts is {kind_of(text)} instead of a str: {cure}")


def each_sequence(sequences: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """The lists of units, each checked when it is read; raises TypeError."""
    uncut = "for uncut texts call tagger.tag or tagger.annotate"
    _check_rows(sequences, "several lists of units are expected", uncut)
    for row, units in enumerate(sequences):
        if isinstance(units, str) or not isinstance(units, Sequence):
            raise TypeError(f"row {row} is {kind_of(units)} instead of a list of units, each a str; {uncut}")
        for place, unit in enumerate(units):
            if not isinstance(unit, str):
                raise TypeError(f"row {row}: unit {place} is {kind_of(unit)} instead of a str")
        yield units


def each_document(
    documents: Iterable[Iterable[str | Sequence[str]]], read: Callable[[int], None]
) -> Iterator[list[str | Sequence[str]]]:
    """The sentences of each document, checked; `read` is told their number first. Raises TypeError."""
    _check_rows(documents, "several documents are expected", "give [sentences] for one document")
    for number, document in enumerate(documents):
        told = f"document {number}: several sentences are expected"
        _check_rows(document, told, "give a list of its sentences")
        sentences = list(document)
        for row, sentence in enumerate(sentences):
            units = [] if isinstance(sentence, str) else sentence
            if not (isinstance(units, Sequence) and all(isinstance(unit, str) for unit in units)):
                told = f"document {number}: sentence {row} is {kind_of(sentence)}"
                raise TypeError(f"{told} instead of a str or a list of units, each a str")
        read(len(sentences))
        yield sentences


def _check_rows(rows: object, expected: str, cure: str) -> None:
    """Refuse what is no iterable of rows, and what iterates over its names instead of its rows."""
    if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
        raise TypeError(f"{expected}, got {kind_of(rows)}; {cure}")
    if isinstance(rows, Mapping) or hasattr(rows, "columns"):
        raise TypeError(f"{expected}, got {kind_of(rows)}; give one column of it, such as table['text']")


def kind_of(value: object) -> str:
    """A value's type, and the value itself if it is short."""
    if value is None:
        return "None"
    name = type(value).__name__
    kind = f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
    return f"{value} ({kind})" if isinstance(value, int | float) else kind
