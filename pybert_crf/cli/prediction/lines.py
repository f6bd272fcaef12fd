"""Texts, one after another, and the answers to them in any form."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from pybert_crf.cli.answers import Answers
from pybert_crf.cli.arriving import Arriving
from pybert_crf.cli.prediction.waiting import Prediction
from pybert_crf.options import PredictOptions
from pybert_crf.text.context import neighbourhood
from pybert_crf.text.corpora import CorpusError, Habits
from pybert_crf.text.corpora.corpus import CUT_ALIKE
from pybert_crf.text.corpora.lines import BOM, whole_text
from pybert_crf.text.corpora.passages import FORMAT_NAMES, mistaken_format
from pybert_crf.text.corpora.texts import Text, read_texts_of_documents
from pybert_crf.text.text_tables import Columns, open_table

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator
    from pybert_crf.annotation.sentence_reader import Prepared


class LinePrediction(Prediction):
    """The texts of a file or stream: its lines, its sentences, itself, or a column of it.

    A sentence of a document is ready when enough is read of what follows it there.
    """

    def __init__(self, tagger: Annotator, options: PredictOptions, out: TextIO, file: str) -> None:
        from pybert_crf.annotation.least_certain import LeastCertain

        super().__init__(tagger, options, out)
        self.file = file
        self.order: deque[CorpusError | None] = deque()  # None: the next sentence
        self.reader = tagger.reader()
        self.ready: list[Prepared] = []
        self.answers = Answers(options.to or "jsonl", tagger.scheme)
        self.habits = replace(Habits.of(options), unit=tagger.unit)
        self.least_certain = LeastCertain(options.uncertain) if options.uncertain else None
        if self.least_certain is not None:
            self.left_out = "they are not among the answers"
        self.note_due = self.habits.format == "auto" and options.text_column is None
        if self.note_due and tagger.cut_alike < CUT_ALIKE:
            told = f"raw text of {1 - tagger.cut_alike:.1%} of the training sentences is not cut into their"
            print(f"note: {told} {tagger.unit}s; tokens can be given by --format columns", file=sys.stderr)
        self.lone_due = tagger.context > 0 and not options.split_sentences

    def begin(self) -> None:
        if self.answers.head:
            print(self.answers.head, file=self.out)

    def end(self) -> None:
        self.ready += self.reader.end()
        self.answer()
        if self.least_certain is not None:
            for annotation in self.least_certain.in_order():
                print(self.answers.line(annotation), file=self.out)
        if self.answers.tail:
            print(self.answers.tail, file=self.out)

    def read(self, source: Arriving) -> None:
        for text, document in self._texts_of_documents(source):
            self.order.append(None)
            self.ready += self.reader.add(text, document)
            if self.lone_due and text and not document:
                self._note_lone()
            self.count(1, len(text) if isinstance(text, str) else sum(map(len, text)))

    def _texts_of_documents(self, source: Arriving) -> Iterator[tuple[Text, int]]:
        """The texts, each with the number of its document, 0 for none."""
        most = self.options.max_line
        if self.options.whole_files:
            yield self._whole(source), 0
        elif self.options.text_column is not None:
            columns = Columns(self.options.text_column, self.options.answer_column)
            rest = {"encoding": self.options.encoding, "most": most, "fault": self.fault}
            for rows in open_table(source, columns, self.options.format, **rest).rows():
                yield from ((text or "", 0) for text in rows.texts)
        else:
            whole = self.habits.format in ("brat", "datasets", "spacy") and self.file != "-"
            given = self.file if whole else source
            yield from read_texts_of_documents(given, self.habits, most=most, fault=self.fault)

    def _whole(self, source: Arriving) -> str:
        text = whole_text(source, self.options.encoding).removeprefix(BOM)
        if len(text) > self.options.max_line:
            told = f"more than {self.options.max_line:,} characters; --max-line allows more"
            raise CorpusError(source.name, None, told)
        return text

    def skip(self, error: CorpusError) -> None:
        if self.least_certain is None:
            self.order.append(error)
            self.count(1, 0)

    def write(self) -> None:
        if self.note_due and self.ready:
            self._note_columns()
        annotations = self.tagger.annotate_prepared(
            self.ready, self.options.batch_tokens, probability=self.least_certain is not None
        )
        left, self.ready = len(self.ready), []
        while self.order and (left or self.order[0] is not None):
            error = self.order.popleft()
            left -= error is None
            answer = next(annotations) if error is None else error
            if self.least_certain is None:
                print(self.answers.line(answer), file=self.out)
            elif not isinstance(answer, CorpusError):
                self.least_certain.add(answer)

    def _note_lone(self) -> None:
        self.lone_due = False
        told = f"the tagger reads {neighbourhood(self.tagger.context)}"
        print(f"note: {told}, but a sentence of no document is read alone: see --documents", file=sys.stderr)

    def _note_columns(self) -> None:
        self.note_due = False
        looks = mistaken_format(each.text for each in self.ready)
        if looks:
            told = f"the input looks like {FORMAT_NAMES[looks]} but is read as text, including its tags"
            print(f"note: {told}: see --format {looks}", file=sys.stderr)
