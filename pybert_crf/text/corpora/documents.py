"""Documents: which sentences of a file belong together, by marks of the file or as an option says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError

FIELD = "document"
"""The field of an object of JSON that tells its document, if no other is named."""

_WITH_FIELDS = ("json", "csv", "datasets")
_WITH_LINES = ("words", "auto")  # of `predict`, auto is plain text


def check_documents(habits: Habits, format: str, name: str) -> None:
    """Check that what `habits` say about documents can be found in a file of this format.

    Raises:
        CorpusError: it cannot; names the option.
    """
    if habits.documents == "blank" and format not in _WITH_LINES:
        told = "--documents blank is for plain or word-segmented text, a sentence a line"
        raise CorpusError(name, None, f"{told}; here blank lines do not separate documents")
    if habits.document_column is not None and format not in _WITH_FIELDS:
        told = "--document-column is for JSON, CSV and tables, whose sentences have fields"
        raise CorpusError(name, None, told)


def settled(document: int, habits: Habits, format: str) -> int:
    """The document of a sentence, from the one that the file marks."""
    if habits.documents == "file" and format != "brat":  # a folder of brat's has a document for each file
        return 1
    return 0 if habits.documents == "none" else document


class DocumentNumbers:
    """Numbers documents from 1 in the order of their first sentences, by the names that a file gives them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Whether any document was named."""
        return bool(self._numbers)

    def of(self, name: str) -> int:
        """The number of a document; 0 for an empty name."""
        return self._numbers.setdefault(name, len(self._numbers) + 1) if name else 0


def document_name(value: Any, habits: Habits, file: str, line: int) -> str:
    """The document that an object of JSON names; empty if it names none.

    Raises:
        CorpusError: it lacks the field that an option names, or holds neither a text nor a number there.
    """
    key = habits.document_column or FIELD
    found = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(found, str | int) and not isinstance(found, bool):
        return str(found).strip()
    if habits.document_column is not None:
        raise CorpusError(file, line, f"no text or number in the field that --document-column names: {key}")
    return ""
