"""``pybert-crf predict``: text in, entities out, line by line."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pybert_crf.cli.answers import Answers
from pybert_crf.cli.arriving import Arriving, Stopped
from pybert_crf.cli.over_machines import predict_over_machines
from pybert_crf.cli.verb import Verb
from pybert_crf.opening import given_rules, prepared_tagger
from pybert_crf.options import PredictOptions
from pybert_crf.text.corpora import CorpusError, Habits
from pybert_crf.text.corpora.corpus import CUT_ALIKE
from pybert_crf.text.corpora.passages import FORMAT_NAMES, mistaken_format
from pybert_crf.text.corpora.texts import Text, read_texts_of_documents

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator
    from pybert_crf.annotation.sentence_reader import Prepared

_MOST_CHARACTERS = 1 << 20
"""Characters that wait to be tagged together at the most, whatever the number of lines."""


def work(options: PredictOptions) -> None:
    """Tag text with a saved tagger: one answer for every input line, in order, as it comes."""
    if options.ray is not None:
        predict_over_machines(options)
        return
    if options.out is not None:
        raise ValueError(f"OUT is for --ray: else the answers go to standard output, as in > {options.out}")
    if options.to == "parquet":
        raise ValueError("--to parquet is for --ray")
    if options.file != "-" and not Path(options.file).exists():
        raise FileNotFoundError(f"{options.file}: no such file")
    prediction = _Prediction(prepared_tagger(options, given_rules(options)), options)
    source = Arriving(sys.stdin.buffer if options.file == "-" else options.file, prediction.answer)
    with source.until_a_signal():
        prediction.run(source)


class _Prediction:
    """What was read and waits for its answers, in order: sentences and, in their place, errors.

    A sentence of a document is ready when enough is read of what follows it there.
    """

    def __init__(self, tagger: Annotator, options: PredictOptions) -> None:
        from pybert_crf.annotation.annotator import LOOK_AHEAD

        self.tagger, self.options = tagger, options
        self.most_lines = LOOK_AHEAD
        self.order: deque[CorpusError | None] = deque()  # None: the next sentence
        self.reader = tagger.reader()
        self.ready: list[Prepared] = []
        self.lines = self.characters = 0  # since the last answer
        self.answers = Answers(options.to, tagger.scheme)
        self.habits = replace(Habits.of(options), unit=tagger.unit)
        self.note_due = self.habits.format == "auto"
        if self.note_due and tagger.cut_alike < CUT_ALIKE:
            told = f"raw text of {1 - tagger.cut_alike:.1%} of the training sentences is not cut into their"
            print(f"note: {told} {tagger.unit}s; tokens can be given by --format columns", file=sys.stderr)
        self.skipped = 0
        self.lone_due = tagger.context > 0

    def run(self, source: Arriving) -> None:
        """Read and answer until the input ends; then report what was skipped or why it stopped."""
        if self.answers.head:
            print(self.answers.head)
        try:
            for text, document in self._items(source):
                self._add(text, document)
        except BrokenPipeError:  # of the output
            raise
        except (CorpusError, Stopped, OSError) as reason:
            self._end()
            if not isinstance(reason, Stopped):
                raise
            print(f"stopped by {reason}: all lines that had been read are answered", file=sys.stderr)
            sys.exit(128 + reason.signal)
        self._end()
        if self.skipped:
            print(f"skipped in all: {self.skipped:,}; the answers hold the errors", file=sys.stderr)

    def _end(self) -> None:
        """No more is read: answer all that is left."""
        self.ready += self.reader.end()
        self.answer()
        if self.answers.tail:
            print(self.answers.tail, flush=True)

    def _items(self, source: Arriving) -> Iterator[tuple[Text, int]]:
        fault = self._skip if self.options.errors == "skip" else _refuse
        whole = self.habits.format in ("brat", "datasets", "spacy") and self.options.file != "-"
        given = self.options.file if whole else source
        return read_texts_of_documents(given, self.habits, most=self.options.max_line, fault=fault)

    def _add(self, text: Text, document: int) -> None:
        self.order.append(None)
        self.ready += self.reader.add(text, document)
        if self.lone_due and text and not document:
            self._note_lone()
        self._count(len(text) if isinstance(text, str) else sum(map(len, text)))

    def _count(self, characters: int) -> None:
        self.lines += 1
        self.characters += characters
        if self.lines >= self.most_lines or self.characters >= _MOST_CHARACTERS:
            self.answer()

    def _skip(self, error: CorpusError) -> None:
        self.skipped += 1
        print(f"skipped: {error}", file=sys.stderr)
        self.order.append(error)
        self._count(0)

    def answer(self) -> None:
        """Write the answers to all that is ready, in order."""
        if self.note_due and self.ready:
            self._note_columns()
        annotations = self.tagger.annotate_prepared(self.ready, self.options.batch_tokens)
        left = len(self.ready)
        while self.order and (left or self.order[0] is not None):
            error = self.order.popleft()
            left -= error is None
            print(self.answers.line(next(annotations) if error is None else error))
        sys.stdout.flush()
        self.ready, self.lines, self.characters = [], 0, 0

    def _note_lone(self) -> None:
        self.lone_due = False
        told = f"the tagger reads up to {self.tagger.context} pieces of a document's neighbouring sentences"
        print(f"note: {told}, but a sentence of no document is read alone: see --documents", file=sys.stderr)

    def _note_columns(self) -> None:
        self.note_due = False
        looks = mistaken_format(each.text for each in self.ready)
        if looks:
            told = f"the input looks like {FORMAT_NAMES[looks]} but is read as text, including its tags"
            print(f"note: {told}: see --format {looks}", file=sys.stderr)


def _refuse(error: CorpusError) -> None:
    raise CorpusError(error.path, error.line, f"{error.message}; --errors skip goes on after it")


VERB = Verb("predict", PredictOptions, work, "echo '王小明在青河市工作。' | pybert-crf predict my-tagger -")
