"""Text in, entities out, whatever computes the tags: units, windows, batches, order and offsets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pybert_crf.annotation import by_sentence
from pybert_crf.annotation.entities import Annotation, Entity, Tagging
from pybert_crf.annotation.examples import Example, WindowLayout, by_length, make_example
from pybert_crf.annotation.frames import tag_frame
from pybert_crf.annotation.least_certain import LeastCertain
from pybert_crf.annotation.rows import each_document, each_sequence, each_text, kind_of
from pybert_crf.annotation.rules import Rules
from pybert_crf.annotation.sentence_reader import Prepared, SentenceReader
from pybert_crf.reading import read_text
from pybert_crf.text.tagging.schemes import OUTSIDE, PLAIN, convert, type_name
from pybert_crf.text.tokenizer import UnitTokenizer

BATCH_TOKENS = 2048
"""Positions encoded at once in prediction, padding counted."""

LOOK_AHEAD = 512
"""Texts read ahead, so that those of similar length are encoded together."""

MOST_CHARACTERS = 1 << 20
"""Characters read ahead at the most, whatever the number of texts, but for one text that has more."""

WORDS = "words.txt"
"""The file of a saved word segmenter that holds the words it was trained on, one a line."""

_Item = TypeVar("_Item")
FrameT = TypeVar("FrameT")


class Annotator(ABC):
    """Finds entities in text by the tags of `tag_examples`, which a subclass computes.

    Args:
        tokenizer: pieces of units.
        unit: ``"char"`` or ``"word"``, what one tag stands for.
        labels: the tags, in the order of their numbers.
        scheme: their tag scheme.
        max_length: the longest window that the encoder reads, in pieces.
        cut_alike: the share of the training sentences whose raw text is cut into just their units.
        words: of a word segmenter, the words that it was trained on; evaluation tells them from unseen ones.
        context: pieces of neighbouring sentences, on either side at most, that the encoder reads around each
            sentence of a document, as in training; 0 for none.

    Attributes:
        rules: what a reading must keep; None: nothing.
        min_score: entities of a lower probability are left out, and their units tagged ``O``.
        split_sentences: whether the sentences of a text (`pybert_crf.text.sentences`) are tagged one by one,
            as those of a document, as they usually are in training; offsets are those in the text.
    """

    def __init__(
        self,
        tokenizer: UnitTokenizer,
        unit: str,
        labels: Sequence[str],
        scheme: str,
        max_length: int,
        *,
        cut_alike: float = 1.0,
        words: frozenset[str] = frozenset(),
        context: int = 0,
    ) -> None:
        self.tokenizer, self.unit = tokenizer, unit
        self.labels, self.scheme = tuple(labels), scheme
        self.cut_alike, self.words = cut_alike, words
        self.layout = WindowLayout(tokenizer.before, tokenizer.after, tokenizer.pad_id, max_length)
        self._rules: Rules | None = None
        self._min_score = 0.0
        self.split_sentences = False
        self.context = context

    @property
    def context(self) -> int:
        """Pieces of context on either side at most. Setting it raises ValueError if it is negative."""
        return self._context

    @context.setter
    def context(self, width: int) -> None:
        if width < 0:
            raise ValueError(f"context must be 0 (none) or a number of pieces, got {width}")
        self._context = width

    @property
    def rules(self) -> Rules | None:
        """What a reading must keep. Setting it raises ValueError for a type that the tagger does not have."""
        return self._rules

    @rules.setter
    def rules(self, rules: Rules | None) -> None:
        if rules is not None:
            rules.check(self.labels, self.scheme)
        self._rules = rules

    @property
    def min_score(self) -> float:
        """The least probability of an entity. Setting it raises ValueError if it is out of range."""
        return self._min_score

    @min_score.setter
    def min_score(self, score: float) -> None:
        if not 0.0 <= score <= 1.0:
            raise ValueError(f"min_score must be in 0 .. 1, got {score}")
        if score and OUTSIDE not in self.labels:
            raise ValueError("min_score needs a tag O for what is left out, which the tagger does not have")
        self._min_score = score

    @abstractmethod
    def tag_examples(
        self, examples: Sequence[Example], *, scores: bool, probability: bool = False
    ) -> list[Tagging]:
        """The tags and entities of a batch of examples, each of at least one unit.

        `scores` and `probability` say whether the entities' probabilities, and those of all tags together,
        are computed.
        """

    def __call__(self, text: str) -> list[Entity]:
        """The entities of one text, in order of appearance.

        Raises:
            TypeError: `text` is not a str.
        """
        if not isinstance(text, str):
            raise TypeError(
                f"tagger(text) takes one str, got {kind_of(text)}; for several texts call tagger.tag(texts)"
            )
        return next(self.tag([text]))

    def tag(self, texts: Iterable[str], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[Entity]]:
        """The entities of each text, in the order of the texts; see `annotate`."""
        return (annotation.entities for annotation in self.annotate(texts, batch_tokens))

    def annotate(
        self,
        texts: Iterable[str],
        batch_tokens: int = BATCH_TOKENS,
        *,
        look_ahead: int = LOOK_AHEAD,
        probability: bool = False,
    ) -> Iterator[Annotation]:
        """Units, tags and entities of each text, in the order of the texts; and, if asked for, the
        probability of the best reading (`Annotation.log_probability`).

        Reads `look_ahead` texts ahead and encodes those of similar length together, `batch_tokens` positions
        at a time. A text of any length is covered whole: the encoder sees it in overlapping windows, the
        CRF decodes it in one pass.

        Raises:
            TypeError: `texts` is one str or a whole table, or one of the texts is not a str, such as a
                missing value; the message names its row.
            ValueError: `batch_tokens` or `look_ahead` is not positive.
        """
        prepared = self.reader().read(each_text(texts))
        return self.annotate_prepared(prepared, batch_tokens, look_ahead, probability=probability)

    def least_certain(
        self, texts: Iterable[str], n: int, batch_tokens: int = BATCH_TOKENS
    ) -> list[Annotation]:
        """The n texts whose best reading is least probable, the least probable first: what to annotate next.

        Long texts have more readings, and so less probable ones. No more than n texts, and those read ahead,
        are held at a time. Of equally probable ones the first is taken.

        Raises:
            ValueError: `n` is not positive.
            TypeError, ValueError: as `annotate`.
        """
        kept = LeastCertain(n)
        for annotation in self.annotate(texts, batch_tokens, probability=True):
            kept.add(annotation)
        return kept.in_order()

    def tag_frame(
        self, frame: FrameT, column: str, into: str = "entities", batch_tokens: int = BATCH_TOKENS
    ) -> FrameT:
        """A table with a column more, the entities of the texts in `column`; offsets count in these texts.

        Args:
            frame: a DataFrame of pandas or Polars, or a Table of pyarrow; the result is of the same type.
            column: holds the texts; where one is missing, so are its entities.
            into: name of the new column. A value is a list of dictionaries (`Entity.to_dict`), in Polars and
                pyarrow of structs.
            batch_tokens: positions encoded at once.

        Raises:
            TypeError: another table, or a value that is no text; by its row and column.
            ValueError: there is no such column, or the new one is there already.
        """
        tagged: FrameT = tag_frame(self, frame, column, into, batch_tokens)
        return tagged

    def annotate_units(
        self, sequences: Iterable[Sequence[str]], batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[Annotation]:
        """As `annotate`, for sequences already cut into units, such as a column file's tokens."""
        return self.annotate_prepared(self.reader().read(each_sequence(sequences)), batch_tokens)

    def tag_documents(
        self, documents: Iterable[Iterable[str | Sequence[str]]], batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[list[list[Entity]]]:
        """The entities of each sentence of each document; see `annotate_documents`."""
        annotated = self.annotate_documents(documents, batch_tokens)
        return ([annotation.entities for annotation in document] for document in annotated)

    def annotate_documents(
        self, documents: Iterable[Iterable[str | Sequence[str]]], batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[list[Annotation]]:
        """As `annotate`, sentence by sentence; the encoder reads each with its neighbours as `context`.

        Args:
            documents: the sentences of each, in order: texts, or lists of units. An annotation has the
                offsets in its own sentence.
            batch_tokens: positions encoded at once.

        Raises:
            TypeError: a document is a str, or a sentence is neither a str nor a list of units; by its number.
            ValueError: `batch_tokens` is not positive.
        """
        sizes: deque[int] = deque()  # of the documents that are read and not answered yet
        prepared = self.reader().read_documents(each_document(documents, sizes.append))
        group: list[Annotation] = []
        for annotation in self.annotate_prepared(prepared, batch_tokens):
            while not sizes[0]:
                yield []
                sizes.popleft()
            group.append(annotation)
            if len(group) == sizes[0]:
                yield group
                group = []
                sizes.popleft()
        yield from ([] for _ in sizes)

    def annotate_prepared(
        self,
        prepared: Iterable[Prepared],
        batch_tokens: int = BATCH_TOKENS,
        look_ahead: int = LOOK_AHEAD,
        *,
        probability: bool = False,
    ) -> Iterator[Annotation]:
        """As `annotate`, for what a `reader` has read."""
        tag = self._tag_sentences if self.split_sentences else self._tag_chunk
        for chunk in _chunks(prepared, batch_tokens, look_ahead):
            taggings = tag(chunk, batch_tokens, True, probability)
            for (text, offsets, _), tagging in zip(chunk, taggings, strict=True):
                entities = entities_of(text, offsets, tagging)
                yield Annotation(text, offsets, tagging.tags, entities, tagging.log_probability)

    def reader(self) -> SentenceReader:
        """A reader of sentences that are to be tagged, as this annotator is set now."""
        return SentenceReader(self.tokenizer, self.unit, self.layout, self.context, self._allowed)

    def _tag_sentences(
        self, chunk: Sequence[Prepared], batch_tokens: int, scores: bool, probability: bool
    ) -> list[Tagging]:
        """As `_tag_chunk`, each text as a document of its sentences."""
        sizes = [0] * len(chunk)

        def sentences() -> Iterator[Prepared]:
            reader = self.reader()
            for number, (text, offsets, _) in enumerate(chunk):
                for sentence in by_sentence.cut(text, offsets):
                    sizes[number] += 1
                    yield from reader.add_cut(*sentence, number + 1)
            yield from reader.end()

        parts = _chunks(sentences(), batch_tokens, LOOK_AHEAD)  # a huge text has very many sentences
        tagged = [self._tag_chunk(part, batch_tokens, scores, probability) for part in parts]
        taggings = chain.from_iterable(tagged)
        nothing = Tagging([], [], [], 0.0 if probability else None)
        return [by_sentence.joined(list(islice(taggings, n)) or [nothing], self.scheme) for n in sizes]

    def tag_units(
        self,
        sequences: Iterable[Sequence[str]],
        batch_tokens: int = BATCH_TOKENS,
        *,
        look_ahead: int = LOOK_AHEAD,
        scores: bool = True,
        documents: Iterable[int] | None = None,
    ) -> Iterator[Tagging]:
        """Tags and spans of sequences already cut into units, such as a column file's tokens.

        Args:
            sequences: the units (characters or words, as in training) of each sequence.
            batch_tokens: positions encoded at once.
            look_ahead: sequences read ahead.
            documents: the number of each one's document, whose other sentences are its context; 0, or None
                for all of them, if it belongs to none.
            scores: whether to compute the entities' probabilities; without, `Tagging.scores` is empty.

        Raises:
            TypeError: a sequence is no sequence of str; by its row and unit.
            ValueError: `batch_tokens` or `look_ahead` is not positive.
        """
        prepared = self.reader().read(each_sequence(sequences), documents)
        for chunk in _chunks(prepared, batch_tokens, look_ahead):
            yield from self._tag_chunk(chunk, batch_tokens, scores)

    def _tag_chunk(
        self, chunk: Sequence[Prepared], batch_tokens: int, scores: bool, probability: bool = False
    ) -> list[Tagging]:
        answers = [Tagging([], [], [], 0.0 if probability else None)] * len(chunk)
        scores = scores or self.min_score > 0
        filled = [row for row, each in enumerate(chunk) if each.offsets]
        examples = [chunk[row].example for row in filled]
        for rows in by_length([example.positions for example in examples], batch_tokens):
            batch = [examples[row] for row in rows]
            taggings = self.tag_examples(batch, scores=scores, probability=probability)
            for row, tagging in zip(rows, taggings, strict=True):
                answers[filled[row]] = self._likely(tagging) if self.min_score else tagging
        return answers

    def example(self, text: str, offsets: list[tuple[int, int]]) -> Example:
        """The units of a text, which are at these characters, as the encoder reads them, with the rules."""
        example = make_example(self.tokenizer.encode(text[a:b] for a, b in offsets), self.layout)
        return example._replace(allowed=self._allowed(text, offsets))

    def _allowed(self, text: str, offsets: list[tuple[int, int]]) -> NDArray[np.bool_] | None:
        """(units, K), true for the tags that the rules leave to the units of a text; None: all of them."""
        return None if self.rules is None else self.rules.allowed(text, offsets, self.labels, self.scheme)

    def _likely(self, tagging: Tagging) -> Tagging:
        """Without the entities whose probability is below `min_score`."""
        tags = list(tagging.tags)
        kept = []
        for span, score in zip(tagging.spans, tagging.scores, strict=True):
            if score >= self.min_score:
                kept.append((span, score))
            else:
                tags[span.start : span.end] = [OUTSIDE] * (span.end - span.start)
        if self.scheme != PLAIN:  # in IOB1 and IOE1 a tag also says what its neighbour is
            tags = convert(tags, self.scheme, self.scheme)
        spans, scores = [span for span, _ in kept], [score for _, score in kept]
        return Tagging(tags, spans, scores, tagging.log_probability)


def read_words(directory: Path) -> frozenset[str]:
    """The words that a word segmenter in `directory` was trained on; none of another tagger."""
    path = directory / WORDS
    return frozenset(read_text(path).split()) if path.exists() else frozenset()


def _chunks(items: Iterable[_Item], batch_tokens: int, look_ahead: int) -> Iterator[list[_Item]]:
    """Lists of `look_ahead` items, read when they are asked for."""
    if batch_tokens < 1 or look_ahead < 1:
        raise ValueError(f"batch_tokens ({batch_tokens}) and look_ahead ({look_ahead}) must be positive")
    iterator = iter(items)
    while chunk := list(islice(iterator, look_ahead)):
        yield chunk


def entities_of(text: str, offsets: list[tuple[int, int]], tagging: Tagging) -> list[Entity]:
    """The entities of a tagged text, whose units are at these characters."""
    places = ((offsets[start][0], offsets[end - 1][1], label) for start, end, label in tagging.spans)
    return [
        Entity(start, end, type_name(label), text[start:end], score)
        for (start, end, label), score in zip(places, tagging.scores, strict=True)
    ]
