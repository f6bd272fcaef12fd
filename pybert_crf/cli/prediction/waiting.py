"""What was read and waits for its answers, which are written in order."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TextIO

from pybert_crf.cli.arriving import Arriving, Stopped
from pybert_crf.options import PredictOptions
from pybert_crf.text.corpora import CorpusError

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator


class Prediction(ABC):
    """Reads one source, and answers before it waits for more of it.

    Args:
        tagger: finds the entities.
        options: of the verb.
        out: the answers are written to it.
    """

    left_out = "the answers hold the errors"
    """What became of the errors that were skipped."""

    def __init__(self, tagger: Annotator, options: PredictOptions, out: TextIO) -> None:
        from pybert_crf.annotation.annotator import LOOK_AHEAD, MOST_CHARACTERS

        self.tagger, self.options, self.out = tagger, options, out
        self.most, self.most_characters = LOOK_AHEAD, MOST_CHARACTERS
        self._texts = self._characters = 0  # since the last answer
        self.skipped = 0

    @abstractmethod
    def begin(self) -> None:
        """Write what precedes all answers."""

    @abstractmethod
    def read(self, source: Arriving) -> None:
        """Read the source, and `count` what waits for an answer."""

    @abstractmethod
    def write(self) -> None:
        """Write the answers to all that waits, in order."""

    @abstractmethod
    def end(self) -> None:
        """Answer all that is left, and write what follows all answers."""

    @abstractmethod
    def skip(self, error: CorpusError) -> None:
        """Let an error wait in the place of what could not be read, if it has a place."""

    def run(self, source: Arriving) -> Stopped | None:
        """Read and answer until the input ends, or a signal does; say what was skipped."""
        self.begin()
        stopped = None
        try:
            self.read(source)
        except BrokenPipeError:  # of the output
            raise
        except Stopped as reason:
            stopped = reason
        except (CorpusError, OSError):
            self.end()
            self.out.flush()
            raise
        self.end()
        self.out.flush()
        if self.skipped and not stopped:
            print(f"skipped in all: {self.skipped:,}; {self.left_out}", file=sys.stderr)
        return stopped

    def count(self, texts: int, characters: int) -> None:
        """So much more waits; answer if it is too much."""
        self._texts, self._characters = self._texts + texts, self._characters + characters
        if self._texts >= self.most or self._characters >= self.most_characters:
            self.answer()

    def fault(self, error: CorpusError) -> None:
        """What `--errors` says is done about what cannot be read."""
        if self.options.errors == "stop":
            told = f"{error.message}; --errors skip goes on after it"
            raise CorpusError(error.path, error.line, told)
        self.skipped += 1
        print(f"skipped: {error}", file=sys.stderr)
        self.skip(error)

    def answer(self) -> None:
        """Write the answers to all that waits, so that they can be read."""
        self.write()
        self.out.flush()
        self._texts = self._characters = 0
