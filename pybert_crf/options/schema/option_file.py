"""Options from a TOML file, and flags over them; and such a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.elsewhere import explain_unknown, spelling
from pybert_crf.options.schema.option import default_words
from pybert_crf.reading import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Kind = TypeVar("Kind", bound=Options)


def read_options(path: str | Path, kind: type[Options]) -> dict[str, Any]:
    """The options of `kind` in a TOML file, dashes or underscores in their names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not TOML, an option that does not exist, or one given twice, with a dash and with an
            underscore; the file and the name are given.
    """
    text = read_text(Path(path))
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"{path} is not an option file: nested too deep") from None
    except ValueError as error:  # not TOML, or a number of thousands of digits
        raise ValueError(f"{path} is not TOML: {str(error)[:200]}") from error
    known = {field.name for field in fields(kind)}
    options = {name.replace("-", "_"): value for name, value in table.items()}
    unknown = [name for name in table if name.replace("-", "_") not in known]
    if unknown:
        raise ValueError(f"{path}: {explain_unknown(unknown[0], kind)}")
    if len(options) < len(table):
        repeated = [name for name in table if "_" in name and name.replace("_", "-") in table]
        raise ValueError(f"{path}: {repeated[0]} is given twice, once with a dash")
    return options


def option_text(options: Options, left_out: Collection[str] = (), comment: str = "") -> str:
    """The TOML file of all options that differ from their defaults, which `read_options` reads.

    Args:
        left_out: names of options that are not written.
        comment: the first line.
    """
    lines = [f"# {' '.join(comment.split())}"] if comment else []
    given = options.to_dict()
    changed = [known.name for known in fields(options) if getattr(options, known.name) != known.default]
    lines += [f"{name.replace('_', '-')} = {_toml(given[name])}" for name in changed if name not in left_out]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A string, number, boolean or list of strings in TOML, whose strings are JSON's but for DEL."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def merge_options(file: Mapping[str, Any], flags: Mapping[str, Any], kind: type[Kind]) -> Kind:
    """Options of a file, overridden by the flags that were given (those that are not None).

    Raises:
        ValueError: a required option stands in neither, or a value is out of range.
    """
    merged = {**file, **{name: value for name, value in flags.items() if value is not None}}
    needed = [field for field in fields(kind) if field.init and default_words(field) == "required"]
    missing = [spelling(field) for field in needed if field.name not in merged]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)} (on the command line or in the option file)")
    return kind(**merged)
