"""The one door for tagged corpora: read a file of any format, check its tags, find their scheme."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pybert_crf.text.corpora.corpus import Corpus, CorpusStream, Sentence
from pybert_crf.text.corpora.documents import check_documents, settled
from pybert_crf.text.corpora.formats.brat import brat_pairs, brat_sentences
from pybert_crf.text.corpora.formats.columns import tagged_sentences
from pybert_crf.text.corpora.formats.csv_files import csv_sentences, delimiter_of
from pybert_crf.text.corpora.formats.docbin import docbin_sentences, is_docbin
from pybert_crf.text.corpora.formats.json_files import json_sentences
from pybert_crf.text.corpora.formats.tables import is_dataset, is_parquet, table_sentences
from pybert_crf.text.corpora.formats.words import looks_like_words, word_sentences
from pybert_crf.text.corpora.habits import UNKNOWN, Habits
from pybert_crf.text.corpora.lines import CorpusError, Source, first_bytes, numbered_lines, source_name
from pybert_crf.text.corpora.tags import Respelled, settle_tags
from pybert_crf.text.tagging.schemes import SchemeError, convert


def read_corpus(path: str | os.PathLike[str], scheme: str | None = None, habits: Habits = UNKNOWN) -> Corpus:
    """Read a file of any format; the modules of `pybert_crf.text.corpora.formats` say what is read.

    Args:
        path: the file, which may be compressed by gzip, xz or zstd; a folder, of brat's files or of a
            dataset; ``datasets:owner/name``, of the hub; or ``-``, standard input.
        scheme: for dev and test that of the training part, or the tagger's, which a small file may not show:
            it is taken if the tags fit it. Otherwise, and if None, the scheme is found out.
        habits: what is known about the file; the rest is found out, and said in `Corpus.notes`.

    Raises:
        CorpusError: not UTF-8, a malformed line, a malformed tag, tags that fit no scheme (or not that of
            `habits`), or no sentence at all; with file and line.
        OSError: the file cannot be read.
    """
    file = _TaggedFile(path, habits)
    sentences = list(file)
    spelling, scheme = settle_tags(sentences, file.path, habits, scheme or file.scheme, file.notes.append)
    return Corpus(file.path, list(Respelled(sentences, spelling)), scheme, tuple(file.notes))


def open_corpus(
    path: str | os.PathLike[str], scheme: str | None = None, habits: Habits = UNKNOWN
) -> CorpusStream:
    """As `read_corpus`, for a file too large to be held: checked whole, and read again when asked for."""
    file = _TaggedFile(path, habits)
    spelling, scheme = settle_tags(file, file.path, habits, scheme or file.scheme, file.notes.append)
    return CorpusStream(file.path, Respelled(file, spelling), scheme, tuple(file.notes))


class _TaggedFile:
    """The sentences of a file, with their tags as they are written, read each time that they are asked for.

    Attributes:
        notes: what was found out about the file.
        scheme: of its tags, if its format says it.
    """

    def __init__(self, path: str | os.PathLike[str], habits: Habits) -> None:
        self.source: Source = _StandardInput() if os.fspath(path) == "-" else path
        self.path = Path(source_name(self.source))
        self.habits = habits
        self.format = find_format(self.source, habits) if habits.format == "auto" else habits.format
        self.scheme = "BMES" if self.format == "words" and habits.unit != "word" else None
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Sentence]:
        notes: list[str] = []
        empty = True
        for sentence in sentences_of_format(self.source, self.format, self.habits, notes.append):
            empty = False
            yield sentence
        if empty:
            raise CorpusError(self.path, None, "no sentence in this file; expected lines 'token … tag'")
        self.notes[:] = self.notes or notes


def converted(corpus: Corpus, scheme: str) -> Corpus:
    """The corpus in another scheme; illegal tags are read as `schemes.continues` does.

    Raises:
        CorpusError: its entities cannot be written in that scheme; by the line.
    """
    if scheme == corpus.scheme:
        return corpus
    sentences = [in_scheme(sentence, corpus.path, corpus.scheme, scheme) for sentence in corpus.sentences]
    note = f"{corpus.path} is written in {corpus.scheme}; it is converted to {scheme}"
    return replace(corpus, sentences=sentences, scheme=scheme, notes=(*corpus.notes, note))


def joined(corpora: Sequence[Corpus]) -> Corpus:
    """Several files as one corpus, in the first one's scheme; their documents stay apart.

    Raises:
        CorpusError: a file cannot be converted to the first one's scheme; by the line.
    """
    first = corpora[0]
    if len(corpora) == 1:
        return first
    sentences: list[Sentence] = []
    notes: list[str] = []
    document = 0
    for each in corpora:
        corpus = converted(each, first.scheme)
        notes += corpus.notes
        sentences += [
            s._replace(file=s.file or str(each.path), document=s.document and s.document + document)
            for s in corpus.sentences
        ]
        document = max((s.document for s in sentences), default=0)
    return replace(first, sentences=sentences, notes=tuple(notes))


def in_scheme(sentence: Sentence, path: Path, source: str, target: str) -> Sentence:
    """A sentence with its tags converted; illegal tags are mended, even if the schemes are the same.

    Raises:
        CorpusError: its entities cannot be written in that scheme; by the line.
    """
    try:
        return sentence._replace(tags=convert(sentence.tags, source, target))
    except SchemeError as error:
        raise sentence.fault(path, error.position, str(error)) from None


def mended(corpus: Corpus) -> Corpus:
    """The corpus with the tags at its `illegal_lines` replaced by what `schemes.continues` reads."""
    scheme = corpus.scheme
    return replace(corpus, sentences=[in_scheme(s, corpus.path, scheme, scheme) for s in corpus.sentences])


class _StandardInput(list[bytes]):
    """All of standard input, which is read more than once."""

    name = "<stdin>"

    def __init__(self) -> None:
        super().__init__(iter(lambda: sys.stdin.buffer.read(1 << 20), b""))


def find_format(source: Source, habits: Habits) -> str:
    """The format of a file, one of `habits.FORMATS`, by how it begins; of a folder, by what is in it.

    Raises:
        CorpusError: it is not text in UTF-8, or not in the encoding of `habits`.
        OSError: it cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        if is_dataset(source):
            return "datasets"
        if Path(source).is_dir() or brat_pairs(Path(source)):
            return "brat"
    start = first_bytes(source)
    if is_parquet(start):
        return "datasets"
    if is_docbin(source, start):
        return "spacy"
    lines = (text.strip() for _, text in numbered_lines(source, encoding=habits.encoding))
    first = list(islice((text for text in lines if text), _SAMPLE))
    if not first:
        return "columns"
    if _looks_like_json(first[0]):
        return "json"
    if delimiter_of(first[0], habits):
        return "csv"
    return "words" if looks_like_words(first) else "columns"


_SAMPLE = 500  # lines by which a format is found out


def sentences_of_format(
    source: Source, format: str, habits: Habits, say: Callable[[str], None]
) -> Iterator[Sentence]:
    """The sentences of a file, with their tags as they are written, of the documents that `habits` ask for.

    Raises:
        CorpusError: what the format's reader refuses, or documents that the format cannot tell.
    """
    check_documents(habits, format, source_name(source))
    for sentence in _marked_sentences(source, format, habits, say):
        yield sentence._replace(document=settled(sentence.document, habits, format))


def _marked_sentences(
    source: Source, format: str, habits: Habits, say: Callable[[str], None]
) -> Iterator[Sentence]:
    """The sentences of a file, of the documents that it marks itself."""
    if format == "brat":
        if not isinstance(source, str | os.PathLike):
            raise CorpusError(source_name(source), None, "brat's texts are read from files alone")
        return brat_sentences(Path(source), habits, say)
    readers = {
        "columns": tagged_sentences,
        "json": json_sentences,
        "csv": csv_sentences,
        "words": word_sentences,
        "datasets": table_sentences,
        "spacy": docbin_sentences,
    }
    return readers[format](source, habits, say)


def _looks_like_json(first: str) -> bool:
    """Whether the first line that is not blank begins an object or an array, unlike a token and its tag."""
    if "\t" in first:  # in JSON only between values, where nobody writes one
        return False
    if first == "[" or first.startswith(("[{", "[[", "[ {", "[ [")):
        return True
    try:
        return isinstance(json.loads(first), dict | list)
    except (ValueError, RecursionError):
        return first.startswith('{"')  # damaged: its reader says where
