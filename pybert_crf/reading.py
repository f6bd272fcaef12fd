"""Reading JSON and text that others wrote: bounded in size and depth; errors name the file."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

MAX_BYTES = 64 << 20
"""Of a file that is read whole. The largest tokenizer.json of a supported family has 17 MB."""

MAX_DEPTH = 100
"""Of nested lists and objects in JSON."""


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class ConfigError(ValueError):
    """A configuration or tokenizer file that cannot be used, or a configuration that no file can express."""


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; raise ``ConfigError`` if it is longer than `MAX_BYTES`."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ConfigError(f"{path}: too large: {size:,} bytes, at most {MAX_BYTES:,} are read")
    return path.read_bytes()


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 file, line ends unchanged; raise ``ConfigError`` if it is another."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it is not a JSON object in UTF-8, is too large or too deeply nested, or gives a key two
            different values.
    """
    text = read_text(path)
    try:
        value = json.loads(text, object_pairs_hook=_distinct)
        if _SURROGATE.search(text):  # half of a pair is no character, and no file can hold it
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{path}: half of a pair of surrogates (\\ud800 to \\udfff)") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: a JSON object is expected, not {type(value).__name__}")
    if _depth(value) > MAX_DEPTH:
        raise ConfigError(f"{path}: nested more than {MAX_DEPTH} deep")
    return value


def quoted(value: object) -> str:
    """Return a value of a file for a message: its ``repr``, cut to 100 characters."""
    return shortened(_SHORT.repr(value))


def shortened(text: str) -> str:
    """Return what was given for a message, cut to 100 characters."""
    return text if len(text) <= 100 else f"{text[:99]}…"


def listed(names: Sequence[str]) -> str:
    """Return names of a file for a message, joined by commas: the first 20 of them, each cut to 100."""
    more = [f"and {len(names) - 20} more"] if len(names) > 20 else []
    return ", ".join([*map(shortened, names[:20]), *more])


def one_of(value: object, known: Sequence[Hashable]) -> bool:
    """Whether a value of any type is one of the known ones; ``True`` is not 1 here."""
    return any(type(value) is type(item) and value == item for item in known)


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 90, 90


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        for key, value in pairs:
            if values[key] != value:
                raise ValueError(f"two different values for {quoted(key)}")
    return values


def _depth(value: Any) -> int:
    """Return how deeply lists and objects are nested, without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inside = (item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
        level = [item for item in inside if isinstance(item, dict | list)]
    return depth
