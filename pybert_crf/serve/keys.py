"""API keys: from a file or the environment, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from pybert_crf.reading import read_text
from pybert_crf.serve.refusals import Refusal

VARIABLE = "PYBERT_CRF_API_KEY"
"""The environment variable with a key, used if no file is named."""

SHORTEST = 16
"""Characters of a key at the least."""


class Keys:
    """The keys that are accepted; without any, every request is.

    Args:
        keys: of at least `SHORTEST` characters.

    Raises:
        ValueError: a key is too short.
    """

    def __init__(self, keys: list[str]) -> None:
        if any(len(key) < SHORTEST for key in keys):
            raise ValueError(f"an API key has fewer than {SHORTEST} characters")
        self._digests = [_digest(key) for key in keys]

    @classmethod
    def read(cls, file: str | None) -> Keys:
        """The keys of a file, one a line (``#`` begins a comment), or else that of the environment.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds no key, or one that is too short; or the variable does.
        """
        if file is None:
            key = os.environ.get(VARIABLE)
            if key is not None and not key.strip():
                raise ValueError(f"{VARIABLE} is set but empty: unset it to serve without a key")
            return cls([] if key is None else [key.strip()])
        lines = [line.strip() for line in read_text(Path(file)).splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise ValueError(f"{file} holds no API key")
        return cls(keys)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def check(self, authorization: str | None) -> None:
        """Raise Refusal, 401, unless the header ``Authorization: Bearer KEY`` has one of the keys."""
        if not self._digests:
            return
        kind, _, key = (authorization or "").partition(" ")
        given = _digest(key.strip())
        matches = [hmac.compare_digest(given, known) for known in self._digests]  # all, whichever it is
        if kind.lower() != "bearer" or not any(matches):
            raise Refusal(401, "an API key is needed: Authorization: Bearer KEY", option="--api-key-file")


def _digest(key: str) -> bytes:
    """Of equal length for all, so that comparing takes the same time."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
