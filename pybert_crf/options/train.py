"""What a training run can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from pybert_crf.options.run import RunOptions


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """The options of `pybert_crf.train`; those of `RunOptions`, and:

    Attributes:
        train, dev, test: column files; the best checkpoint is chosen on `dev`, `test` is only reported.
        out: directory for the tagger, ``metrics.json`` and (while training) the last checkpoint.
        learning_rate: peak rate of the encoder; by default 5e-5 pretrained, 5e-4 from scratch.
        head_learning_rate: peak rate of linear layer and CRF; by default 1e-3 pretrained, 5e-3 from scratch.
        dropout: of the linear layer's input (the encoder's own stands in its configuration).

    The CRF stays in float32 at any `precision`.

    Raises:
        ValueError: a value that cannot work, by name.
    """

    train: str
    dev: str
    out: str
    test: str | None = None
    head_learning_rate: float | None = field(default=None, kw_only=True)
    dropout: float = field(default=0.1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_rate("head_learning_rate")
        self._check("dropout", 0 <= self.dropout < 1, "be in [0, 1)")

    def rates(self) -> tuple[float, float]:
        """Peak learning rates of the encoder and of the linear and CRF layers."""
        encoder, head = (5e-4, 5e-3) if self.from_scratch else (5e-5, 1e-3)
        return self.learning_rate or encoder, self.head_learning_rate or head
