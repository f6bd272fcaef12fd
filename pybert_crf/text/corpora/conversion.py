"""Corpora written in another format or scheme; what the target cannot hold is counted and named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pybert_crf.files import write_text
from pybert_crf.text.corpora.columns import write_columns
from pybert_crf.text.corpora.corpus import Corpus
from pybert_crf.text.corpora.lines import CorpusError
from pybert_crf.text.corpora.reading import converted, mended
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import type_name
from pybert_crf.text.units import detect_unit, join_units

FORMATS = ("columns", "json")


def format_of(path: str | Path) -> str:
    """The format that a file's name asks for: JSON lines for ``.json`` and ``.jsonl``, otherwise columns."""
    return "json" if Path(path).suffix.lower() in (".json", ".jsonl") else "columns"


def write_corpus(
    corpus: Corpus, path: str | Path, format: str, scheme: str | None = None, unit: str = "auto"
) -> list[str]:
    """Write a corpus whole or not at all; a line for each kind of loss.

    Args:
        format: ``"columns"``, or ``"json"``: ``{"text", "entities": [{"start", "end", "label", "text"}]}`` a
            line, half-open character offsets.
        scheme: of the tags in columns; None keeps the corpus's own.
        unit: ``"char"`` or ``"word"``: what joins tokens to a text, nothing or a space.

    Raises:
        CorpusError: a sentence that columns, or the scheme, cannot hold; by its line.
        ValueError: the scheme is unknown.
    """
    mended = len(corpus.illegal_lines)
    losses = [f"{mended} illegal tags are read as conlleval reads them"] if mended else []
    if format == "columns":
        losses += _lost_text(corpus)
        _write_columns(corpus, path, scheme or corpus.scheme)
        return losses
    if unit == "auto":
        unit = detect_unit(sentence.tokens for sentence in corpus.sentences)
    write_text(path, "".join(_json_lines(corpus, unit)))
    return losses


def _write_columns(corpus: Corpus, path: str | Path, scheme: str) -> None:
    try:
        write_columns(path, converted(mended(corpus), scheme).sentences)
    except CorpusError:
        raise
    except ValueError as error:
        raise CorpusError(corpus.path, None, str(error)) from None


def _lost_text(corpus: Corpus) -> list[str]:
    """The sentences whose white space columns cannot hold."""
    lost = sum(s.text is not None and any(map(str.isspace, s.text)) for s in corpus.sentences)
    return [f"{lost} texts lose their white space"] if lost else []


def _json_lines(corpus: Corpus, unit: str) -> Iterator[str]:
    for sentence in corpus.sentences:
        if sentence.text is not None and sentence.offsets is not None:
            text, offsets = sentence.text, sentence.offsets
        else:
            text, offsets = join_units(sentence.tokens, unit)
        entities = []
        for first, stop, label in spans(sentence.tags, corpus.scheme):
            start, end = offsets[first][0], offsets[stop - 1][1]
            entities.append({"start": start, "end": end, "label": type_name(label), "text": text[start:end]})
        yield json.dumps({"text": text, "entities": entities}, ensure_ascii=False) + "\n"
