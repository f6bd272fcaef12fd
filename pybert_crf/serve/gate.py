"""What stands before every request: limits of size, number and time; headers of every answer; counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pybert_crf.serve.metrics import Metrics
from pybert_crf.serve.refusals import Refusal

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""Of every answer; the page loads nothing from another host, and no other page shows it in a frame."""

_FREE = ("/health", "/ready", "/metrics")  # answered however many requests there are

_DISCARDED = 16_000_000
"""Bytes above `max_body` that are read, and dropped: a client that still sends would not see the answer."""


class _Gone(Exception):  # noqa: N818 (no fault)
    """The client has closed the connection."""


class Gate:
    """ASGI middleware that reads a request's body within limits, and drops the work of a client that left.

    Args:
        app: answers the request, whose body it gets in one piece.
        metrics: counts all answers.
        max_body: bytes of a body.
        concurrency: requests that are read and answered at once.
        timeout: seconds that reading a body may take.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, max_body: int, concurrency: int, timeout: float
    ) -> None:
        self.app, self.metrics = app, metrics
        self.max_body, self.concurrency, self.timeout = max_body, concurrency, timeout
        self._now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        self._now += 1
        try:
            await self._answer(scope, receive, answer)
        except Refusal as refusal:
            await answer.refuse(refusal)
        except _Gone:
            answer.status = 499  # as nginx counts them
        finally:
            self._now -= 1
            self.metrics.answered(answer.route(), answer.status, time.perf_counter() - answer.begin)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._now > self.concurrency and scope["path"] not in _FREE:
            told = f"more than {self.concurrency:,} requests at once"
            raise Refusal(429, told, option="--concurrency", retry_after=1)
        try:
            body = await asyncio.wait_for(self._body(scope, receive), self.timeout)
        except asyncio.TimeoutError:
            told = f"the request was not read whole within {self.timeout:g} seconds"
            raise Refusal(408, told, option="--timeout") from None
        left = asyncio.ensure_future(_left(receive))
        given: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            if given:
                return given.pop()
            await left
            return {"type": "http.disconnect"}

        work = asyncio.ensure_future(self.app(scope, replay, send))
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _Gone
            await work
        finally:
            for task in (work, left):
                task.cancel()
            await asyncio.gather(work, left, return_exceptions=True)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        told = Refusal(413, f"the body has more than {self.max_body:,} bytes", option="--max-body")
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self.max_body + _DISCARDED:
            raise told
        pieces, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self.max_body:
                pieces.clear()
            if not message.get("more_body") or size > self.max_body + _DISCARDED:
                break
        if size > self.max_body:
            raise told
        return b"".join(pieces)


async def _left(receive: Receive) -> None:
    """Wait until the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Answer:
    """Sends an answer with the headers of all, and knows its status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope: MutableMapping[str, Any] = scope
        self._send = send
        self.begin = time.perf_counter()
        self.status = 500
        self._begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self._begun = message["status"], True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer a refusal, and close the connection, whose request may not have been read whole."""
        if self._begun:
            return
        body = refusal.body()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
        }
        pairs = {**headers, **refusal.headers()}.items()
        raw = [(name.lower().encode(), value.encode()) for name, value in pairs]
        await self({"type": "http.response.start", "status": int(refusal.status), "headers": raw})
        await self._send({"type": "http.response.body", "body": body})

    def route(self) -> str:
        """The path of the route that answered, of which there are few; empty if none did."""
        return str(getattr(self._scope.get("route"), "path", ""))
