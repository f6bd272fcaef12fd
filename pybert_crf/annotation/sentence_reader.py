"""Sentences in the order of a stream, as the encoder reads them: units, pieces, context in the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pybert_crf.annotation.examples import Example, WindowLayout, make_example
from pybert_crf.text.context import Neighbours, Placed
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.units import join_units, split_units

Offsets: TypeAlias = list[tuple[int, int]]
"""The half-open characters of each unit of a text."""


class Prepared(NamedTuple):
    """A sentence as the encoder reads it: its text, the characters of each unit, pieces and context."""

    text: str
    offsets: Offsets
    example: Example


class SentenceReader:
    """Cuts and encodes sentences; one of a document comes out when enough of what follows it is known.

    Args:
        tokenizer: pieces of units.
        unit: ``"char"`` or ``"word"``, into which texts are cut.
        layout: of the encoder's windows.
        context: pieces of neighbouring sentences on either side at most.
        allowed: gives the tags that the units of a text may have, (units, K); None for all of them.
    """

    def __init__(
        self,
        tokenizer: UnitTokenizer,
        unit: str,
        layout: WindowLayout,
        context: int,
        allowed: Callable[[str, Offsets], NDArray[np.bool_] | None],
    ) -> None:
        self.tokenizer, self.unit, self.layout = tokenizer, unit, layout
        self._allowed = allowed
        self._neighbours: Neighbours[tuple[str, Offsets]] = Neighbours(min(context, layout.capacity))

    def add(self, sentence: str | Sequence[str], document: int = 0) -> list[Prepared]:
        """Take the next sentence, a text or its units; those that are ready now, in order.

        Args:
            sentence: a text, which is cut into units, or the units themselves.
            document: the number of its document, of which the sentences follow each other; 0 for none.
        """
        if isinstance(sentence, str):
            text, offsets = sentence, split_units(sentence, self.unit)
        else:
            text, offsets = join_units(sentence, self.unit)
        return self.add_cut(text, offsets, document)

    def add_cut(self, text: str, offsets: Offsets, document: int = 0) -> list[Prepared]:
        """As `add`, for a text whose units are at these characters."""
        encoded = self.tokenizer.encode(text[a:b] for a, b in offsets)
        return list(map(self._prepared, self._neighbours.add((text, offsets), encoded, document)))

    def end(self) -> list[Prepared]:
        """The document ends here: those that were not ready, in order."""
        return list(map(self._prepared, self._neighbours.end()))

    def read(
        self, sentences: Iterable[str | Sequence[str]], documents: Iterable[int] | None = None
    ) -> Iterator[Prepared]:
        """All of a stream, which is read as far ahead as the context needs; arguments as of `add`.

        Raises:
            ValueError: the numbers of sentences and documents differ.
        """
        numbers = repeat(0) if documents is None else documents
        for sentence, document in zip(sentences, numbers, strict=documents is not None):
            yield from self.add(sentence, document)
        yield from self.end()

    def read_documents(self, documents: Iterable[Iterable[str | Sequence[str]]]) -> Iterator[Prepared]:
        """The sentences of each document."""
        for number, sentences in enumerate(documents, 1):
            for sentence in sentences:
                yield from self.add(sentence, number)
        yield from self.end()

    def _prepared(self, placed: Placed[tuple[str, Offsets]]) -> Prepared:
        (text, offsets), encoded, context = placed
        example = make_example(encoded, self.layout, context=context)
        return Prepared(text, offsets, example._replace(allowed=self._allowed(text, offsets)))
