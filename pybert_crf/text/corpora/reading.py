"""The one door for tagged corpora: read a file of any format, check its tags, find their scheme."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pybert_crf.reading import quoted
from pybert_crf.text.corpora.columns import tagged_sentences
from pybert_crf.text.corpora.corpus import Corpus, Sentence
from pybert_crf.text.corpora.habits import UNKNOWN, Habits
from pybert_crf.text.corpora.json_files import json_sentences
from pybert_crf.text.corpora.lines import CorpusError, numbered_lines
from pybert_crf.text.tagging.schemes import UNTYPED, SchemeError, check_scheme, detect_scheme, split_tag


def read_corpus(path: str | os.PathLike[str], scheme: str | None = None, habits: Habits = UNKNOWN) -> Corpus:
    """Read a file of any format: columns, or JSON (`columns` and `json_files` say what is read).

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
    is_json = habits.format == "json" or (habits.format == "auto" and _looks_like_json(path, habits))
    sentences = list((json_sentences if is_json else tagged_sentences)(path, habits, notes.append))
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
        # A missing successor is noticed only after the last tag: name the line that lacks it.
        line = sentences[error.sentence].line_of(error.position)
        raise CorpusError(path, line, str(error)) from None
    return Corpus(Path(path), sentences, scheme, tuple(notes))


def _looks_like_json(path: str | os.PathLike[str], habits: Habits) -> bool:
    """Whether the first line that is not blank begins an object or an array, unlike a token and its tag."""
    lines = (text.strip() for _, text in numbered_lines(path, encoding=habits.encoding))
    first = next((text for text in lines if text), "")
    if first == "[" or first.startswith(("[{", "[[", "[ {", "[ [")):
        return True
    try:
        return isinstance(json.loads(first), dict | list)
    except (ValueError, RecursionError):
        return first.startswith('{"')  # damaged: its reader says where


def _require_types(sentences: list[Sentence], path: str | os.PathLike[str]) -> None:
    """Either all tags have a type or none has: a bare prefix among typed tags has lost its type."""
    labels = {split_tag(tag)[1] for sentence in sentences for tag in sentence.tags} - {""}
    if UNTYPED not in labels or len(labels) == 1:
        return
    for sentence in sentences:
        for position, tag in enumerate(sentence.tags):
            if split_tag(tag)[1] == UNTYPED:
                told = f"tag {quoted(tag)} has no type, but other tags of the file have one"
                raise CorpusError(path, sentence.line_of(position), told)
