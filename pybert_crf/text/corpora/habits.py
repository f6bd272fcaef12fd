"""What a reader is told about a file; what it is not told it finds out, and says."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pybert_crf.reading import quoted
from pybert_crf.text.tagging.schemes import scheme_named

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


FORMATS = ("columns", "json", "csv", "words", "brat", "datasets", "spacy")


@dataclass(frozen=True)
class Habits:
    """How a corpus is written; None where it is to be found out.

    Attributes:
        encoding: as Python names it; None is UTF-8, and another is refused with its name.
        token_column, tag_column: of a column file: a number from 1, or the name of a column of CoNLL-U.
        space_tokens: ``"refuse"`` or ``"keep"``, for a token that is a space.
        sentence_column: of a file with a header: the column whose value changes between sentences.
        format: one of `FORMATS`, or ``"auto"``.
        unit: ``"char"``, ``"word"`` or ``"auto"``: what carries a tag in texts with spans.
        labels: the names of tags that are numbers, separated by commas.
        overlaps: ``"refuse"``, or which of two overlapping entities is kept: ``"longest"`` or ``"first"``.
        scheme: of the tags, if it is not to be found out; ``"none"`` for plain tags.
        map_tags: whether other spellings are read, as ``B_PER``, ``PER-B``, ``b-per``, or ``PER`` beside O.
        annotator: whose annotations are read, where Label Studio has several.
        documents: what a document is: ``"auto"``, what the file marks; ``"file"``, each file; ``"blank"``,
            what blank lines separate in text with a sentence a line; ``"none"``.
        document_column: the field of JSON, or column of a table, that says of which document a sentence is.
    """

    encoding: str | None = None
    token_column: str | None = None
    tag_column: str | None = None
    sentence_column: str | None = None
    space_tokens: str = "refuse"
    format: str = "auto"
    unit: str = "auto"
    labels: str | None = None
    overlaps: str = "refuse"
    annotator: str | None = None
    scheme: str | None = None
    map_tags: bool = False
    documents: str = "auto"
    document_column: str | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a choice that there is not, which would be taken for another."""
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                given = quoted(getattr(self, name))
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {given}")

    @classmethod
    def of(cls, options: object) -> Habits:
        """The habits among the options of a verb, which have the same names.

        Raises:
            ValueError: the scheme is unknown.
        """
        known = {
            field.name: getattr(options, field.name) for field in fields(cls) if hasattr(options, field.name)
        }
        if known.get("scheme") is not None:
            known["scheme"] = scheme_named(known["scheme"])
        return cls(**known)


_CHOICES = {
    "space_tokens": ("refuse", "keep"),
    "format": ("auto", *FORMATS),
    "unit": ("auto", "char", "word"),
    "documents": ("auto", "file", "blank", "none"),
    "overlaps": ("refuse", "longest", "first"),
}
UNKNOWN = Habits()
"""Of a file of which nothing is known."""


def column_index(given: str, option: str, width: int) -> int:
    """The index, from 0, of a column given by number or name.

    Raises:
        ValueError: there is no such column; names the option.
    """
    name = given.lower()
    if width == len(CONLLU) and name in CONLLU:
        return CONLLU.index(name)
    if len(name) < 10 and name.isdecimal() and 1 <= int(name) <= width:
        return int(name) - 1
    known = f"1 to {width}" + (f", or {', '.join(CONLLU)}" if width == len(CONLLU) else "")
    raise ValueError(f"--{option} {given[:40]}: the file has no such column; there are {known}")
