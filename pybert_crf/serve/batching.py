"""Dynamic batching: one thread computes for all requests, and takes together what waits together."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, NamedTuple, TypeVar

from pybert_crf.annotation.annotator import LOOK_AHEAD, Annotator
from pybert_crf.annotation.entities import Entity
from pybert_crf.serve.refusals import Refusal
from pybert_crf.taggers.heap import return_memory

_LONGEST_RETRY = 60  # seconds
_TIDY = 5.0  # seconds after which memory that is not in use goes back to the system
_MEMORY = 10.0  # busy seconds after which a measured speed counts by 1/e
_LOG = logging.getLogger("pybert_crf.serve")
_Answer = TypeVar("_Answer")


class Computed(NamedTuple):
    """What was computed together, for metrics.

    Attributes:
        texts, characters: of all that was computed.
        seconds: that it took.
    """

    texts: int
    characters: int
    seconds: float


class _Job(Generic[_Answer]):
    """What one request waits for; without `work`, the entities of its texts."""

    def __init__(self, texts: Sequence[str], work: Callable[[Annotator], _Answer] | None = None) -> None:
        self.texts, self.work = texts, work
        self.characters = sum(map(len, texts))
        self.future: Future[_Answer] = Future()


class Batcher:
    """Answers requests to one tagger, in a thread of its own, which alone uses the tagger.

    The thread takes as many of the waiting texts as make some full batches, in the order of arrival, and the
    tagger encodes those of similar length together. Nothing waits for others to come: what arrives while
    the thread computes makes the next batches. A job whose future was cancelled is left out.

    Args:
        tagger: used by the thread alone from now on.
        batch_tokens: encoder positions computed at once.
        queue: texts that may wait at the most.
        patience: seconds that a request may take; one that would wait longer, at the speed of the last
            full batches, is refused at once.
        begin: called in the thread, first.
        observe: called in the thread after each computation.
        waits: called with the number of texts that wait, whenever it changes.
    """

    def __init__(
        self,
        tagger: Annotator,
        *,
        batch_tokens: int,
        queue: int,
        patience: float,
        begin: Callable[[], None] = lambda: None,
        observe: Callable[[Computed], None] = lambda _: None,
        waits: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._tagger, self._batch_tokens = tagger, batch_tokens
        self._queue, self._patience = queue, patience
        self._begin, self._observe, self._waits = begin, observe, waits
        self._jobs: deque[_Job[Any]] = deque()
        self._waiting = [0, 0]  # texts and characters
        self._changed = threading.Condition()
        self._closed = False
        self._speed = _Speed()
        self._thread = threading.Thread(target=self._run, name="pybert-crf batcher", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive() and not self._closed

    def tag(self, texts: Sequence[str]) -> Future[list[list[Entity]]]:
        """The entities of each text, computed together with those of other requests.

        Raises:
            Refusal: 429, the queue is full or too slow; 503, the batcher was closed.
        """
        return self._enter(_Job(texts))

    def call(self, texts: Sequence[str], work: Callable[[Annotator], _Answer]) -> Future[_Answer]:
        """What `work` gives for the tagger, when the turn comes; `texts` say what it costs.

        Raises:
            Refusal: as `tag`.
        """
        return self._enter(_Job(texts, work))

    def close(self) -> None:
        """Answer all that waits, then end; what comes from now on is refused."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _enter(self, job: _Job[_Answer]) -> Future[_Answer]:
        with self._changed:
            if not self.alive:
                raise Refusal(503, "the server is stopping", retry_after=1)
            texts, characters = self._waiting
            seconds = self._speed.seconds(characters)
            again = min(max(math.ceil(seconds), 1), _LONGEST_RETRY)
            if texts and texts + len(job.texts) > self._queue:
                told = f"{texts:,} texts are waiting, and {len(job.texts):,} more are above {self._queue:,}"
                raise Refusal(429, told, option="--queue", retry_after=again)
            if seconds > self._patience:
                told = f"what is waiting takes {seconds:.0f} seconds, more than {self._patience:g}"
                raise Refusal(429, told, option="--timeout", retry_after=again)
            self._jobs.append(job)
            self._count(job, 1)
            self._changed.notify()
        return job.future

    def _count(self, job: _Job[Any], sign: int) -> None:
        self._waiting[0] += sign * len(job.texts)
        self._waiting[1] += sign * job.characters
        self._waits(self._waiting[0])

    def _run(self) -> None:
        self._begin()
        tidied = time.monotonic()
        while jobs := self._take():
            running = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            if not running:
                continue
            begin = time.perf_counter()
            outcomes = self._compute(running)
            texts, characters = sum(len(job.texts) for job in running), sum(job.characters for job in running)
            done = Computed(texts, characters, time.perf_counter() - begin)
            if characters >= self._batch_tokens:  # a small batch is slower than what waits will be
                self._speed.add(done)
            self._observe(done)
            for job, outcome in zip(running, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    job.future.set_exception(outcome)
                else:
                    job.future.set_result(outcome)
            if time.monotonic() - tidied > _TIDY:
                return_memory()
                tidied = time.monotonic()

    def _take(self) -> list[_Job[Any]]:
        """The next jobs, which are computed together: one that has its own work, or several without.

        Waits for the first; empty if there is none and the batcher was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            taken: list[_Job[Any]] = []
            texts = characters = 0
            while self._jobs and (not taken or self._jobs[0].work is None):
                job = self._jobs[0]
                texts, characters = texts + len(job.texts), characters + job.characters
                if taken and (texts > LOOK_AHEAD or characters > 2 * self._batch_tokens):
                    break
                taken.append(self._jobs.popleft())
                self._count(job, -1)
                if job.work is not None:
                    break
            return taken

    def _compute(self, jobs: Sequence[_Job[Any]]) -> list[Any]:
        """The answer to each, or an exception in its place; if they fail together, each is tried alone."""
        try:
            return self._answers(jobs)
        except Exception as error:
            if len(jobs) > 1:
                return [self._compute([job])[0] for job in jobs]
            return [self._fault(jobs[0], error)]

    def _answers(self, jobs: Sequence[_Job[Any]]) -> list[Any]:
        if jobs[0].work is not None:
            return [jobs[0].work(self._tagger)]
        texts = [text for job in jobs for text in job.texts]
        found = iter(list(self._tagger.tag(texts, self._batch_tokens)))
        return [[next(found) for _ in job.texts] for job in jobs]

    def _fault(self, job: _Job[Any], error: Exception) -> Exception:
        """What is told of a job that failed by itself: which of its texts it is."""
        if isinstance(error, Refusal):
            return error
        _LOG.error("a text could not be tagged", exc_info=error)
        index = None if job.work else next((i for i, text in enumerate(job.texts) if self._fails(text)), None)
        which = "the text" if index is None or len(job.texts) == 1 else f"texts[{index}]"
        return Refusal(500, f"{which} could not be tagged: {error}", index=index)

    def _fails(self, text: str) -> bool:
        try:
            self._tagger(text)
        except Exception:
            return True
        return False


class _Speed:
    """Characters computed per second in full batches, of the last busy seconds."""

    def __init__(self) -> None:
        self._characters = self._seconds = 0.0

    def add(self, done: Computed) -> None:
        fade = math.exp(-done.seconds / _MEMORY)
        self._characters = fade * self._characters + done.characters
        self._seconds = fade * self._seconds + done.seconds

    def seconds(self, characters: int) -> float:
        """That these many take; 0 as long as nothing was computed."""
        return characters * self._seconds / self._characters if self._characters else 0.0
