"""What a corpus must be like once it is read: valid, and the same after conversion to any format and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from refusals import assert_good_refusal, scratch

from pybert_crf.debug_data import examine
from pybert_crf.text.corpora import Corpus, CorpusError, Habits, Sentence, converted, open_corpus, read_corpus
from pybert_crf.text.corpora.conversion import write_corpus
from pybert_crf.text.corpora.lines import read_chunks
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.schemes import PLAIN, SCHEMES, convert, type_name
from pybert_crf.text.units import UNITS, join_units

_PLACE = scratch()
_MOST = 400  # tokens of a corpus that is converted: each is written and read nine times
_OF_TOKENS = ("columns", "lists", "csv", *(["parquet"] if find_spec("pyarrow") else []))
_OF_TEXTS = ("json", "brat", "words", *(["spacy"] if find_spec("spacy") else []))
_LOST = ("characters outside words become words", "tokens that are white space")


def check_habits(path: Path, habits: Iterable[Habits], named: Path) -> None:
    """Read a file with each of these habits, convert what is read, and examine the file once.

    Args:
        named: what an error must name.
    """
    seen: list[tuple[str, list[Sentence]]] = []
    for each in habits:
        corpus = answered(partial(read_corpus, path, habits=each), named)
        if corpus is None:
            continue
        check_corpus(corpus, each)
        again = open_corpus(path, habits=each)
        assert (again.scheme, list(again.sentences)) == (corpus.scheme, corpus.sentences)
        if corpus.statistics.tokens <= _MOST and (corpus.scheme, corpus.sentences) not in seen:
            seen.append((corpus.scheme, corpus.sentences))
            check_conversions(corpus)
    answered(lambda: examine([str(path)] * 2, Habits()), named)


def answered(work: Callable[[], Any], named: Path) -> Any:
    """What `work` answers; None if it refuses, as it should, with file and line."""
    try:
        return work()
    except CorpusError as error:
        refusal = error
    assert_good_refusal(refusal, named)
    place = refusal.path if refusal.line is None else f"{refusal.path}:{refusal.line}"
    assert str(refusal).startswith(f"{place}: ")
    assert refusal.line is None or 1 <= refusal.line <= _lines(Path(refusal.path))
    return None


def _lines(path: Path) -> int:
    """The lines of a file, or of all files of a folder: an upper bound."""
    if path.is_dir():
        return sum(map(_lines, path.iterdir()))
    try:
        return b"".join(read_chunks(path)).count(b"\n") + 1
    except CorpusError:  # damaged after the line that was named
        return 1 << 40


def check_corpus(corpus: Corpus, habits: Habits) -> None:
    """Its sentences are whole, in lines of the file, with tags of its scheme."""
    lines = _lines(corpus.path)
    assert all(1 <= line <= lines for line in corpus.illegal_lines)
    assert corpus.statistics.sentences == len(corpus.sentences) > 0
    assert all(len(note) <= 5000 for note in corpus.notes)
    for sentence in corpus.sentences:
        assert len(sentence.tokens) == len(sentence.tags) > 0
        assert 1 <= sentence.line <= (_lines(Path(sentence.file)) if sentence.file else lines)
        if habits.encoding is None:
            _check_lines(corpus.path, sentence)
        assert all(sentence.tokens)
        assert all(sentence.tags)
        assert len(convert(sentence.tags, corpus.scheme, corpus.scheme)) == len(sentence.tags)
        if sentence.text is not None and sentence.offsets is not None:
            assert [sentence.text[start:end] for start, end in sentence.offsets] == sentence.tokens
    assert habits.scheme in (None, corpus.scheme)


def _check_lines(path: Path, sentence: Sentence) -> None:
    """Each token stands in its line, but for what a format writes otherwise."""
    if path.is_dir() or sentence.text is not None:
        return
    lines = b"".join(read_chunks(path)).decode().split("\n")
    for position, token in enumerate(sentence.tokens):
        line = lines[sentence.line_of(position) - 1]
        assert token in line or '"' in line, (position, token, line)


def check_conversions(corpus: Corpus) -> None:
    """Write a corpus in every format and scheme, and find the same entities in what was written."""
    named = corpus.path.with_suffix("") if corpus.sentences[0].file else corpus.path
    for scheme in SCHEMES:
        made = answered(partial(converted, corpus, scheme), named)
        assert made is None or _tokens(made) == _tokens(corpus), (scheme, corpus)
    for target in _OF_TOKENS:
        read_as = {"lists": "json", "parquet": "datasets"}.get(target, target)
        habits = Habits(format=read_as, scheme=corpus.scheme, space_tokens="keep")
        again = _written(corpus, target, "char", habits)
        # A digit behind every character is taken for a segment number: nothing else can be told from it.
        if again is not None and not any("segment number" in note for note in again.notes):
            assert _tokens(again) == _tokens(corpus), (target, _tokens(corpus), _tokens(again))
    for unit in UNITS:
        for target in _OF_TEXTS:
            read_by = "word" if target == "words" and corpus.scheme == PLAIN else unit
            again = _written(corpus, target, unit, Habits(format=target, unit=read_by))
            if again is not None:
                texts, found = _texts(corpus, unit, target), _texts(again, read_by, target)
                assert texts == found, (target, unit, texts, found)


def _written(corpus: Corpus, target: str, unit: str, habits: Habits) -> Corpus | None:
    """What is read from the corpus written in a format; None if that was refused, or said to lose."""
    path = _PLACE / ("written.ann" if target == "brat" else "written")
    named = corpus.path.with_suffix("") if corpus.sentences[0].file else corpus.path
    written = answered(partial(write_corpus, corpus, path, target, unit=unit), named)
    if written is None or any(each in loss for loss in written.losses for each in _LOST):
        return None
    sentences = [s for s in corpus.sentences if target not in ("json", "brat", "spacy") or _is_seen(s)]
    return read_corpus(path, habits=habits) if sentences else None


def _is_seen(sentence: Sentence) -> bool:
    """Whether a sentence is more than white space, of which a text has no units."""
    return any(not token.isspace() for token in sentence.tokens)


Entities = list[tuple[int, int, str]]


def _tokens(corpus: Corpus) -> list[tuple[list[str], Entities]]:
    """The tokens of each sentence and its entities, by tokens."""
    return [
        (s.tokens, [(a, b, type_name(label)) for a, b, label in spans(s.tags, corpus.scheme)])
        for s in corpus.sentences
    ]


def _texts(corpus: Corpus, unit: str, target: str) -> list[tuple[str, Entities]]:
    """The text of each sentence and its entities, by characters; of words, without what is between them."""
    told = []
    for sentence in filter(_is_seen, corpus.sentences):
        text, offsets = join_units(sentence.tokens, unit)
        if target == "words":
            text, offsets = join_units(sentence.tokens, "char")
        elif sentence.text is not None and sentence.offsets is not None:
            text, offsets = sentence.text, sentence.offsets
        entities = [
            (offsets[a][0], offsets[b - 1][1], type_name(label))
            for a, b, label in spans(sentence.tags, corpus.scheme)
        ]
        told.append((text, entities))
    return told
