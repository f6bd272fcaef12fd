"""One option of a verb: its help, its values, and what other tools call it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from typing import Any, NamedTuple, TypeVar

_KEY = "option"
Class = TypeVar("Class", bound=type)


class Bound(NamedTuple):
    """A condition on a number: `words` complete "NAME must …"."""

    words: str
    holds: Callable[[Any], bool]


AT_LEAST_1 = Bound("be at least 1", lambda value: value >= 1)
AT_LEAST_2 = Bound("be at least 2", lambda value: value >= 2)
AT_LEAST_3 = Bound("be at least 3", lambda value: value >= 3)
NOT_NEGATIVE = Bound("not be negative", lambda value: value >= 0)
ABOVE_0 = Bound("be above 0", lambda value: value > 0)
FRACTION = Bound("be in (0, 1)", lambda value: 0 < value < 1)
BELOW_1 = Bound("be in [0, 1)", lambda value: 0 <= value < 1)
UP_TO_1 = Bound("be in (0, 1]", lambda value: 0 < value <= 1)
SEED = Bound("be in 0 .. 2^63 - 1", lambda value: 0 <= value < 1 << 63)
DTYPES = ("float32", "bfloat16")
SHARE = Bound("be in [0, 1]", lambda value: 0 <= value <= 1)


@dataclass(frozen=True)
class Option:
    """What flags, help, option file, checks and the options page need to know of one option.

    Attributes:
        help: English help text, whole sentences.
        chinese: the same in Chinese.
        bound: a condition on its number, if any.
        choices: all values there are; empty for any.
        default_text: the default in words, where the default value does not say it (None: chosen later).
        elsewhere: names of the same option in other tools, with dashes; answered with the name here.
        argument: whether the command line takes it by position.
    """

    help: str
    chinese: str
    bound: Bound | None = None
    choices: tuple[str, ...] = ()
    default_text: str | None = None
    elsewhere: tuple[str, ...] = ()
    argument: bool = False


def option(
    default: Any,
    help: str,
    chinese: str,
    *,
    kw_only: bool = True,
    elsewhere: str = "",
    **rest: Any,
) -> Any:
    """A dataclass field with an `Option`; ``elsewhere`` is given as one string of names.

    `default` is ``dataclasses.MISSING`` for an option that must be given.
    """
    told = Option(help, chinese, elsewhere=tuple(elsewhere.split()), **rest)
    return field(default=default, kw_only=kw_only, metadata={_KEY: told})


def with_default(kind: type, name: str, default: Any, default_text: str | None = None) -> Any:
    """The option `name` of a parent class, with another default; `default_text` tells it in words."""
    (known,) = (each for each in fields(kind) if each.name == name)
    told = replace(option_of(known), default_text=default_text)
    return field(default=default, kw_only=known.kw_only, metadata={_KEY: told})


def option_of(known: Field[Any]) -> Option:
    """The `Option` of a dataclass field."""
    told: Option = known.metadata[_KEY]
    return told


def in_order(kind: type) -> list[Field[Any]]:
    """The fields of `kind` as help and options page list them: arguments, its own options, inherited ones."""
    inherited = {known.name for parent in kind.__mro__[1:] for known in _fields(parent)}

    def place(known: Field[Any]) -> int:
        return 0 if option_of(known).argument else 1 + (known.name in inherited)

    return sorted(fields(kind), key=place)


def _fields(kind: type) -> tuple[Field[Any], ...]:
    return fields(kind) if is_dataclass(kind) else ()


def default_words(known: Field[Any]) -> str:
    """The default as the help shows it; empty if there is none, ``"required"`` if one must be given."""
    told = option_of(known)
    if told.default_text is not None:
        return told.default_text
    if known.default is MISSING:
        return "required"
    if known.default is None or known.default is False or known.default == ():
        return ""
    return f"{known.default:g}" if isinstance(known.default, float) else str(known.default)


def help_line(known: Field[Any]) -> str:
    """The help text with its default."""
    words = default_words(known)
    if not words:
        return option_of(known).help
    shown = words if words.startswith("required") else f"default: {words}"
    return f"{option_of(known).help} [{shown}]"


def documented(kind: Class) -> Class:
    """Class decorator that adds each option's help to the class's docstring."""
    lines = [f"    {known.name}: {help_line(known)}" for known in fields(kind)]
    kind.__doc__ = "\n".join([inspect.cleandoc(kind.__doc__ or ""), "", "Attributes:", *lines])
    return kind
