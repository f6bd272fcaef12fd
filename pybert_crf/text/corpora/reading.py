"""The one way into tagged corpora: read a file, check its tags, find their scheme."""

from __future__ import annotations

import os
from pathlib import Path

from pybert_crf.reading import quoted
from pybert_crf.text.corpora.columns import tagged_sentences
from pybert_crf.text.corpora.corpus import Corpus, Sentence
from pybert_crf.text.corpora.habits import UNKNOWN, Habits
from pybert_crf.text.corpora.lines import CorpusError
from pybert_crf.text.tagging.schemes import UNTYPED, SchemeError, check_scheme, detect_scheme, split_tag


def read_corpus(path: str | os.PathLike[str], scheme: str | None = None, habits: Habits = UNKNOWN) -> Corpus:
    """Read a column file (`columns` says what ends a line, a column and a sentence).

    Args:
        path: the file; it may be compressed by gzip, xz or zstd.
        habits: what is known about the file; the rest is found out, and said in `Corpus.notes`.
        scheme: the scheme that the tags must fit; None detects it. For dev and test give that of the
            training part: a small file can fit several.

    Raises:
        CorpusError: not UTF-8, a malformed line, a malformed tag, tags that fit no scheme (or not the given
            one), or no sentence at all; with file and line.
        OSError: the file cannot be read.
    """
    notes: list[str] = []
    sentences = list(tagged_sentences(path, habits, notes.append))
    if not sentences:
        raise CorpusError(path, None, "no sentence in this file; expected lines 'token … tag'")
    _require_types(sentences, path)
    tags = [sentence.tags for sentence in sentences]
    try:
        if scheme is None:
            scheme = detect_scheme(tags)
        else:
            check_scheme(tags, scheme)
    except SchemeError as error:
        sentence = sentences[error.sentence]
        # A missing successor is noticed only after the last tag: name the line that lacks it.
        line = sentence.line + min(error.position, len(sentence.tags) - 1)
        raise CorpusError(path, line, str(error)) from None
    return Corpus(Path(path), sentences, scheme, tuple(notes))


def _require_types(sentences: list[Sentence], path: str | os.PathLike[str]) -> None:
    """Either all tags have a type or none has: a bare prefix among typed tags has lost its type."""
    labels = {split_tag(tag)[1] for sentence in sentences for tag in sentence.tags} - {""}
    if UNTYPED not in labels or len(labels) == 1:
        return
    for sentence in sentences:
        for line, tag in enumerate(sentence.tags, start=sentence.line):
            if split_tag(tag)[1] == UNTYPED:
                raise CorpusError(
                    path, line, f"tag {quoted(tag)} has no type, but other tags of the file have one"
                )
