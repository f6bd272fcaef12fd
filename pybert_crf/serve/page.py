"""The page at ``/``: files of this package, from no other host."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

_FOLDER = Path(__file__).parent / "static"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def router() -> APIRouter:
    """A route for each file; the page itself is at ``/``."""
    router = APIRouter(include_in_schema=False)
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _KINDS:
            place = "/" if path.name == "index.html" else f"/{path.name}"
            router.add_api_route(place, _sender(path), methods=["GET", "HEAD"])
    return router


def _sender(path: Path) -> Any:
    """A route that sends a file, or says that the browser has it already."""
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}

    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=_KINDS[path.suffix])

    return send
