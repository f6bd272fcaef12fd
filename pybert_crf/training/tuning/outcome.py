"""What came of the trials, in plain numbers: for the table, the page and the option file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DONE, PRUNED, DIVERGED = "done", "pruned", "diverged"


@dataclass(frozen=True)
class Trial:
    """One run.

    Attributes:
        number: from 0, in the order in which they ran.
        values: of what is varied, by the options' names.
        state: ``done``, ``pruned`` (stopped after an epoch) or ``diverged`` (a number was not finite).
        f1: on dev, of the best epoch; None if it diverged.
        course: the F1 on dev after each epoch.
    """

    number: int
    values: Mapping[str, Any]
    state: str
    f1: float | None
    course: tuple[float, ...]


@dataclass(frozen=True)
class Tuned:
    """All trials are over.

    Attributes:
        out: the directory; it holds the tagger of the best trial in ``trial-N``.
        trials: in their order.
        best: the trial with the highest F1 on dev among those that are done.
        options: the file of the best trial's options, for ``pybert-crf train --options``.
        page: the file with table and pictures.
        importance: of what is varied, by name, in parts of 1, the most important first; empty if too few
            trials are done.
    """

    out: str
    trials: tuple[Trial, ...]
    best: Trial
    options: str
    page: str
    importance: Mapping[str, float]

    def ranked(self) -> list[Trial]:
        """The trials, the best first; those that are done before others."""
        return sorted(self.trials, key=lambda each: (each.state != DONE, -(each.f1 or 0.0), each.number))


def shown(value: Any) -> str:
    """A value in a table: numbers to three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
