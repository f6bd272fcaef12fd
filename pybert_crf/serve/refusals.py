"""What the server says instead of an answer: status, sentence, which text, which option settles it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any


class Refusal(Exception):  # noqa: N818 (an answer to one request, no fault of the server)
    """A request that is not answered.

    Args:
        status: of HTTP.
        message: what is wrong, in one sentence.
        index: of the text in the request that is at fault, from 0.
        option: of the server, which sets the limit.
        retry_after: seconds after which the same request may be answered.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        index: int | None = None,
        option: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message = HTTPStatus(status), message
        self.index, self.option, self.retry_after = index, option, retry_after

    def body(self) -> bytes:
        """The answer as JSON, of the shape `pybert_crf.serve.schema.ErrorAnswer`."""
        told: dict[str, Any] = {"error": self.message, "status": int(self.status)}
        told |= {"index": self.index, "option": self.option}
        return json.dumps(told, ensure_ascii=False).encode(errors="replace")

    def headers(self) -> dict[str, str]:
        """What the answer needs besides the type of its content."""
        told = {}
        if self.retry_after is not None:
            told["Retry-After"] = str(self.retry_after)
        if self.status == HTTPStatus.UNAUTHORIZED:
            told["WWW-Authenticate"] = "Bearer"
        return told
