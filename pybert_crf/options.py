"""What a training run can be told: one flat set of options, from Python, a TOML file or flags."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SIZES = ("tiny", "small", "base")
PRECISIONS = ("no", "bf16", "fp16")


@dataclass(frozen=True)
class TrainOptions:
    """The options of `pybert_crf.train`.

    Attributes:
        train, dev, test: column files; the best checkpoint is chosen on `dev`, `test` is only reported.
        out: directory for the tagger, ``metrics.json`` and (while training) the last checkpoint.
        model: a directory or hub name of a pretrained encoder, or a size to train from scratch:
            ``tiny`` (2 layers, 128 wide), ``small`` (4, 256), ``base`` (12, 768).
        epochs: passes over the training sentences.
        batch_tokens: encoder positions in a batch, padding counted.
        accumulate: batches whose gradients are added up before a step.
        learning_rate: peak rate of the encoder; by default 5e-5 pretrained, 5e-4 from scratch.
        head_learning_rate: peak rate of linear layer and CRF; by default 1e-3 pretrained, 5e-3 from scratch.
        weight_decay: AdamW's, on weight matrices of encoder and linear layer.
        warmup: part of all steps in which the rates rise linearly; then they fall linearly to 0.
        clip: largest gradient norm; 0 for no clipping.
        dropout: of the linear layer's input (the encoder's own stands in its configuration).
        patience: stop after so many epochs without a better dev F1; 0 to never stop early.
        precision: ``no`` (float32), ``bf16`` or ``fp16`` autocast; the CRF stays in float32.
        seed: of initial weights, dropout and order.
        unit: ``char``, ``word``, or ``auto`` to tell from the training tokens.
        min_count: from scratch only: times a character must occur to enter the vocabulary.
        vocab_size: from scratch only: largest vocabulary of word pieces.
        lowercase: from scratch only: whether the vocabulary ignores case.
        revision: of a hub model: branch, tag or commit.
        resume: continue from the last checkpoint in `out` after an interruption.
        overwrite: write over an earlier run in `out`.

    Raises:
        ValueError: a value that cannot work, by name.
    """

    train: str
    dev: str
    out: str
    test: str | None = None
    model: str = "small"
    epochs: int = 10
    batch_tokens: int = 1024
    accumulate: int = 1
    learning_rate: float | None = None
    head_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    dropout: float = 0.1
    patience: int = 5
    precision: str = "no"
    seed: int = 0
    unit: str = "auto"
    min_count: int = 2
    vocab_size: int = 8000
    lowercase: bool = False
    revision: str | None = None
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        _check_types(self)
        for name in ("epochs", "batch_tokens", "accumulate", "vocab_size", "min_count"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "head_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not rate > 0:
                raise ValueError(f"{name} must be above 0, got {rate}")
        for name in ("weight_decay", "clip", "patience"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("warmup", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        for name, known in (("precision", PRECISIONS), ("unit", ("auto", "char", "word"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")

    @property
    def from_scratch(self) -> bool:
        """Whether `model` names a size rather than a checkpoint."""
        return self.model in SIZES

    def rates(self) -> tuple[float, float]:
        """Peak learning rates of the encoder and of the linear and CRF layers."""
        encoder, head = (5e-4, 5e-3) if self.from_scratch else (5e-5, 1e-3)
        return self.learning_rate or encoder, self.head_learning_rate or head

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, for JSON."""
        return asdict(self)


def _check_types(options: TrainOptions) -> None:
    for name, kind in get_type_hints(TrainOptions).items():
        kinds = get_args(kind) or (kind,)
        value = getattr(options, name)
        allowed = (*kinds, int) if float in kinds else kinds  # 1 is a fine learning rate in TOML
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join(k.__name__ for k in kinds if k is not NoneType)
            raise ValueError(f"{name} must be {wanted}, got {value!r}")


def read_options(path: str | Path) -> dict[str, Any]:
    """The options in a TOML file, dashes or underscores in their names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not TOML, or an option that does not exist; the file and the name are given.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    known = {field.name for field in fields(TrainOptions)}
    options = {name.replace("-", "_"): value for name, value in table.items()}
    unknown = sorted(options.keys() - known)
    if unknown:
        raise ValueError(
            f"{path}: no such option: {', '.join(unknown)} (there are {', '.join(sorted(known))})"
        )
    return options


def merge_options(file: Mapping[str, Any], flags: Mapping[str, Any]) -> TrainOptions:
    """Options of a file, overridden by the flags that were given (those that are not None).

    Raises:
        ValueError: a required option stands in neither, or a value cannot work.
    """
    merged = {**file, **{name: value for name, value in flags.items() if value is not None}}
    missing = [name for name in ("train", "dev", "out") if name not in merged]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)} (give them as arguments or in the option file)")
    return TrainOptions(**merged)
