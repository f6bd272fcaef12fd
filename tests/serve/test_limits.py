"""Every limit is answered with its status and the option that sets it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serving import Answer, Client, in_thread, small_tagger

from pybert_crf.taggers.tagger import Tagger

KEY = "0123456789abcdef"


def held_tagger() -> tuple[Tagger, threading.Event, threading.Event]:
    """A tagger that computes only once an event is set, and an event that it sets when it begins."""
    tagger, begun, free = small_tagger(), threading.Event(), threading.Event()
    compute = tagger.tag_examples

    def wait(*arguments: Any, **named: Any) -> Any:
        begun.set()
        assert free.wait(60)
        return compute(*arguments, **named)

    tagger.tag_examples = wait  # type: ignore[method-assign]
    return tagger, begun, free


@pytest.fixture(scope="module")
def small() -> Iterator[Client]:
    """A server that takes little."""
    limits = {
        "max_body": 1000,
        "max_text": 20,
        "max_texts": 3,
        "max_numbers": 50,
        "max_k": 4,
        "min_score": 0.1,
    }
    with in_thread({"small": small_tagger()}, **limits) as client:
        yield client


def check(answer: Answer, status: int, option: str, index: int | None = None) -> None:
    assert (answer.status, answer.json["option"], answer.json["index"]) == (status, option, index), (
        answer.body
    )


@pytest.mark.parametrize(
    ("path", "asked", "status", "option", "index"),
    [
        ("entities", {"text": "北" * 21}, 413, "--max-text", 0),
        ("batch", {"texts": ["北", "京", "北" * 21]}, 413, "--max-text", 2),
        ("batch", {"texts": ["北"] * 4}, 413, "--max-texts", None),
        ("marginals", {"text": "北" * 11}, 413, "--max-numbers", 0),
        ("k-best", {"text": "北" * 17, "k": 3}, 413, "--max-numbers", 0),
        ("k-best", {"text": "北", "k": 5}, 422, "--max-k", None),
        ("entities", {"text": "北", "min_score": 0.05}, 422, "--min-score", None),
        ("entities", {"text": "北" * 1000}, 413, "--max-body", None),
        ("entities", {"text": "北" * 100_000}, 413, "--max-body", None),
    ],
)
def test_a_request_above_a_limit(
    small: Client, path: str, asked: dict[str, Any], status: int, option: str, index: int | None
) -> None:
    check(small.post(f"/v1/{path}", **asked), status, option, index)


def test_a_request_at_the_limits_is_answered(small: Client) -> None:
    assert small.post("/v1/batch", texts=["北" * 20] * 3).status == 200
    assert small.post("/v1/marginals", text="北" * 10).status == 200
    assert small.post("/v1/k-best", text="北" * 12, k=4).status == 200
    assert small.post("/v1/entities", text="北", min_score=0.1).status == 200
    limits = small.get("/v1/models").json["limits"]
    assert (limits["max_text"], limits["max_texts"], limits["min_score"]) == (20, 3, 0.1)


def test_a_body_in_pieces_is_limited_too(small: Client) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", small.port, timeout=60)
    pieces = iter([b'{"text": "'] + [b"a" * 300] * 4 + [b'"}'])
    connection.request(
        "POST", "/v1/entities", pieces, {"content-type": "application/json"}, encode_chunked=True
    )
    answer = connection.getresponse()
    told = json.loads(answer.read())
    assert (answer.status, told["option"]) == (413, "--max-body")
    connection.close()


def test_the_servers_least_score_holds_for_all(small: Client) -> None:
    tagger = small_tagger()
    text = "北京张三在李四工作"
    expected = [entity for entity in tagger(text) if entity.score >= 0.1]
    found = small.post("/v1/entities", text=text).json["entities"]
    assert [each["start"] for each in found] == [entity.start for entity in expected]


def test_a_full_queue_is_told_at_once() -> None:
    tagger, begun, free = held_tagger()
    with in_thread({"one": tagger}, queue=3, max_texts=3) as client, ThreadPoolExecutor(4) as pool:
        first = pool.submit(client.post, "/v1/entities", text="北京")
        assert begun.wait(60)
        second = pool.submit(client.post, "/v1/batch", texts=["张三", "李四"])
        while 'waiting_texts{model="one"} 2.0' not in client.get("/metrics").body.decode():
            time.sleep(0.01)
        refused = client.post("/v1/batch", texts=["北", "京"])
        check(refused, 429, "--queue")
        assert int(refused.headers["retry-after"]) >= 1
        free.set()
        assert [first.result().status, second.result().status] == [200, 200]
        assert client.post("/v1/batch", texts=["北", "京"]).status == 200


def test_more_requests_at_once_than_are_taken() -> None:
    tagger, begun, free = held_tagger()
    with in_thread({"one": tagger}, concurrency=1) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/v1/entities", text="北京")
        assert begun.wait(60)
        refused = client.post("/v1/entities", text="北京")
        check(refused, 429, "--concurrency")
        assert refused.headers["retry-after"] == "1"
        assert client.get("/ready").status == 200
        free.set()
        assert first.result().status == 200


def test_what_takes_too_long_is_given_up_and_not_computed() -> None:
    tagger, begun, free = held_tagger()
    with in_thread({"one": tagger}, timeout=0.4) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, "/v1/entities", text="北京")
        assert begun.wait(60)
        check(client.post("/v1/entities", text="张三在"), 504, "--timeout")
        check(first.result(), 504, "--timeout")
        free.set()
        while client.post("/v1/entities", text="李四").status != 200:
            pass
        told = client.get("/metrics").body.decode()
        assert 'pybert_crf_characters_total{model="one"} 4.0' in told  # without those of the second


def test_a_client_that_leaves_is_not_computed_for() -> None:
    tagger, begun, free = held_tagger()
    with in_thread({"one": tagger}) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/v1/entities", text="北京")
        assert begun.wait(60)
        body = json.dumps({"text": "张三在"}).encode()
        kind = "Content-Type: application/json\r\nContent-Length"
        head = f"POST /v1/entities HTTP/1.1\r\nHost: x\r\n{kind}: {len(body)}"
        with socket.create_connection(("127.0.0.1", client.port)) as leaving:
            leaving.sendall(head.encode() + b"\r\n\r\n" + body)
            while 'waiting_texts{model="one"} 1.0' not in client.get("/metrics").body.decode():
                time.sleep(0.01)
        while 'status="499"} 1.0' not in client.get("/metrics").body.decode():
            time.sleep(0.01)
        free.set()
        assert first.result().status == 200
        assert client.post("/v1/entities", text="李四").status == 200
        assert 'characters_total{model="one"} 4.0' in client.get("/metrics").body.decode()


def test_a_request_that_does_not_come_whole_is_told() -> None:
    with (
        in_thread({"one": small_tagger()}, timeout=0.2) as client,
        socket.create_connection(("127.0.0.1", client.port)) as slow,
    ):
        slow.sendall(b"POST /v1/entities HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        answer = http.client.HTTPResponse(slow)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["option"]) == (408, "--timeout")


def test_a_text_that_cannot_be_tagged_fails_alone() -> None:
    tagger = small_tagger()
    compute = tagger.tag_examples

    def fail(examples: Any, **named: Any) -> Any:
        if any(len(example.encoded.first) == 3 for example in examples):
            raise ValueError("row 0 has no legal path")
        return compute(examples, **named)

    tagger.tag_examples = fail  # type: ignore[method-assign]
    with in_thread({"one": tagger}) as client:
        answer = client.post("/v1/batch", texts=["北京", "张三在", "李四"])
        assert (answer.status, answer.json["index"]) == (500, 1)
        assert answer.json["error"] == "texts[1] could not be tagged: row 0 has no legal path"
        assert client.post("/v1/batch", texts=["北京", "李四"]).status == 200
        assert client.get("/ready").status == 200


def test_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of the team\n\n{KEY}\nanother-key-of-20-chars\n")
    with in_thread({"one": small_tagger()}, api_key_file=str(file)) as client:
        for header in ({}, {"authorization": f"Bearer {KEY[:-1]}"}, {"authorization": KEY}):
            refused = client.get("/v1/models", **header)
            check(refused, 401, "--api-key-file")
            assert refused.headers["www-authenticate"] == "Bearer"
        assert client.post("/v1/entities", text="北京").status == 401
        assert client.get("/metrics").status == 401
        assert client.get("/v1/models", authorization=f"Bearer {KEY}").status == 200
        assert client.get("/v1/models", authorization="bearer another-key-of-20-chars").status == 200
        assert [client.get(path).status for path in ("/", "/health", "/ready")] == [200, 200, 200]
    monkeypatch.setenv("PYBERT_CRF_API_KEY", KEY)
    with in_thread({"one": small_tagger()}) as client:
        assert client.get("/v1/models").status == 401
        assert client.get("/v1/models", authorization=f"Bearer {KEY}").status == 200


@pytest.mark.parametrize(
    ("content", "told"), [("# none\n", "holds no API key"), ("short\n", "fewer than 16")]
)
def test_unusable_keys_are_refused(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(ValueError, match=told), in_thread({"one": small_tagger()}, api_key_file=str(file)):
        pass


def test_other_origins_are_refused_unless_they_are_named() -> None:
    asked = {"origin": "https://example.org", "access-control-request-method": "POST"}
    with in_thread({"one": small_tagger()}) as client:
        assert "access-control-allow-origin" not in client.get("/v1/models", **asked).headers
        assert client.ask("OPTIONS", "/v1/entities", None, asked).status == 405
    with in_thread({"one": small_tagger()}, allow_origin="https://example.org") as client:
        headers = client.get("/v1/models", **asked).headers
        assert headers["access-control-allow-origin"] == "https://example.org"
        asked["origin"] = "https://example.com"
        assert "access-control-allow-origin" not in client.get("/v1/models", **asked).headers


def test_a_tagger_without_outside_has_no_least_score() -> None:
    segmenter = small_tagger(labels=["B", "M", "E", "S"], scheme="BMES")
    with in_thread({"words": segmenter}) as client:
        assert client.post("/v1/entities", text="北京", min_score=0.0).status == 200
        answer = client.post("/v1/entities", text="北京", min_score=0.5)
        assert (answer.status, "no tag O" in answer.json["error"]) == (422, True)
    with pytest.raises(ValueError, match="tag O"), in_thread({"words": segmenter}, min_score=0.5):
        pass
