"""Options from a TOML file, and flags over them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from pybert_crf.options.base import Options
from pybert_crf.options.elsewhere import explain_unknown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Kind = TypeVar("Kind", bound=Options)


def read_options(path: str | Path, kind: type[Options]) -> dict[str, Any]:
    """The options of `kind` in a TOML file, dashes or underscores in their names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not TOML, or an option that does not exist; the file and the name are given.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    known = {field.name for field in fields(kind)}
    options = {name.replace("-", "_"): value for name, value in table.items()}
    unknown = [name for name in table if name.replace("-", "_") not in known]
    if unknown:
        raise ValueError(f"{path}: {explain_unknown(unknown[0], kind)}")
    return options


def merge_options(file: Mapping[str, Any], flags: Mapping[str, Any], kind: type[Kind]) -> Kind:
    """Options of a file, overridden by the flags that were given (those that are not None).

    Raises:
        ValueError: a required option stands in neither, or a value is out of range.
    """
    merged = {**file, **{name: value for name, value in flags.items() if value is not None}}
    needed = [field.name for field in fields(kind) if field.init and field.default is MISSING]
    missing = [name for name in needed if name not in merged]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)} (give them as arguments or in the option file)")
    return kind(**merged)
