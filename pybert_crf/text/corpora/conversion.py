"""Corpora written in another format or scheme; what the target cannot hold is counted and named."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pybert_crf.files import replacing
from pybert_crf.reading import quoted
from pybert_crf.text.corpora.corpus import Corpus, CorpusStream, Sentence, Statistics
from pybert_crf.text.corpora.documents import FIELD
from pybert_crf.text.corpora.formats.columns import ColumnWriter, conllu_lines
from pybert_crf.text.corpora.formats.docbin import write_docbin
from pybert_crf.text.corpora.formats.tables import write_parquet
from pybert_crf.text.corpora.formats.words import readable_words_line
from pybert_crf.text.corpora.lines import BOM
from pybert_crf.text.corpora.reading import in_scheme
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import OUTSIDE, PLAIN, UNTYPED, illegal_positions, split_tag, type_name
from pybert_crf.text.units import detect_unit, join_units

_SUFFIXES = {
    ".json": "json",
    ".jsonl": "json",
    ".csv": "csv",
    ".ann": "brat",
    ".seg": "words",
    ".conllu": "conllu",
    ".parquet": "parquet",
    ".spacy": "spacy",
}
FORMATS = ("columns", "json", "lists", "csv", "words", "conllu", "brat", "parquet", "spacy")
_SAMPLE = 10_000  # sentences by which the unit is found out


class Written(NamedTuple):
    """What was written, and a line for each kind of what was lost."""

    sizes: Statistics
    losses: list[str]


def format_of(path: str | Path) -> str:
    """The format that a file's name asks for, by its suffix; columns for any other."""
    return _SUFFIXES.get(Path(path).suffix.lower(), "columns")


def write_corpus(
    corpus: Corpus | CorpusStream,
    path: str | Path,
    format: str,
    scheme: str | None = None,
    unit: str = "auto",
) -> Written:
    """Write a corpus whole or not at all, sentence after sentence.

    Args:
        format: ``"columns"``; ``"json"``: ``{"text", "entities": [{"start", "end", "label", "text"}]}`` a
            line, half-open character offsets; ``"lists"``: ``{"tokens", "ner_tags"}`` a line; both with
            ``"document"``, a number, if documents are known; ``"csv"``
            with the columns sentence, token and tag; ``"words"``: words between spaces, with ``/TYPE`` if
            they have one; ``"conllu"``: of plain tags, in the column UPOS; ``"brat"``: `path` for the
            entities, and a text beside it; ``"parquet"`` with the columns tokens and ner_tags; ``"spacy"``:
            spaCy's `DocBin`, of entities.
        scheme: of the tags; None keeps the corpus's own.
        unit: ``"char"`` or ``"word"``: what joins tokens to a text, nothing or a space.

    Raises:
        CorpusError: a sentence that the format, or the scheme, cannot hold; by its line.
        ValueError: the scheme is unknown.
    """
    if unit == "auto":
        unit = detect_unit(sentence.tokens for sentence in islice(corpus.sentences, _SAMPLE))
    writer = _Writer(corpus, scheme or corpus.scheme, unit)
    sentences = writer.sentences(format)
    if format == "brat":
        _write_brat(Path(path), sentences, writer)
    elif format == "parquet":
        write_parquet(path, sentences)
    elif format == "spacy":
        write_docbin(path, writer.of_entities(sentences), writer.scheme, unit)
    else:
        lines: dict[str, Callable[[Iterator[Sentence]], Iterator[str]]] = {
            "columns": writer.columns,
            "json": writer.json,
            "lists": writer.lists,
            "csv": writer.csv,
            "words": writer.words,
            "conllu": writer.conllu,
        }
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.writelines(lines[format](sentences))
    return Written(writer.sizes(), [f"{count:,} {what}" for what, count in writer.losses.items()])


class _Writer:
    """Turns sentences into lines, and counts them and what they lose."""

    def __init__(self, corpus: Corpus | CorpusStream, scheme: str, unit: str) -> None:
        self.corpus, self.scheme, self.unit = corpus, scheme, unit
        self.losses: Counter[str] = Counter()
        self._entities: Counter[str] = Counter()
        self._sentences = self._tokens = self._longest = 0

    def sizes(self) -> Statistics:
        """The counts of what was written."""
        entities = dict(sorted(self._entities.items()))
        return Statistics(self._sentences, self._tokens, entities, self._longest)

    def sentences(self, format: str) -> Iterator[Sentence]:
        """The sentences in the target's scheme."""
        source, path = self.corpus.scheme, self.corpus.path
        document = 0
        for sentence in self.corpus.sentences:
            illegal = len(illegal_positions(sentence.tags, source))
            self._lose("illegal tags are read as conlleval reads them", illegal)
            made = in_scheme(sentence, path, source, self.scheme)
            self._count(made)
            if format not in ("json", "brat", "spacy"):
                known = (None, join_units(sentence.tokens, self.unit)[0])
                self._lose("texts lose their white space", sentence.text not in known)
            if format not in ("columns", "conllu", "spacy", "json", "lists"):
                self._lose("borders between documents", document not in (0, sentence.document))
            document = sentence.document
            yield made

    def _count(self, sentence: Sentence) -> None:
        self._sentences += 1
        self._tokens += len(sentence.tokens)
        self._longest = max(self._longest, len(sentence.tokens))
        self._entities.update(type_name(span.label) for span in spans(sentence.tags, self.scheme))

    def _lose(self, what: str, count: int) -> None:
        if count:
            self.losses[what] += count

    def columns(self, sentences: Iterator[Sentence]) -> Iterator[str]:
        """A token and its tag a line."""
        writer = ColumnWriter()
        for sentence in sentences:
            try:
                yield writer.lines(sentence)
            except ValueError as error:  # noqa: PERF203 (the error must name the line)
                raise sentence.fault(self.corpus.path, 0, str(error)) from None

    def text(self, sentence: Sentence) -> tuple[str, list[dict[str, Any]]]:
        """A text and its entities with half-open character offsets."""
        text, offsets = sentence.located(self.unit)
        entities = []
        for first, stop, label in spans(sentence.tags, self.scheme):
            start, end = offsets[first][0], offsets[stop - 1][1]
            for what, value in (("entity", text[start:end]), ("type", label)):
                if value != value.strip():
                    told = f"spans cannot hold the white space at an end of the {what} {quoted(value)}"
                    raise sentence.fault(self.corpus.path, first, told)
            entities.append({"start": start, "end": end, "label": type_name(label), "text": text[start:end]})
        return text, entities

    def json(self, sentences: Iterator[Sentence]) -> Iterator[str]:
        """A text with its entities a line."""
        for sentence in sentences:
            text, entities = self.text(sentence)
            yield _json({"text": text, "entities": entities, **_document_of(sentence)})

    def lists(self, sentences: Iterator[Sentence]) -> Iterator[str]:
        """Lists of tokens and tags a line."""
        for sentence in sentences:
            yield _json({"tokens": sentence.tokens, "ner_tags": sentence.tags, **_document_of(sentence)})

    def csv(self, sentences: Iterator[Sentence]) -> Iterator[str]:
        """A header, and a token a line with the number of its sentence."""
        yield "sentence,token,tag\n"
        for number, sentence in enumerate(sentences, 1):
            lines = io.StringIO()
            writer = csv.writer(lines, lineterminator="\n")
            for position, pair in enumerate(zip(sentence.tokens, sentence.tags, strict=True)):
                for what, value in zip(("token", "tag"), pair, strict=True):
                    if value != value.strip() or "\n" in value or "\r" in value:
                        told = f"CSV cannot hold the white space of the {what} {quoted(value)}"
                        raise sentence.fault(self.corpus.path, position, told)
                writer.writerow((number, *pair))
            yield lines.getvalue()

    def of_entities(self, sentences: Iterator[Sentence]) -> Iterator[Sentence]:
        """The sentences, whose tags may not be plain."""
        for sentence in sentences:
            if self.scheme == PLAIN:
                told = "spaCy's corpora hold entities, not plain tags"
                raise sentence.fault(self.corpus.path, 0, told)
            self._lose("tokens that are white space", sum(map(str.isspace, sentence.tokens)))
            yield sentence

    def words(self, sentences: Iterator[Sentence]) -> Iterator[str]:
        """Words between spaces."""
        types = (split_tag(tag)[1] for s in self.corpus.sentences for tag in s.tags if tag != OUTSIDE)
        typed = self.scheme == PLAIN or next(types, None) != UNTYPED
        for number, sentence in enumerate(sentences):
            if self.unit == "word" and self.scheme != PLAIN:
                told = "word-segmented text holds entities of characters, or plain tags of words"
                raise sentence.fault(self.corpus.path, 0, told)
            try:
                line = readable_words_line(sentence.tokens, sentence.tags, self.scheme, typed)
            except ValueError as error:
                raise sentence.fault(self.corpus.path, 0, str(error)) from None
            if not typed:
                self._lose("characters outside words become words", sentence.tags.count(OUTSIDE))
            yield f"{_marked(line, number)}\n"

    def conllu(self, sentences: Iterator[Sentence]) -> Iterator[str]:
        """Sentences of CoNLL-U, whose documents begin with a comment."""
        document = 0
        for sentence in sentences:
            if self.scheme != PLAIN:
                told = f"CoNLL-U is written of plain tags alone, not of {self.scheme}"
                raise sentence.fault(self.corpus.path, 0, told)
            for position, token in enumerate(sentence.tokens):
                if token != token.strip() or set(token) & set("\t\r\n"):
                    told = f"CoNLL-U cannot hold the white space of the token {quoted(token)}"
                    raise sentence.fault(self.corpus.path, position, told)
            text, offsets = sentence.located(self.unit)
            border = "# newdoc\n" if sentence.document != document else ""
            document = sentence.document
            yield f"{border}{conllu_lines(text, offsets, sentence.tags, PLAIN)}\n"


def _marked(line: str, number: int) -> str:
    """A line of a text; before the first the byte order mark, if it would be taken for one."""
    return f"{BOM}{line}" if number == 0 and line.startswith(BOM) else line


def _document_of(sentence: Sentence) -> dict[str, int]:
    """The field of JSON that tells the document of a sentence; nothing if it is of none."""
    return {FIELD: sentence.document} if sentence.document else {}


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _write_brat(path: Path, sentences: Iterator[Sentence], writer: _Writer) -> None:
    """Write the entities to NAME.ann and the text, a sentence a line, to NAME.txt."""
    with ExitStack() as files:
        # The entities are renamed last: a text alone is nothing, entities alone are a fault.
        whole = [files.enter_context(replacing(path.with_suffix(suffix))) for suffix in (".ann", ".txt")]
        entity_file, text_file = (
            files.enter_context(each.open("w", encoding="utf-8", newline="")) for each in whole
        )
        start = number = 0
        for line, sentence in enumerate(sentences):
            text, entities = writer.text(sentence)
            if "\n" in text or "\r" in text:
                told = "a text with a line end, where brat's would be cut"
                raise sentence.fault(writer.corpus.path, 0, told)
            text_file.write(f"{_marked(text, line)}\n")
            for entity in entities:
                number += 1
                if any(map(str.isspace, entity["label"])):
                    told = f"brat cannot hold the white space in the type {quoted(entity['label'])}"
                    raise sentence.fault(writer.corpus.path, 0, told)
                place = f"{entity['label']} {start + entity['start']} {start + entity['end']}"
                entity_file.write(f"T{number}\t{place}\t{entity['text']}\n")
            start += len(text) + 1
