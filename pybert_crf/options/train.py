"""The options of training a tagger."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import ClassVar

from pybert_crf.options.corpus import CorpusOptions
from pybert_crf.options.option import ABOVE_0, BELOW_1, documented, option
from pybert_crf.options.run import RunOptions


@documented
@dataclass(frozen=True)
class TrainOptions(RunOptions, CorpusOptions):
    """The options of `pybert_crf.train`.

    Raises:
        ValueError: a value of the wrong type, or out of range; by name.
    """

    absent: ClassVar[dict[str, str]] = {
        **RunOptions.absent,
        **dict.fromkeys(
            ("max-seq-length", "max-length", "max-len", "maxlen", "max-seq-len", "truncation"),
            "nothing is truncated, a long text is read in overlapping windows",
        ),
    }

    train: str = option(
        MISSING,
        "Corpus to learn from: columns (token first, tag last) or JSON.",
        "训练语料：列文件（首列为词或字，末列为标签）或 JSON。",
        kw_only=False,
        argument=True,
        elsewhere="train-file train-data train-path train-data-file data data-dir",
    )
    dev: str = option(
        MISSING,
        "Corpus on which the best epoch is chosen.",
        "用来选出最佳轮次的语料。",
        kw_only=False,
        elsewhere="dev-file validation-file eval-file validation valid dev-data eval-data val",
    )
    out: str = option(
        MISSING,
        "Directory for the tagger, metrics.json and, while training, the last checkpoint.",
        "存放标注器、metrics.json 和训练中最后检查点的目录。",
        kw_only=False,
        elsewhere="output-dir output output-path save-dir save-path model-dir base-path",
    )
    test: str | None = option(
        None,
        "Corpus that is only reported on.",
        "只用来报告结果的语料。",
        kw_only=False,
        elsewhere="test-file test-data predict-file",
    )
    learning_rate: float | None = option(
        None,
        "Peak learning rate of the encoder.",
        "编码器的学习率峰值。",
        bound=ABOVE_0,
        default_text="5e-5, from scratch 5e-4",
        elsewhere="lr peak-lr learn-rate bert-lr encoder-lr encoder-learning-rate",
    )
    head_learning_rate: float | None = option(
        None,
        "Peak learning rate of linear layer and CRF.",
        "线性层和 CRF 的学习率峰值。",
        bound=ABOVE_0,
        default_text="1e-3, from scratch 5e-3",
        elsewhere="crf-learning-rate crf-lr head-lr classifier-lr linear-learning-rate other-lr",
    )
    dropout: float = option(
        0.1,
        "Dropout before the linear layer; the encoder's own stands in its configuration.",
        "线性层之前的 dropout；编码器自己的在其配置中。",
        bound=BELOW_1,
        elsewhere="dropout-rate classifier-dropout hidden-dropout-prob",
    )

    def rates(self) -> tuple[float, float]:
        """Peak learning rates of the encoder and of the linear and CRF layers."""
        encoder, head = (5e-4, 5e-3) if self.from_scratch else (5e-5, 1e-3)
        return self.learning_rate or encoder, self.head_learning_rate or head
