"""The thread that computes takes together what waits together, and tells each job its own answer."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, wait
from typing import Any

import pytest
from serving import TEXTS, small_tagger

from pybert_crf.serve.batching import Batcher, Computed
from pybert_crf.serve.refusals import Refusal
from pybert_crf.taggers.tagger import Tagger


class Held:
    """A batcher whose thread waits in a first job until `free` is set, and what it computed."""

    def __init__(self, tagger: Tagger, **limits: Any) -> None:
        self.done: list[Computed] = []
        self.free = threading.Event()
        given = {"batch_tokens": 100, "queue": 1000, "patience": 100.0, **limits}
        self.batcher = Batcher(tagger, observe=self.done.append, **given)
        begun = threading.Event()
        self.first = self.batcher.call([], lambda _: begun.set() or self.free.wait(60))
        assert begun.wait(60)


def test_what_waits_is_computed_together_and_equal(tagger: Tagger) -> None:
    held = Held(small_tagger())
    texts = TEXTS * 9
    futures = [held.batcher.tag([text]) for text in texts]
    held.free.set()
    assert [[(e.start, e.end, e.label) for e in future.result(60)[0]] for future in futures] == [
        [(e.start, e.end, e.label) for e in tagger(text)] for text in texts
    ]
    held.batcher.close()
    counts = [done.texts for done in held.done[1:]]
    assert sum(counts) == len(texts)
    assert len(counts) < len(texts) / 3
    assert sum(done.characters for done in held.done) == sum(map(len, texts))
    assert max(done.characters for done in held.done) <= 200  # two batches


def test_jobs_are_answered_in_the_order_of_arrival() -> None:
    held = Held(small_tagger())
    order: list[str] = []
    tagged = held.batcher.tag(["北京"])
    tagged.add_done_callback(lambda _: order.append("first"))
    held.batcher.call(["北京"], lambda tagger: order.append("second"))
    held.batcher.tag(["张三"]).add_done_callback(lambda _: order.append("third"))
    held.free.set()
    held.batcher.close()
    assert order == ["first", "second", "third"]


def test_closing_answers_what_waits_and_refuses_what_comes() -> None:
    held = Held(small_tagger())
    futures = [held.batcher.tag([text]) for text in TEXTS]
    closing = threading.Thread(target=held.batcher.close)
    closing.start()
    held.free.set()
    closing.join()
    assert not wait(futures, 0).not_done
    assert not held.batcher.alive
    with pytest.raises(Refusal, match="stopping") as refused:
        held.batcher.tag(["北京"])
    assert refused.value.status == 503


def test_a_cancelled_job_is_left_out() -> None:
    held = Held(small_tagger())
    left, kept = held.batcher.tag(["北京"] * 3), held.batcher.tag(["张三"])
    assert left.cancel()
    held.free.set()
    kept.result(60)
    held.batcher.close()
    assert sum(done.texts for done in held.done) == 1
    with pytest.raises(CancelledError):
        left.result(0)


def test_a_large_request_is_taken_when_nothing_waits() -> None:
    held = Held(small_tagger(), queue=2)
    assert held.batcher.tag(["北京"] * 5)
    with pytest.raises(Refusal, match="5 texts are waiting, and 1 more are above 2") as refused:
        held.batcher.tag(["北京"])
    assert (refused.value.status, refused.value.option) == (429, "--queue")
    held.free.set()
    held.batcher.close()


def test_what_would_wait_too_long_is_refused_at_once() -> None:
    tagger = small_tagger()
    compute, pause = tagger.tag_examples, threading.Event()

    def slow(*arguments: Any, **named: Any) -> Any:
        pause.wait(0.2)
        return compute(*arguments, **named)

    tagger.tag_examples = slow  # type: ignore[method-assign]
    held = Held(tagger, patience=1.0)
    held.free.set()
    held.batcher.tag(["北京"]).result(60)  # too small to tell the speed
    held.batcher.tag(["北京" * 100]).result(60)  # 200 characters in 0.2 seconds and more
    held.free = threading.Event()
    held.batcher.call([], lambda _: held.free.wait(60))
    assert held.batcher.tag(["北京" * 1000])
    with pytest.raises(Refusal, match="more than 1") as refused:
        held.batcher.tag(["北京"])
    assert (refused.value.status, refused.value.option) == (429, "--timeout")
    assert 1 <= (refused.value.retry_after or 0) <= 60
    held.free.set()
    held.batcher.close()
