"""A verb of the command line, made from the dataclass of its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import typer

from pybert_crf.options import Options, RunOptions, merge_options, read_options
from pybert_crf.options.schema.elsewhere import flag
from pybert_crf.options.schema.option import default_words, help_line, in_order, option_of


class Verb(NamedTuple):
    """One verb.

    Attributes:
        name: as it is typed.
        options: the dataclass of its options.
        work: called with them; its docstring is the verb's help.
        example: a command that works, shown below the help.
    """

    name: str
    options: type[Options]
    work: Callable[[Any], None]
    example: str

    @property
    def needs_arguments(self) -> bool:
        """Whether something must be given, so that the verb alone shows its help."""
        return any(default_words(known).startswith("required") for known in fields(self.options))

    def command(self) -> Callable[..., None]:
        """A function with one parameter for each option, as typer reads it."""
        hints = get_type_hints(self.options)
        parameters = [_parameter(known, hints[known.name]) for known in in_order(self.options)]
        if issubclass(self.options, RunOptions):
            parameters.append(_option_file())

        def command(**flags: Any) -> None:
            file = flags.pop("options", None)
            # A repeatable option that was not given is an empty list in some versions of typer.
            given = {name: None if value == [] else value for name, value in flags.items()}
            self.work(merge_options(read_options(file, self.options) if file else {}, given, self.options))

        command.__doc__ = self.work.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command


def _parameter(known: Field[Any], hint: Any) -> inspect.Parameter:
    """An optional parameter whose own default is None, so that the value in an option file counts."""
    option = option_of(known)
    told = help_line(known)
    if option.argument:
        info = typer.Argument(help=told, show_default=False, metavar=known.name.upper())
    else:
        metavar = "|".join(option.choices) or None
        info = typer.Option(flag(known.name), help=told, show_default=False, metavar=metavar)
    return _keyword(known.name, Annotated[_value_type(hint) | None, info])


def _value_type(hint: Any) -> Any:
    """What one value, or the list of a repeatable option, is: ``float`` of ``float | None``."""
    if any(get_origin(kind) is tuple for kind in get_args(hint)):
        return list[str]
    return (get_args(hint) or (hint,))[0]


def _option_file() -> inspect.Parameter:
    info = typer.Option("--options", help="TOML file with any of these options; flags win over it.")
    return _keyword("options", Annotated[Path | None, info])


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
