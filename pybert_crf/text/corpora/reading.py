"""The one door for tagged corpora: read a file of any format, check its tags, find their scheme."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from pybert_crf.text.corpora.columns import tagged_sentences
from pybert_crf.text.corpora.corpus import Corpus
from pybert_crf.text.corpora.habits import UNKNOWN, Habits
from pybert_crf.text.corpora.json_files import json_sentences
from pybert_crf.text.corpora.lines import CorpusError, numbered_lines
from pybert_crf.text.corpora.tags import settle_tags
from pybert_crf.text.tagging.schemes import SchemeError, convert


def read_corpus(path: str | os.PathLike[str], scheme: str | None = None, habits: Habits = UNKNOWN) -> Corpus:
    """Read a file of any format: columns, or JSON (`columns` and `json_files` say what is read).

    Args:
        path: the file; it may be compressed by gzip, xz or zstd.
        scheme: for dev and test that of the training part, or the tagger's, which a small file may not show:
            it is taken if the tags fit it. Otherwise, and if None, the scheme is found out.
        habits: what is known about the file; the rest is found out, and said in `Corpus.notes`.

    Raises:
        CorpusError: not UTF-8, a malformed line, a malformed tag, tags that fit no scheme (or not that of
            `habits`), or no sentence at all; with file and line.
        OSError: the file cannot be read.
    """
    notes: list[str] = []
    is_json = habits.format == "json" or (habits.format == "auto" and _looks_like_json(path, habits))
    sentences = list((json_sentences if is_json else tagged_sentences)(path, habits, notes.append))
    if not sentences:
        raise CorpusError(path, None, "no sentence in this file; expected lines 'token … tag'")
    sentences, found = settle_tags(sentences, path, habits, scheme, notes.append)
    return Corpus(Path(path), sentences, found, tuple(notes))


def converted(corpus: Corpus, scheme: str) -> Corpus:
    """The corpus in another scheme; illegal tags are read as `schemes.continues` does.

    Raises:
        CorpusError: its entities cannot be written in that scheme; by the line.
    """
    if scheme == corpus.scheme:
        return corpus
    sentences = []
    for sentence in corpus.sentences:
        try:
            tags = convert(sentence.tags, corpus.scheme, scheme)
        except SchemeError as error:
            raise CorpusError(corpus.path, sentence.line_of(error.position), str(error)) from None
        sentences.append(sentence._replace(tags=tags))
    note = f"{corpus.path} is written in {corpus.scheme}; it is converted to {scheme}"
    return replace(corpus, sentences=sentences, scheme=scheme, notes=(*corpus.notes, note))


def mended(corpus: Corpus) -> Corpus:
    """The corpus with the tags at its `illegal_lines` replaced by what `schemes.continues` reads."""
    scheme = corpus.scheme
    sentences = [s._replace(tags=convert(s.tags, scheme, scheme)) for s in corpus.sentences]
    return replace(corpus, sentences=sentences)


def _looks_like_json(path: str | os.PathLike[str], habits: Habits) -> bool:
    """Whether the first line that is not blank begins an object or an array, unlike a token and its tag."""
    lines = (text.strip() for _, text in numbered_lines(path, encoding=habits.encoding))
    first = next((text for text in lines if text), "")
    if "\t" in first:  # in JSON only between values, where nobody writes one
        return False
    if first == "[" or first.startswith(("[{", "[[", "[ {", "[ [")):
        return True
    try:
        return isinstance(json.loads(first), dict | list)
    except (ValueError, RecursionError):
        return first.startswith('{"')  # damaged: its reader says where
