"""The options that every run has, whatever it learns, and the checks of their values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

SIZES = ("tiny", "small", "base")
PRECISIONS = ("no", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `train` and `pretrain` share: where to start, how to learn, how to go on.

    Attributes:
        model: a directory or hub name of a pretrained encoder, or a size to train from scratch:
            ``tiny`` (2 layers, 128 wide), ``small`` (4, 256), ``base`` (12, 768).
        epochs: passes over the training text.
        batch_tokens: encoder positions in a batch, padding counted.
        accumulate: batches whose gradients are added up before a step.
        learning_rate: peak rate of the encoder; None for the verb's default.
        weight_decay: AdamW's, on weight matrices.
        warmup: part of all steps in which the rates rise linearly; then they fall linearly to 0.
        clip: largest gradient norm; 0 for no clipping.
        patience: stop after so many epochs without a better result on dev; 0 to never stop early.
        precision: ``no`` (float32), ``bf16`` or ``fp16`` autocast.
        seed: of initial weights, dropout and order.
        checkpoint_steps: optimiser steps between checkpoints within an epoch; 0 for one after each epoch.
        unit: ``char``, ``word``, or ``auto`` to tell from the text.
        min_count: from scratch only: times a character must occur to enter the vocabulary.
        vocab_size: from scratch only: largest vocabulary of word pieces.
        lowercase: from scratch only: whether the vocabulary ignores case.
        revision: of a hub model: branch, tag or commit.
        resume: continue from the last checkpoint in ``out`` after an interruption.
        overwrite: write over an earlier run in ``out``.

    Raises:
        ValueError: a value that cannot work, by name.
    """

    model: str = "small"
    epochs: int = 10
    batch_tokens: int = 1024
    accumulate: int = 1
    learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    patience: int = 5
    precision: str = "no"
    seed: int = 0
    checkpoint_steps: int = 0
    unit: str = "auto"
    min_count: int = 2
    vocab_size: int = 8000
    lowercase: bool = False
    revision: str | None = None
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        self._check_types()
        for name in ("epochs", "batch_tokens", "accumulate", "vocab_size", "min_count"):
            self._check(name, getattr(self, name) >= 1, "be at least 1")
        self._check_rate("learning_rate")
        for name in ("weight_decay", "clip", "patience", "checkpoint_steps"):
            self._check(name, getattr(self, name) >= 0, "not be negative")
        self._check("warmup", 0 <= self.warmup < 1, "be in [0, 1)")
        self._check_choice("precision", PRECISIONS)
        self._check_choice("unit", ("auto", "char", "word"))

    @property
    def from_scratch(self) -> bool:
        """Whether `model` names a size rather than a checkpoint."""
        return self.model in SIZES

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, as JSON gives it back: lists where the options hold tuples."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    def _check(self, name: str, good: bool, demand: str) -> None:
        if not good:
            raise ValueError(f"{name} must {demand}, got {getattr(self, name)!r}")

    def _check_rate(self, name: str) -> None:
        rate = getattr(self, name)
        self._check(name, rate is None or rate > 0, "be above 0")

    def _check_choice(self, name: str, known: tuple[str, ...]) -> None:
        self._check(name, getattr(self, name) in known, f"be one of {', '.join(known)}")

    def _check_types(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            value = getattr(self, name)
            kinds = (hint,) if get_origin(hint) is tuple else get_args(hint) or (hint,)
            if not any(_is_a(value, kind) for kind in kinds):
                wanted = " or ".join(_spelling(kind) for kind in kinds if kind is not NoneType)
                raise ValueError(f"{name} must be {wanted}, got {value!r}")


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_a(member, get_args(kind)[0]) for member in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (float, int) if kind is float else kind)  # 1 is a fine learning rate in TOML


def _spelling(kind: Any) -> str:
    return f"a list of {get_args(kind)[0].__name__}" if get_origin(kind) is tuple else str(kind.__name__)
