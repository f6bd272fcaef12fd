"""A worker: loads the tagger once, then reads, tags and writes one part after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pybert_crf
from pybert_crf.cluster.chunks import Chunk, chunks_of
from pybert_crf.cluster.job import Done, Job, Part, Piece, model_digest
from pybert_crf.cluster.places import BEGUN, Place
from pybert_crf.cluster.shards import Answer, shard
from pybert_crf.text.corpora import CorpusError

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator

_TRIES = 5  # of a part over which workers die

SHARED = "all machines must see the model, the input and the output under the same names"


class Worker:
    """What Ray makes an actor of.

    Args:
        job: what is to be done.
        where: tells where the tagger's files are on this machine.
        opened: loads the tagger.
    """

    def __init__(self, job: Job, where: Callable[[], Path], opened: Callable[[], Annotator]) -> None:
        self._job, self._where, self._opened = job, where, opened
        self._tagger: Annotator | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Do the part of a row, JSON under ``part``; gives JSON under ``done``, or a message under ``fault``.

        A fault of the input, the model or the file system is answered, not raised: Ray would report it with
        the tracebacks of several processes.
        """
        number, pieces = json.loads(row["part"])
        part = Part(number, tuple(Piece(*piece) for piece in pieces))
        try:
            return {"done": json.dumps(asdict(self.do(part))), "fault": ""}
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            told = f"{error}; {SHARED}" if isinstance(error, FileNotFoundError) else str(error)
            return {"done": "", "fault": told or type(error).__name__}

    def do(self, part: Part) -> Done:
        """Read and tag a part, and write its shard.

        Raises:
            CorpusError: a line that cannot be read, unless the job skips it.
            ValueError: this machine has another model, or another version of this package; or workers died
                over this part again and again.
            OSError: a file cannot be read or written.
        """
        tagger = self._loaded()
        out = Place(self._job.out)
        place = out / part.shard(self._job.to)
        rows = entities = errors = 0
        with _attempt(out, part), shard(place, self._job) as writer:
            for piece in part.pieces:
                for chunk in chunks_of(piece, self._job):
                    answers = self._answers(tagger, chunk)
                    writer.write(chunk, answers)
                    rows += len(answers)
                    errors += sum(isinstance(answer, CorpusError) for answer in answers)
                    entities += sum(len(a.entities) for a in answers if not isinstance(a, CorpusError))
        state = place.state()
        if state is None:
            raise FileNotFoundError(f"{place.shown} is gone after it was written")
        return Done(part.number, part.shard(self._job.to), rows, entities, errors, state.size)

    def _loaded(self) -> Annotator:
        if self._tagger is None:
            job = self._job
            if pybert_crf.__version__ != job.version:
                told = f"a worker has pybert-crf {pybert_crf.__version__}, the run {job.version}"
                raise ValueError(f"{told}: all machines must have the same")
            place = self._where()
            if model_digest(place) != job.digest:
                raise ValueError(f"a worker has another model in {place} than the machine that began the run")
            self._tagger = self._opened()
        return self._tagger

    def _answers(self, tagger: Annotator, chunk: Chunk) -> list[Answer]:
        readable = (item for item in chunk.items if not isinstance(item, CorpusError))
        found = tagger.annotate_prepared(tagger.reader().read(readable), self._job.batch_tokens)
        return [item if isinstance(item, CorpusError) else next(found) for item in chunk.items]


@contextmanager
def _attempt(out: Place, part: Part) -> Iterator[None]:
    """Note in `out` that a worker has begun a part, until it ends it, well or with an error.

    What a worker leaves there it died over. Ray begins a part again without end, even one for which no worker
    has the memory.
    """
    marks = (out / f"{BEGUN}{part.number:06d}-{number}" for number in range(_TRIES))
    mark = next((mark for mark in marks if mark.state() is None), None)
    if mark is None:
        told = ", ".join(f"{piece.file} from {piece.start:,} to {piece.end:,}" for piece in part.pieces)
        raise ValueError(f"{_TRIES} workers died over the same part ({told}): too little memory for it?")
    with mark.writing():
        pass
    try:
        yield
    finally:
        mark.delete()
