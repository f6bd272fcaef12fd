"""The checks of a configuration's fields; their messages begin with the field's name or contain it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import ClassVar

from pybert_crf.reading import quoted

# Bounds, far above every published encoder, so that a hostile configuration allocates and counts little.
MAX_SIZE = 1 << 24  # pieces of a vocabulary, widths
MAX_POSITIONS = 1 << 20
MAX_LAYERS = 1000
MAX_STD = 1e4  # of initial weights
MAX_THETA = 1e12  # base of rotary frequencies


class Checked:
    """The base of the configuration and its groups, which are frozen dataclasses.

    ``group`` precedes the names of the fields in messages: ``attention.`` in ``attention.dropout``.
    """

    group: ClassVar[str] = ""

    def check_switches(self) -> None:
        """Check every field of type ``bool``."""
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.type == "bool" and not isinstance(value, bool):
                raise TypeError(f"{self.group}{field.name} must be true or false, got {quoted(value)}")

    def check_integers(self, *names: str, at_least: int, at_most: int = MAX_SIZE) -> None:
        """Check that the fields are integers from ``at_least`` to ``at_most``."""
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{self.group}{name} must be an integer, got {quoted(value)}")
            if value < at_least:
                raise ValueError(f"{self.group}{name} must be at least {at_least}, got {quoted(value)}")
            if value > at_most:
                raise ValueError(f"{self.group}{name} must be at most {at_most}, got {quoted(value)}")

    def check_number(self, name: str, low: float, below: float) -> None:
        """Check that the field is a number at least ``low`` and less than ``below``."""
        value = getattr(self, name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(f"{self.group}{name} must be a number, got {quoted(value)}")
        if not low <= value < below:
            raise ValueError(f"{self.group}{name} must be in [{low}, {below}), got {quoted(value)}")

    def check_choice(self, name: str, known: Iterable[str]) -> None:
        """Check that the field is one of the ``known`` strings."""
        value = getattr(self, name)
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"unknown {self.group}{name} {quoted(value)}; known: {', '.join(sorted(known))}")
