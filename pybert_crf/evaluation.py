"""Entity metrics of a tagger on a tagged corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pybert_crf.annotation.annotator import BATCH_TOKENS, Annotator
from pybert_crf.annotation.entities import Tagging
from pybert_crf.reading import listed
from pybert_crf.text.corpora import Corpus, Habits, converted, read_corpus
from pybert_crf.text.corpora.habits import UNKNOWN
from pybert_crf.text.tagging.entity_spans import spans
from pybert_crf.text.tagging.metrics import Report, evaluate
from pybert_crf.text.tagging.schemes import OUTSIDE


def open_corpus(
    tagger: Annotator,
    path: str | Path,
    habits: Habits = UNKNOWN,
    say: Callable[[str], None] = lambda note: None,
) -> Corpus:
    """The corpus `path`, of which `habits` are known, in the scheme of `tagger`.

    Args:
        say: is told in one line what was found out about the file.

    Raises:
        CorpusError: a malformed line, by file and number.
        FileNotFoundError: no such file.
    """
    corpus = read_corpus(path, tagger.scheme, replace(habits, unit=tagger.unit))
    corpus = converted(corpus, tagger.scheme)
    for note in corpus.notes:
        say(note)
    if unknown := unknown_labels(tagger, corpus):
        say(f"{corpus.path}: tags that the tagger does not know, so they cannot be found: {listed(unknown)}")
    if lone := lone_note(tagger, corpus):
        say(lone)
    return corpus


def lone_note(tagger: Annotator, corpus: Corpus) -> str | None:
    """What to know where a tagger that reads sentences in their documents is given a corpus without any."""
    if not tagger.context or corpus.has_documents:
        return None
    told = f"{corpus.path}: no borders of documents, so that each sentence is read without its neighbours"
    return f"{told}, of which the tagger was trained to read {tagger.context} pieces: see --documents"


def evaluate_file(
    tagger: Annotator,
    path: str | Path,
    batch_tokens: int = BATCH_TOKENS,
    habits: Habits = UNKNOWN,
    say: Callable[[str], None] = lambda note: None,
) -> Report:
    """Entity metrics of `tagger` on the corpus `path`; arguments and errors as of `open_corpus`."""
    return evaluate_corpus(tagger, open_corpus(tagger, path, habits, say), batch_tokens)


@dataclass(frozen=True)
class TaggedCorpus:
    """A corpus, in the tagger's scheme, and what the tagger found in each of its sentences."""

    corpus: Corpus
    taggings: list[Tagging]

    def report(self, known: frozenset[str] = frozenset()) -> Report:
        """Entity metrics; with the words that are `known`, also the recall of the others."""
        predicted = [tagging.tags for tagging in self.taggings]
        gold = [sentence.tags for sentence in self.corpus.sentences]
        report = evaluate(gold, predicted, self.corpus.scheme)
        return replace(report, unseen=_unseen(self.corpus, predicted, known)) if known else report


def tag_corpus(
    tagger: Annotator, corpus: Corpus, batch_tokens: int = BATCH_TOKENS, *, scores: bool
) -> TaggedCorpus:
    """Tag `corpus`, whose tags are converted to the tagger's scheme; `scores` as in `Annotator.tag_units`.

    Raises:
        CorpusError: they cannot be converted; by the line.
    """
    corpus = converted(corpus, tagger.scheme)
    tokens = (sentence.tokens for sentence in corpus.sentences)
    documents = (sentence.document for sentence in corpus.sentences)
    taggings = tagger.tag_units(tokens, batch_tokens, scores=scores, documents=documents)
    return TaggedCorpus(corpus, list(taggings))


def evaluate_corpus(tagger: Annotator, corpus: Corpus, batch_tokens: int = BATCH_TOKENS) -> Report:
    """Entity metrics of `tagger` on `corpus`, whose tags are converted to the tagger's scheme.

    Raises:
        CorpusError: they cannot be converted; by the line.
    """
    return tag_corpus(tagger, corpus, batch_tokens, scores=False).report(tagger.words)


def _unseen(corpus: Corpus, predicted: Sequence[Sequence[str]], known: frozenset[str]) -> tuple[int, int]:
    """Number of words that are not known, and how many of them are found."""
    words = found = 0
    for sentence, tags in zip(corpus.sentences, predicted, strict=True):
        given = set(spans(tags, corpus.scheme))
        for span in spans(sentence.tags, corpus.scheme):
            if "".join(sentence.tokens[span.start : span.end]) not in known:
                words += 1
                found += span in given
    return words, found


def unknown_labels(tagger: Annotator, corpus: Corpus) -> list[str]:
    """The tags of a corpus, in the tagger's scheme, that the tagger cannot find."""
    return sorted(set(converted(corpus, tagger.scheme).labels) - set(tagger.labels) - {OUTSIDE})
