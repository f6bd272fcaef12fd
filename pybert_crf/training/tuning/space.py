"""What is varied from trial to trial: an option's range, or its choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

from pybert_crf.options import CorpusOptions, TrainOptions, TuneOptions
from pybert_crf.reading import listed, quoted
from pybert_crf.training.fitting import fitting_batch

USUAL = ("learning_rate", "head_learning_rate", "dropout", "warmup", "batch_tokens", "transitions")
"""What is varied unless it is said."""

_FIXED = {
    *(known.name for known in fields(CorpusOptions)),
    *(
        "train",
        "dev",
        "test",
        "out",
        "dev_share",
        "seeds",
        "folds",
        "fold",
        "keep",
        "teacher",
        "text",
        "text_format",
    ),
    *(
        "unit",
        "revision",
        "resume",
        "overwrite",
        "language",
        "checkpoint_steps",
        "timeout",
        "track",
        "epochs",
        "patience",
    ),
}
"""Options that say what is compared, or how long: trials with others could not be compared."""

_LOGARITHMIC = ("learning_rate", "head_learning_rate", "batch_tokens", "weight_decay", "adversarial_radius")


class Dimension(NamedTuple):
    """The values of one option.

    Attributes:
        name: of the option.
        low, high: of a range, both included.
        logarithmic: whether its values are drawn evenly by their logarithms.
        choices: instead of a range, all values.
    """

    name: str
    low: float | int = 0
    high: float | int = 0
    logarithmic: bool = False
    choices: tuple[Any, ...] = ()

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def ends(self) -> tuple[Any, ...]:
        """The values that must be valid for all to be: the ends, or all choices."""
        return self.choices or (self.low, self.high)


def space_of(options: TuneOptions) -> list[Dimension]:
    """What the options say is to be varied, each value checked.

    Raises:
        ValueError: an option that cannot be varied, is given twice, or has no usual range; a value out of its
            range; by name.
    """
    usual = [name for name in USUAL if name != "transitions" or options.train]
    space = [_read(entry, options) for entry in options.files("vary") or usual]
    names = [dimension.name for dimension in space]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"vary names an option twice: {', '.join(repeated)}")
    try:
        for dimension in space:
            for value in dimension.ends():
                options.training(**{dimension.name: value})
    except ValueError as error:
        raise ValueError(f"vary: {error}") from error
    return space


def defaults(options: TuneOptions, space: Sequence[Dimension], positions: int) -> dict[str, Any]:
    """The values that the options themselves have for what is varied, as far as they are in its range.

    Args:
        positions: encoder positions of all training examples, about: a batch that is not given fits them.
    """
    rate, head_rate = options.rates()
    batch = options.batch_tokens or fitting_batch(positions, options.epochs)
    own = {"learning_rate": rate, "head_learning_rate": head_rate, "batch_tokens": batch}
    values = {each.name: own.get(each.name, getattr(options, each.name)) for each in space}
    return {each.name: values[each.name] for each in space if each.holds(values[each.name])}


def _read(entry: str, options: TuneOptions) -> Dimension:
    name, equals, values = entry.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    known = {field.name for field in fields(TrainOptions)}
    if name not in known:
        raise ValueError(f"vary: train has no option {quoted(name)}")
    if name in _FIXED:
        raise ValueError(f"vary: {name} must be the same in all trials, or they could not be compared")
    if not equals:
        return _usual(name, options)
    kind = _kind(name)
    if ":" in values and kind in (int, float):
        low, high = (_number(name, part, kind) for part in values.split(":", 1))
        if not low < high:
            raise ValueError(f"vary: {name} must have a range from low to high, got {quoted(values)}")
        return Dimension(name, low, high, name in _LOGARITHMIC and low > 0)
    choices = tuple(_value(name, part.strip(), kind) for part in values.split(","))
    if len(set(choices)) < 2 or len(set(choices)) < len(choices):
        raise ValueError(f"vary: {name} must have two different values or more, got {quoted(values)}")
    return Dimension(name, choices=choices)


def _usual(name: str, options: TuneOptions) -> Dimension:
    """The usual range of an option; of rates, about what they are without it."""
    rate, head_rate = options.rates()
    known = {
        "learning_rate": Dimension(name, rate / 5, rate * 4, True),
        "head_learning_rate": Dimension(name, head_rate / 10, head_rate * 5, True),
        "dropout": Dimension(name, 0.0, 0.5),
        "warmup": Dimension(name, 0.0, 0.3),
        "batch_tokens": Dimension(name, 256, 2048, True),
        "weight_decay": Dimension(name, 0.001, 0.3, True),
        "layer_decay": Dimension(name, 0.7, 1.0),
        "transitions": Dimension(name, choices=("random", "counts")),
        "average": Dimension(name, choices=(0.0, 0.99, 0.999)),
        "label_smoothing": Dimension(name, 0.0, 0.2),
        "focal": Dimension(name, 0.0, 2.0),
        "rdrop": Dimension(name, choices=(0.0, 0.5, 1.0, 2.0)),
        "adversarial": Dimension(name, choices=("none", "fgm")),
        "adversarial_radius": Dimension(name, 0.01, 1.0, True),
        "lora_rank": Dimension(name, choices=(4, 8, 16, 32)),
        "teacher_weight": Dimension(name, 0.25, 4.0, True),
    }
    if name not in known:
        raise ValueError(
            f"vary: {name} needs its values, as {name}=A,B; usual ranges have {listed([*known])}"
        )
    return known[name]


def _kind(name: str) -> type:
    """The type of an option's values."""
    hint = get_type_hints(TrainOptions)[name]
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    if kinds[0] not in (bool, int, float, str) or len(kinds) > 1:
        raise ValueError(f"vary: {name} takes several values at once, and cannot be varied")
    kind: type = kinds[0]
    return kind


def _number(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        wanted = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"vary: {name} takes {wanted}, got {quoted(text)}") from error


def _value(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(f"vary: {name} is true or false, got {quoted(text)}")
        return text == "true"
    return text if kind is str else _number(name, text, kind)
