"""``pybert-crf predict``: text in, entities out, line by line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybert_crf.cli.answers import Answers
from pybert_crf.cli.arriving import Arriving, Stopped
from pybert_crf.cli.verb import Verb
from pybert_crf.opening import open_tagger
from pybert_crf.options import PredictOptions
from pybert_crf.text.corpora import CorpusError, Habits
from pybert_crf.text.corpora.corpus import CUT_ALIKE
from pybert_crf.text.corpora.passages import FORMAT_NAMES, mistaken_format
from pybert_crf.text.corpora.texts import read_texts

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator
    from pybert_crf.annotation.rules import Rules

_MOST_CHARACTERS = 1 << 20
"""Characters that wait to be tagged together at the most, whatever the number of lines."""


def work(options: PredictOptions) -> None:
    """Tag text with a saved tagger: one answer for every input line, in order, as it comes."""
    if options.file != "-" and not Path(options.file).exists():
        raise FileNotFoundError(f"{options.file}: no such file")
    tagger = open_tagger(options.model, options)
    tagger.min_score = options.min_score
    tagger.rules = _rules(options)
    prediction = _Prediction(tagger, options)
    source = Arriving(sys.stdin.buffer if options.file == "-" else options.file, prediction.answer)
    with source.until_a_signal():
        prediction.run(source)


def _rules(options: PredictOptions) -> Rules | None:
    from pybert_crf.annotation.rules import Rules

    given = Rules.from_file(options.rules) if options.rules else Rules()
    if options.types:
        given = replace(given, labels=frozenset(options.files("types")))
    return given if options.rules or options.types else None


class _Prediction:
    """What was read and waits for its answers: texts (or lists of units) and, in their place, errors."""

    def __init__(self, tagger: Annotator, options: PredictOptions) -> None:
        from pybert_crf.annotation.annotator import LOOK_AHEAD

        self.tagger, self.options = tagger, options
        self.most_lines = LOOK_AHEAD
        self.waiting: list[str | Sequence[str] | CorpusError] = []
        self.characters = 0
        self.answers = Answers(options.to, tagger.scheme)
        self.habits = replace(Habits.of(options), unit=tagger.unit)
        self.note_due = self.habits.format == "auto"
        if self.note_due and tagger.cut_alike < CUT_ALIKE:
            told = f"raw text of {1 - tagger.cut_alike:.1%} of the training sentences is not cut into their"
            print(f"note: {told} {tagger.unit}s; tokens can be given by --format columns", file=sys.stderr)
        self.skipped = 0

    def run(self, source: Arriving) -> None:
        """Read and answer until the input ends; then report what was skipped or why it stopped."""
        if self.answers.head:
            print(self.answers.head)
        try:
            for item in self._items(source):
                self._add(item, len(item) if isinstance(item, str) else sum(map(len, item)))
        except BrokenPipeError:  # of the output
            raise
        except (CorpusError, Stopped, OSError) as reason:
            self.answer()
            self._close()
            if not isinstance(reason, Stopped):
                raise
            print(f"stopped by {reason}: all lines that had been read are answered", file=sys.stderr)
            sys.exit(128 + reason.signal)
        self.answer()
        self._close()
        if self.skipped:
            print(f"skipped in all: {self.skipped:,}; the answers hold the errors", file=sys.stderr)

    def _close(self) -> None:
        if self.answers.tail:
            print(self.answers.tail, flush=True)

    def _items(self, source: Arriving) -> Iterator[str | Sequence[str]]:
        fault = self._skip if self.options.errors == "skip" else _refuse
        whole = self.habits.format in ("brat", "datasets", "spacy") and self.options.file != "-"
        given = self.options.file if whole else source
        return read_texts(given, self.habits, most=self.options.max_line, fault=fault)

    def _add(self, item: str | Sequence[str] | CorpusError, characters: int) -> None:
        self.waiting.append(item)
        self.characters += characters
        if len(self.waiting) >= self.most_lines or self.characters >= _MOST_CHARACTERS:
            self.answer()

    def _skip(self, error: CorpusError) -> None:
        self.skipped += 1
        print(f"skipped: {error}", file=sys.stderr)
        self._add(error, 0)

    def answer(self) -> None:
        """Write the answers to all that waits, in order."""
        if self.note_due and self.waiting:
            self._note_columns()
        readable: list[Any] = [item for item in self.waiting if not isinstance(item, CorpusError)]
        annotations = self.tagger.annotate_any(readable, self.options.batch_tokens)
        for item in self.waiting:
            print(self.answers.line(item if isinstance(item, CorpusError) else next(annotations)))
        sys.stdout.flush()
        self.waiting, self.characters = [], 0

    def _note_columns(self) -> None:
        self.note_due = False
        looks = mistaken_format(item for item in self.waiting if isinstance(item, str))
        if looks:
            told = f"the input looks like {FORMAT_NAMES[looks]} but is read as text, including its tags"
            print(f"note: {told}: see --format {looks}", file=sys.stderr)


def _refuse(error: CorpusError) -> None:
    raise CorpusError(error.path, error.line, f"{error.message}; --errors skip goes on after it")


VERB = Verb("predict", PredictOptions, work, "echo '王小明在青河市工作。' | pybert-crf predict my-tagger -")
