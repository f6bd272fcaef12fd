"""Answers to names that are no option here: what the option is called, or why there is none."""

from __future__ import annotations

from dataclasses import Field, fields
from difflib import get_close_matches
from typing import Any

from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.option import option_of
from pybert_crf.reading import shortened


def flag(name: str) -> str:
    """The spelling of a field on the command line: ``--batch-tokens``."""
    return f"--{name.replace('_', '-')}"


def spelling(known: Field[Any]) -> str:
    """How the command line takes a field: ``the argument TEXT`` or ``--batch-tokens``."""
    return f"the argument {known.name.upper()}" if option_of(known).argument else flag(known.name)


def explain_unknown(name: str, kind: type[Options]) -> str:
    """One line on an option that `kind` does not have, with the right name where it is known.

    Args:
        name: as it was given, with or without leading dashes, with dashes or underscores.
        kind: the verb's options.
    """
    bare = name.lstrip("-").replace("_", "-").lower()
    told = f"no such option: {shortened(name)}"
    if bare in kind.absent:
        return f"{told}; {kind.absent[bare]}"
    for known in fields(kind):
        option = option_of(known)
        if bare == known.name.replace("_", "-") or bare in option.elsewhere:
            return f"{told}; it is {spelling(known)} here: {option.help}"
    close = get_close_matches(bare, [known.name.replace("_", "-") for known in fields(kind)])
    return f"{told}; did you mean {' or '.join(map(flag, close))}?" if close else told
