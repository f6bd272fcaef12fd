"""The application: routes of the API, of health and of the page."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

import pybert_crf
from pybert_crf.annotation.annotator import Annotator
from pybert_crf.annotation.entities import Entity
from pybert_crf.options.serve import ServeOptions
from pybert_crf.serve import page
from pybert_crf.serve.batching import Batcher
from pybert_crf.serve.gate import Gate
from pybert_crf.serve.keys import Keys
from pybert_crf.serve.metrics import CONTENT_TYPE, Metrics
from pybert_crf.serve.models import Models, Served, describe
from pybert_crf.serve.refusals import Refusal
from pybert_crf.serve.schema import (
    BatchAnswer,
    BatchRequest,
    EntitiesAnswer,
    EntitiesRequest,
    EntityAnswer,
    ErrorAnswer,
    KBestAnswer,
    KBestRequest,
    Limits,
    MarginalsAnswer,
    ModelInfo,
    ModelsAnswer,
    StateAnswer,
    TextRequest,
)
from pybert_crf.taggers.opening import limit_threads
from pybert_crf.text.units import split_units

_Answer = TypeVar("_Answer")
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is no JSON."},
    401: {"description": "No valid API key."},
    404: {"description": "No model of this name."},
    408: {"description": "The request was not read in time."},
    413: {"description": "More than the server takes: body, text, number of texts, size of the answer."},
    422: {"description": "A value of the wrong type or out of range."},
    429: {"description": "Too much is waiting; Retry-After says when to come again."},
    500: {"description": "A text could not be tagged."},
    501: {"description": "The model cannot do this."},
    503: {"description": "The server is stopping."},
    504: {"description": "Not answered in time."},
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorAnswer, **_ERRORS[status]} for status in statuses}


_OF_COMPUTING = _errors(400, 401, 404, 408, 413, 422, 429, 500, 501, 503, 504)


def create_app(
    taggers: Mapping[str, Annotator],
    options: ServeOptions,
    *,
    stopping: threading.Event | None = None,
    started: Callable[[], None] = lambda: None,
) -> Gate:
    """The ASGI application that serves taggers.

    Args:
        taggers: by name, the default first; used by the application's own threads alone, which run from its
            startup to its shutdown.
        options: limits, keys, origins.
        stopping: set once the process is to stop: readiness says so, and requests are still answered.
        started: called at startup, in the thread of the event loop.

    Raises:
        ValueError: a tagger cannot leave out entities below `options.min_score`; the API keys are unusable.
        FileNotFoundError: there is no file of API keys.
    """
    metrics = Metrics()
    for tagger in taggers.values():
        tagger.min_score = options.min_score
    api = _Api(options, metrics, stopping or threading.Event())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        api.start(taggers)
        started()
        yield
        await asyncio.to_thread(api.stop)

    app = FastAPI(
        title="pybert-crf",
        version=pybert_crf.__version__,
        description=__doc__,
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from another host
        redoc_url=None,
    )
    app.include_router(api.router())
    app.include_router(page.router())
    _describe_limits(app, options)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    if options.files("allow_origin"):
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.files("allow_origin"),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return Gate(
        app,
        metrics=metrics,
        max_body=options.max_body,
        concurrency=options.concurrency,
        timeout=options.timeout,
    )


def _describe_limits(app: FastAPI, options: ServeOptions) -> None:
    """Enter the limits of numbers, which the options set, into OpenAPI's description."""
    kinds = app.openapi()["components"]["schemas"]
    kinds["KBestRequest"]["properties"]["k"]["maximum"] = options.max_k
    for kind in ("EntitiesRequest", "BatchRequest"):
        (number,) = (each for each in kinds[kind]["properties"]["min_score"]["anyOf"] if "minimum" in each)
        number["minimum"] = options.min_score


class _Api:
    """What the routes of the API do."""

    def __init__(self, options: ServeOptions, metrics: Metrics, stopping: threading.Event) -> None:
        self.options, self.metrics, self.stopping = options, metrics, stopping
        self.keys = Keys.read(options.api_key_file)
        self.models = Models([])

    def start(self, taggers: Mapping[str, Annotator]) -> None:
        first = next(iter(taggers))
        served = [self._serve(name, tagger, default=name == first) for name, tagger in taggers.items()]
        self.models = Models(served)

    def stop(self) -> None:
        for served in self.models:
            served.batcher.close()

    def _serve(self, name: str, tagger: Annotator, *, default: bool) -> Served:
        batcher = Batcher(
            tagger,
            batch_tokens=self.options.batch_tokens,
            queue=self.options.queue,
            patience=self.options.timeout,
            begin=lambda: limit_threads(self.options.threads or 0),
            observe=lambda done: self.metrics.computed(name, done),
            waits=self.metrics.waiting.labels(name).set,
        )
        return Served(describe(name, tagger, default=default), batcher)

    def router(self) -> APIRouter:
        """All routes but those of the page."""
        router = APIRouter()
        free: dict[str, Any] = {"response_model": StateAnswer, "tags": ["state"]}
        router.add_api_route("/health", self.health, **free, responses=_errors(503))
        router.add_api_route("/ready", self.ready, **free, responses={503: {"model": StateAnswer}})
        bearer = HTTPBearer(auto_error=False, description="A key of --api-key-file.")
        needed = [Depends(self._check_key), Depends(bearer)] if self.keys else []
        guarded = APIRouter(dependencies=needed)
        guarded.add_api_route(
            "/metrics", self.metrics_text, response_class=Response, tags=["state"], responses=_errors(401)
        )
        asked: dict[str, Any] = {"tags": ["models"]}
        guarded.add_api_route("/v1/models", self.all_models, **asked, responses=_errors(401))
        guarded.add_api_route("/v1/models/{name}", self.one_model, **asked, responses=_errors(401, 404))
        for path, answer, kind in (
            ("entities", self.entities, EntitiesAnswer),
            ("batch", self.batch, BatchAnswer),
            ("marginals", self.marginals, MarginalsAnswer),
            ("k-best", self.k_best, KBestAnswer),
        ):
            guarded.add_api_route(
                f"/v1/{path}",
                answer,
                methods=["POST"],
                response_model=kind,
                responses=_OF_COMPUTING,
                tags=["tagging"],
            )
        router.include_router(guarded)
        return router

    async def _check_key(self, request: Request) -> None:
        self.keys.check(request.headers.get("authorization"))

    async def health(self) -> StateAnswer:
        """Whether the process lives: all threads that compute do."""
        if not all(served.batcher.alive for served in self.models) and not self.stopping.is_set():
            raise Refusal(503, "a thread that computes has ended")
        return StateAnswer(status="ok")

    async def ready(self, response: Response) -> StateAnswer:
        """Whether to send requests here: not once the server was told to stop."""
        if self.stopping.is_set():
            response.status_code = 503
            return StateAnswer(status="stopping")
        if not all(served.batcher.alive for served in self.models):
            response.status_code = 503
            return StateAnswer(status="broken")
        return StateAnswer(status="ready")

    async def metrics_text(self) -> Response:
        """Figures for Prometheus."""
        return Response(await asyncio.to_thread(self.metrics.text), media_type=CONTENT_TYPE)

    async def all_models(self) -> ModelsAnswer:
        """The taggers that are served, and the limits of requests."""
        limits = Limits(**{name: getattr(self.options, name) for name in Limits.model_fields})
        infos = [served.info for served in self.models]
        return ModelsAnswer(models=infos, limits=limits, version=pybert_crf.__version__)

    async def one_model(self, name: Annotated[str, Path(description="Of the tagger.")]) -> ModelInfo:
        """One tagger."""
        return self.models.find(name).info

    async def entities(self, asked: EntitiesRequest) -> EntitiesAnswer:
        """The entities of one text, in order of appearance."""
        (answer,) = await self._tag([asked.text], asked.model, asked.min_score, "text")
        return answer

    async def batch(self, asked: BatchRequest) -> BatchAnswer:
        """The entities of several texts, in their order."""
        if len(asked.texts) > self.options.max_texts:
            told = f"{len(asked.texts):,} texts, at most {self.options.max_texts:,} are taken"
            raise Refusal(413, told, option="--max-texts")
        return BatchAnswer(answers=await self._tag(asked.texts, asked.model, asked.min_score, "texts"))

    async def marginals(self, asked: TextRequest) -> Response:
        """The probability of every tag at every unit of a text."""
        served = self._find(asked, "marginals")
        self._check_numbers(served, asked.text, len(served.info.labels))

        def work(tagger: Any) -> bytes:
            found = tagger.marginals(asked.text)
            told = {"text": found.text, "offsets": found.offsets, "labels": found.labels}
            return _json({**told, "probabilities": found.probabilities.tolist()})

        return _answer(await self._wait(served.batcher.call([asked.text], work)))

    async def k_best(self, asked: KBestRequest) -> Response:
        """The most probable readings of a text, the most probable first; fewer if there are not as many."""
        if asked.k > self.options.max_k:
            raise Refusal(422, f"k is {asked.k:,}, at most {self.options.max_k:,} is taken", option="--max-k")
        served = self._find(asked, "k-best")
        self._check_numbers(served, asked.text, asked.k)

        def work(tagger: Any) -> bytes:
            readings = [
                {
                    "tags": reading.tags,
                    "entities": [entity.to_dict() for entity in reading.entities],
                    "probability": reading.probability,
                }
                for reading in tagger.k_best(asked.text, asked.k)
            ]
            offsets = split_units(asked.text, served.info.unit)
            return _json({"text": asked.text, "offsets": offsets, "readings": readings})

        return _answer(await self._wait(served.batcher.call([asked.text], work)))

    async def _tag(
        self, texts: Sequence[str], model: str | None, least: float | None, name: str
    ) -> list[EntitiesAnswer]:
        served = self.models.find(model)
        if least is not None:
            served.check_least(least)
            if least < self.options.min_score:
                told = f"min_score is {least:g}, below that of the server, {self.options.min_score:g}"
                raise Refusal(422, told, option="--min-score")
        for index, text in enumerate(texts):
            self._check_length(text, index, f"texts[{index}]" if name == "texts" else name)
        found = await self._wait(served.batcher.tag(texts))
        pairs = zip(texts, found, strict=True)
        return [EntitiesAnswer(text=text, entities=_told(entities, least or 0.0)) for text, entities in pairs]

    def _find(self, asked: TextRequest, ability: Any) -> Served:
        served = self.models.find(asked.model)
        served.check(ability)
        self._check_length(asked.text, 0, "text")
        return served

    def _check_length(self, text: str, index: int, name: str) -> None:
        if len(text) > self.options.max_text:
            told = f"{name} has {len(text):,} characters, at most {self.options.max_text:,} are taken"
            raise Refusal(413, told, index=index, option="--max-text")

    def _check_numbers(self, served: Served, text: str, each: int) -> None:
        numbers = each * len(split_units(text, served.info.unit))
        if numbers > self.options.max_numbers:
            told = (
                f"the answer would hold {numbers:,} numbers, at most {self.options.max_numbers:,} are given"
            )
            raise Refusal(413, told, index=0, option="--max-numbers")

    async def _wait(self, future: Future[_Answer]) -> _Answer:
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.options.timeout)
        except asyncio.TimeoutError:
            told = f"not answered within {self.options.timeout:g} seconds"
            raise Refusal(504, told, option="--timeout") from None


def _told(entities: Sequence[Entity], least: float) -> list[EntityAnswer]:
    return [EntityAnswer(**entity.to_dict()) for entity in entities if entity.score >= least]


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _answer(body: bytes) -> Response:
    return Response(body, media_type="application/json")


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    headers = refusal.headers()
    return Response(refusal.body(), refusal.status, headers, media_type="application/json")


async def _invalid(request: Request, error: Exception) -> Response:
    """What pydantic found wrong first: the field, and of several texts which one."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = [part for part in first["loc"] if part != "body"]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    index = next((part for part in where if isinstance(part, int)), None) if "texts" in where else None
    status = 400 if first["type"] == "json_invalid" else 422
    if status == 400:
        name = ""  # where in the body, as a number
    return await _refused(request, Refusal(status, f"{name or 'the body'}: {first['msg']}", index=index))


async def _http(request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    assert isinstance(error, HTTPException)
    response = await _refused(request, Refusal(error.status_code, str(error.detail)))
    response.headers.update(error.headers or {})
    return response
