"""The options of pretraining an encoder."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import ClassVar

from pybert_crf.options.groups.corpus import CorpusOptions
from pybert_crf.options.groups.run import RunOptions
from pybert_crf.options.schema.base import Files
from pybert_crf.options.schema.option import (
    ABOVE_0,
    AT_LEAST_3,
    FRACTION,
    SHARE,
    documented,
    option,
    with_default,
)


@documented
@dataclass(frozen=True)
class PretrainOptions(RunOptions, CorpusOptions):
    """The options of `pybert_crf.pretrain`. One file may be given as a string instead of a tuple.

    Raises:
        ValueError: a value of the wrong type, or out of range; by name.
    """

    absent: ClassVar[dict[str, str]] = {
        **RunOptions.absent,
        "columns": "a column file is given by --format columns",
    }

    text: Files = option(
        MISSING,
        "Files of plain text, one passage (a sentence, a paragraph) a line; other formats by --format, whose "
        "tags are left out.",
        "纯文本文件，一行一段（一句或一个段落）；其他格式用 --format 指明，其中的标签不读。",
        kw_only=False,
        argument=True,
        elsewhere="train-file train-data train-path train-data-file data data-dir corpus",
    )
    out: str = option(
        MISSING,
        "Directory for the encoder and its MLM head, metrics.json and, meanwhile, the last checkpoint.",
        "存放编码器及其 MLM 头、metrics.json 和训练中最后检查点的目录。",
        kw_only=False,
        elsewhere="output-dir output output-path save-dir save-path model-dir",
    )
    dev: Files = option(
        (),
        "Text file to evaluate on (may be repeated); without one a part of TEXT is held out.",
        "用来评估的文本文件（可重复给出）；不给则从 TEXT 中留出一部分。",
        elsewhere="dev-file validation-file eval-file validation valid dev-data eval-data val",
    )
    held_out: float = option(
        0.05,
        "Share of the lines of TEXT that is held out if there is no DEV, drawn by SEED.",
        "没有 DEV 时从 TEXT 中按 SEED 抽出留作评估的行的比例。",
        bound=FRACTION,
        elsewhere="validation-split validation-split-percentage",
    )
    batch_tokens: int = with_default(RunOptions, "batch_tokens", 4096)
    learning_rate: float | None = option(
        None,
        "Peak learning rate.",
        "学习率峰值。",
        bound=ABOVE_0,
        default_text="1e-4, from scratch 5e-4",
        elsewhere="lr peak-lr learn-rate",
    )
    patience: int = with_default(RunOptions, "patience", 0)
    checkpoint_steps: int = with_default(RunOptions, "checkpoint_steps", 1000)
    masking: str = option(
        "dynamic",
        "Masks: dynamic draws new ones in every epoch (Liu et al., 2019), static keeps the first.",
        "掩码：dynamic 每轮重新抽取（Liu 等，2019），static 一直用最初的。",
        choices=("dynamic", "static"),
    )
    mask_unit: str = option(
        "auto",
        "What is masked together: piece; char, all pieces of a character; word, all pieces of a word (in "
        "text by character, what stands between spaces); auto for char or word, as the text is.",
        "一起掩盖的单位：piece（词片）；char（一个字的全部词片）；word（一个词的全部词片，按字的文本中指空格之间的部分）；"
        "auto 随文本取 char 或 word。",
        choices=("auto", "piece", "char", "word"),
        elsewhere="whole-word-mask whole-word-masking wwm",
    )
    mask_rate: float = option(
        0.15,
        "Share of the pieces that are to be predicted.",
        "要预测的词片的比例。",
        bound=FRACTION,
        elsewhere="mlm-probability mlm-prob masked-lm-prob mask-prob",
    )
    mask_share: float = option(
        0.8,
        "Part of these that the encoder sees as [MASK] (Devlin et al., 2019).",
        "其中编码器看作 [MASK] 的部分（Devlin 等，2019）。",
        bound=SHARE,
    )
    random_share: float = option(
        0.1,
        "Part of these that the encoder sees as a random piece; it sees the rest unchanged.",
        "其中编码器看作随机词片的部分；其余保持原样。",
        bound=SHARE,
    )
    max_length: int | None = option(
        None,
        "Longest window in encoder positions; a longer line is split.",
        "最长窗口的编码器位置数；更长的行会被拆开。",
        bound=AT_LEAST_3,
        default_text="the encoder's",
        elsewhere="max-seq-length max-seq-len max-len maxlen block-size sequence-length",
    )
    keep: str = option(
        "best",
        "The epoch that is saved: best on dev, or last.",
        "保存哪一轮：best 为开发集上最好的，last 为最后的。",
        choices=("best", "last"),
        elsewhere="load-best-model-at-end",
    )

    def __post_init__(self) -> None:
        self._as_tuples("text", "dev")
        super().__post_init__()
        self._check("text", len(self.text) > 0, "name at least one file")
        # With room for rounding: 0.9 + 0.1 is 1, and 0.7 + 0.3 may not be.
        self._check("random_share", self.mask_share + self.random_share <= 1 + 1e-9, "leave mask_share room")

    def rate(self) -> float:
        """Peak learning rate."""
        return self.learning_rate or (5e-4 if self.from_scratch else 1e-4)
