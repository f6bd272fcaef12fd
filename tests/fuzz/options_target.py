"""Option files: refused by a ValueError that names file or option, or options that survive writing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from mutation import mutate_text as mutate
from refusals import assert_good_refusal, scratch

from pybert_crf.options import Options, PretrainOptions, TrainOptions, merge_options, read_options

__all__ = ["check", "mutate", "seeds"]

_FILE = scratch() / "options.toml"
_NEEDED: dict[type[Options], dict[str, Any]] = {
    TrainOptions: {"train": "a", "dev": "b", "out": "c"},
    PretrainOptions: {"text": ("a", "b"), "out": "c"},
}


def seeds() -> Iterator[tuple[str, bytes]]:
    """All options of each verb, with their defaults."""
    for kind, needed in _NEEDED.items():
        yield kind.__name__, _toml(kind(**needed).to_dict()).encode()


def check(data: bytes) -> None:
    """Read one option file as each verb does."""
    _FILE.write_bytes(data)
    for kind, needed in _NEEDED.items():
        try:
            given = read_options(_FILE, kind)
        except ValueError as error:
            assert_good_refusal(error, _FILE)
            continue
        try:
            options = merge_options(needed | given, {}, kind)
        except ValueError as error:
            assert_good_refusal(
                error, next((f.name for f in fields(kind) if f.name in str(error)), "an option")
            )
            continue
        values = options.to_dict()
        assert all(math.isfinite(value) for value in values.values() if isinstance(value, float)), values
        _FILE.write_text(_toml(values), encoding="utf-8")
        assert merge_options(read_options(_FILE, kind), {}, kind) == options


def _toml(values: dict[str, Any]) -> str:
    """The options as TOML: strings, numbers, switches and lists of strings look as in JSON."""
    given = {name.replace("_", "-"): value for name, value in values.items() if value is not None}
    escaped = {name: json.dumps(value).replace("\x7f", "\\u007f") for name, value in given.items()}
    return "".join(f"{name} = {value}\n" for name, value in escaped.items())
