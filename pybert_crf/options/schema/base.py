"""What the options of all verbs have in common: checked values, and a plain dictionary of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Any, ClassVar, TypeAlias, get_args, get_origin, get_type_hints

from pybert_crf.options.schema.option import option_of
from pybert_crf.reading import quoted

Files: TypeAlias = str | tuple[str, ...]
"""The type of an option that names files: given as a string for one, and always a tuple once it is read."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a verb; each field is made by `option`.

    Raises:
        ValueError: a value of the wrong type, or out of range; by name.
    """

    absent: ClassVar[Mapping[str, str]] = {}
    """Options of other tools that have no counterpart here, and why."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for known in fields(self):
            told = option_of(known)
            self._check_type(known.name, hints[known.name])
            if told.choices:
                self._check(
                    known.name,
                    getattr(self, known.name) in (None, *told.choices),
                    f"be one of {', '.join(told.choices)}",
                )
            if told.bound is not None:
                value = getattr(self, known.name)
                self._check(known.name, value is None or told.bound.holds(value), told.bound.words)

    def _as_tuples(self, *names: str) -> None:
        """Make tuples of these options, which may come as a string for one file, and from TOML as a list."""
        for name in names:
            value = getattr(self, name)
            if isinstance(value, str | list):
                object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))

    def _as_text(self, name: str) -> None:
        """Make a string of an option that is a word or a number, which comes as a number from TOML."""
        value = getattr(self, name)
        if isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(self, name, str(value))

    def files(self, name: str) -> tuple[str, ...]:
        """The files that an option names."""
        named: tuple[str, ...] = getattr(self, name)
        return named

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, as JSON gives it back: lists where the options hold tuples."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    def _check(self, name: str, good: bool, demand: str) -> None:
        if not good:
            raise ValueError(f"{name} must {demand}, got {quoted(getattr(self, name))}")

    def _check_type(self, name: str, hint: Any) -> None:
        value = getattr(self, name)
        kinds = (hint,) if get_origin(hint) is tuple else get_args(hint) or (hint,)
        self._check(name, not isinstance(value, float) or math.isfinite(value), "be finite")
        if not any(_is_a(value, kind) for kind in kinds):
            wanted = " or ".join(_spelling(kind) for kind in kinds if kind is not NoneType)
            raise ValueError(f"{name} must be {wanted}, got {quoted(value)}")


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_a(member, get_args(kind)[0]) for member in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (float, int) if kind is float else kind)  # 1 is a fine learning rate in TOML


def _spelling(kind: Any) -> str:
    return f"a list of {get_args(kind)[0].__name__}" if get_origin(kind) is tuple else str(kind.__name__)
