"""The API answers what the tagger answers, and says in JSON what it does not answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from serving import TEXTS, Answer, Client, in_thread, small_tagger

from pybert_crf.taggers.tagger import Tagger


def as_told(entities: list[Any]) -> list[dict[str, Any]]:
    return [{**entity.to_dict(), "score": pytest.approx(entity.score, abs=1e-6)} for entity in entities]


def test_the_entities_of_one_text(client: Client, tagger: Tagger) -> None:
    found = 0
    for text in TEXTS:
        answer = client.post("/v1/entities", text=text)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json == {"text": text, "entities": as_told(tagger(text))}
        found += len(answer.json["entities"])
    assert found > 5


def test_a_batch_is_answered_in_order(client: Client, tagger: Tagger) -> None:
    answer = client.post("/v1/batch", texts=TEXTS)
    expected = [{"text": text, "entities": as_told(tagger(text))} for text in TEXTS]
    assert answer.json == {"answers": expected}
    assert client.post("/v1/batch", texts=[]).json == {"answers": []}


def test_requests_that_come_together_are_answered_as_if_alone(client: Client, tagger: Tagger) -> None:
    texts = [text * (1 + number % 3) for number, text in enumerate(TEXTS * 12)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda text: client.post("/v1/entities", text=text).json, texts))
    assert answers == [{"text": text, "entities": as_told(tagger(text))} for text in texts]


def test_a_least_score_leaves_out_the_others(client: Client, tagger: Tagger) -> None:
    text = max(TEXTS, key=lambda text: len(tagger(text)))
    scores = sorted(entity.score for entity in tagger(text))
    least = (scores[0] + scores[-1]) / 2
    kept = [entity for entity in tagger(text) if entity.score >= least]
    assert 0 < len(kept) < len(scores)
    assert client.post("/v1/entities", text=text, min_score=least).json["entities"] == as_told(kept)


def test_marginals_are_those_of_the_tagger(client: Client, tagger: Tagger) -> None:
    for text in TEXTS:
        expected = tagger.marginals(text)
        answer = client.post("/v1/marginals", text=text).json
        assert answer["text"] == text
        assert answer["labels"] == list(expected.labels)
        assert [tuple(pair) for pair in answer["offsets"]] == expected.offsets
        for row, known in zip(answer["probabilities"], expected.probabilities.tolist(), strict=True):
            assert row == pytest.approx(known, abs=1e-6)


def test_the_best_readings_are_those_of_the_tagger(client: Client, tagger: Tagger) -> None:
    for text in TEXTS:
        answer = client.post("/v1/k-best", text=text, k=4).json
        expected = [
            {
                "tags": reading.tags,
                "entities": as_told(reading.entities),
                "probability": pytest.approx(reading.probability, abs=1e-6),
            }
            for reading in tagger.k_best(text, 4)
        ]
        assert answer["readings"] == expected
        assert len(answer["offsets"]) == len(expected[0]["tags"])


def test_models_are_asked_by_name(client: Client) -> None:
    words = small_tagger("word")
    text = "李四 works in Shanghai"
    answer = client.post("/v1/entities", text=text, model="words")
    assert answer.json["entities"] == as_told(words(text))
    assert (
        client.post("/v1/entities", text=text, model="characters").json["entities"] != answer.json["entities"]
    )
    told = client.get("/v1/models").json
    assert [(each["name"], each["default"], each["unit"]) for each in told["models"]] == [
        ("characters", True, "char"),
        ("words", False, "word"),
    ]
    info = client.get("/v1/models/words").json
    assert info == told["models"][1]
    assert (info["types"], info["labels"]) == (["LOC", "PER"], list(words.labels))
    assert info["label_types"] == ["", "LOC", "PER", "LOC", "PER"]
    assert info["can"] == ["entities", "marginals", "k-best"]
    assert info["about"] == repr(words)


def check_refused(answer: Answer, status: int, *told: str, index: int | None = None) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert (answer.json["status"], answer.json["index"]) == (status, index)
    for words in told:
        assert words in json.dumps(answer.json)


@pytest.mark.parametrize(
    ("path", "body", "status", "told", "index"),
    [
        ("entities", b"{", 400, "the body: JSON", None),
        ("entities", b"[" * 100_000, 400, "", None),
        ("entities", b"\xff\xfe", 400, "", None),
        ("entities", b"", 422, "the body", None),
        ("entities", b"{}", 422, "text: Field required", None),
        ("entities", b'{"text": 3}', 422, "text: Input should be a valid string", None),
        ("entities", b'{"text": null}', 422, "text: ", None),
        ("entities", b'{"text": "\\ud800"}', 422, "half of a surrogate pair at character 0", None),
        ("entities", b'{"text": "a", "minscore": 1}', 422, "minscore: Extra inputs", None),
        ("entities", b'{"text": "a", "min_score": NaN}', 422, "min_score: ", None),
        ("entities", b'{"text": "a", "min_score": 1.5}', 422, "min_score: ", None),
        (
            "entities",
            b'{"text": "a", "model": "none"}',
            404,
            "no model is called 'none', but characters",
            None,
        ),
        ("batch", b'{"texts": "abc"}', 422, "texts: Input should be a valid list", None),
        ("batch", b'{"texts": ["a", 1]}', 422, "texts[1]: Input should be a valid string", 1),
        ("batch", b'{"texts": ["a", "\\udfff"]}', 422, "texts[1]: ", 1),
        ("k-best", b'{"text": "a", "k": "3"}', 422, "k: Input should be a valid integer", None),
        ("k-best", b'{"text": "a", "k": 0}', 422, "k: Input should be greater", None),
        ("k-best", b'{"text": "a", "k": 1e400}', 422, "k: ", None),
        ("k-best", b'{"text": "a", "k": 21}', 422, "--max-k", None),
        ("nothing", b"{}", 404, "Not Found", None),
    ],
)
def test_what_cannot_be_answered_is_told(
    client: Client, path: str, body: bytes, status: int, told: str, index: int | None
) -> None:
    answer = client.ask("POST", f"/v1/{path}", body, {"content-type": "application/json"})
    check_refused(answer, status, told, index=index)


def test_only_json_and_the_right_method_are_taken(client: Client) -> None:
    plain = client.ask("POST", "/v1/entities", b'{"text": "a"}', {"content-type": "text/plain"})
    check_refused(plain, 422)
    answer = client.get("/v1/entities")
    check_refused(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_health_readiness_and_metrics() -> None:
    with in_thread({"one": small_tagger()}) as client:
        assert client.get("/health").json == {"status": "ok"}
        assert client.get("/ready").json == {"status": "ready"}
        client.post("/v1/batch", texts=["北京", "张三在"])
        client.post("/v1/nothing")
        told = client.get("/metrics").body.decode()
        for line in (
            'pybert_crf_requests_total{route="/v1/batch",status="200"} 1.0',
            'pybert_crf_requests_total{route="",status="404"} 1.0',
            'pybert_crf_texts_total{model="one"} 2.0',
            'pybert_crf_characters_total{model="one"} 5.0',
            'pybert_crf_waiting_texts{model="one"} 0.0',
        ):
            assert line in told
        client.stopping.set()
        answer = client.get("/ready")
        assert (answer.status, answer.json) == (503, {"status": "stopping"})
        assert client.get("/health").status == 200
        assert client.post("/v1/entities", text="北京").status == 200


def test_openapi_knows_every_answer(client: Client) -> None:
    told = client.get("/openapi.json").json
    assert set(told["paths"]) == {
        *("/health", "/ready", "/metrics", "/v1/models", "/v1/models/{name}"),
        *("/v1/entities", "/v1/batch", "/v1/marginals", "/v1/k-best"),
    }
    statuses = set(told["paths"]["/v1/entities"]["post"]["responses"])
    assert {"200", "400", "401", "413", "422", "429", "500", "503", "504"} <= statuses


def test_the_page_comes_from_its_own_host_alone(client: Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert page.headers["x-content-type-options"] == "nosniff"
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
        assert f'"{name}"'.encode() in page.body
        answer = client.get(f"/{name}")
        assert answer.headers["content-type"].startswith(kind)
        assert b"://" not in answer.body.replace(b"http://www.w3.org/2000/svg", b"")
        again = client.get(f"/{name}", **{"if-none-match": answer.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
