"""What a pretraining run can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from pybert_crf.options.run import RunOptions

MASKINGS = ("dynamic", "static")
MASK_UNITS = ("auto", "piece", "char", "word")
KEEPS = ("best", "last")


@dataclass(frozen=True)
class PretrainOptions(RunOptions):
    """The options of `pybert_crf.pretrain`; those of `RunOptions`, and:

    Attributes:
        text: files of plain text, one passage (a sentence, a paragraph) a line, or column files.
        out: directory for the encoder and its MLM head, ``metrics.json`` and (meanwhile) the last checkpoint.
        dev: such files to be judged on; where there is none, a part of `text` is held out.
        held_out: the share of the lines of `text` that is held out, drawn by `seed`.
        columns: whether the files are column files, of whose sentences only the tokens are read.
        learning_rate: peak rate; by default 1e-4 for a checkpoint, 5e-4 from scratch.
        masking: ``dynamic`` draws new masks in every epoch (Liu et al., 2019), ``static`` keeps the first.
        mask_unit: what is masked together: ``piece``; ``char``, all pieces of a character (text by
            character); ``word``, all pieces of a word, which in text by character is what stands between
            white space; ``auto`` for ``char`` or ``word`` as the text is.
        mask_rate: share of the pieces that are to be predicted.
        mask_share, random_share: parts of these that the encoder sees as [MASK], and as another piece drawn
            at random; the rest it sees as they are (Devlin et al., 2019: 0.8, 0.1 and 0.1).
        max_length: the longest window in encoder positions; a longer line is split. None for all that the
            encoder has.
        keep: the epoch that is saved: ``best`` on dev, or ``last``.

    Raises:
        ValueError: a value that cannot work, by name.
    """

    text: tuple[str, ...]
    out: str
    dev: tuple[str, ...] = field(default=(), kw_only=True)
    held_out: float = field(default=0.05, kw_only=True)
    columns: bool = field(default=False, kw_only=True)
    batch_tokens: int = field(default=4096, kw_only=True)
    patience: int = field(default=0, kw_only=True)
    checkpoint_steps: int = field(default=1000, kw_only=True)
    masking: str = field(default="dynamic", kw_only=True)
    mask_unit: str = field(default="auto", kw_only=True)
    mask_rate: float = field(default=0.15, kw_only=True)
    mask_share: float = field(default=0.8, kw_only=True)
    random_share: float = field(default=0.1, kw_only=True)
    max_length: int | None = field(default=None, kw_only=True)
    keep: str = field(default="best", kw_only=True)

    def __post_init__(self) -> None:
        for name in ("text", "dev"):  # one file may come as a string, several from TOML as a list
            value = getattr(self, name)
            if isinstance(value, str | list):
                object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        super().__post_init__()
        self._check("text", len(self.text) > 0, "name at least one file")
        self._check_choice("masking", MASKINGS)
        self._check_choice("mask_unit", MASK_UNITS)
        self._check_choice("keep", KEEPS)
        for name in ("held_out", "mask_rate"):
            self._check(name, 0 < getattr(self, name) < 1, "be in (0, 1)")
        for name in ("mask_share", "random_share"):
            self._check(name, 0 <= getattr(self, name) <= 1, "be in [0, 1]")
        # With room for rounding: 0.9 + 0.1 is 1, and 0.7 + 0.3 may not be.
        self._check("random_share", self.mask_share + self.random_share <= 1 + 1e-9, "leave mask_share room")
        self._check("max_length", self.max_length is None or self.max_length >= 3, "be at least 3")

    def rate(self) -> float:
        """Peak learning rate."""
        return self.learning_rate or (5e-4 if self.from_scratch else 1e-4)
