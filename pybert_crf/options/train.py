"""The options of training a tagger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybert_crf.options.groups.corpus import CorpusOptions
from pybert_crf.options.groups.distillation import DistillationOptions
from pybert_crf.options.groups.documents import DocumentOptions
from pybert_crf.options.groups.levers import LeverOptions
from pybert_crf.options.groups.report import ReportOptions
from pybert_crf.options.groups.run import RunOptions
from pybert_crf.options.schema.base import Files
from pybert_crf.options.schema.option import (
    ABOVE_0,
    AT_LEAST_1,
    BELOW_1,
    DTYPES,
    FRACTION,
    NOT_NEGATIVE,
    documented,
    option,
    with_default,
)


@documented
@dataclass(frozen=True)
class TrainOptions(
    LeverOptions, DistillationOptions, RunOptions, DocumentOptions, CorpusOptions, ReportOptions
):
    """The options of `pybert_crf.train`. One file may be given as a string instead of a tuple.

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

    train: Files = option(
        (),
        "Corpus to learn from, in any format; several files are joined.",
        "训练语料，格式不限；可以给出多个文件，合在一起。",
        kw_only=False,
        argument=True,
        default_text="required, unless there is TEXT",
        elsewhere="train-file train-data train-path train-data-file data data-dir",
    )
    dev: Files = option(
        (),
        "Corpus on which the best epoch is chosen (may be repeated); or see DEV-SHARE.",
        "用来选出最佳轮次的语料（可重复给出）；没有则见 DEV-SHARE。",
        kw_only=False,
        elsewhere="dev-file validation-file eval-file validation valid dev-data eval-data val",
    )
    out: str = option(
        "",
        "Directory for the tagger, metrics.json, report.html and, while training, the last checkpoint.",
        "存放标注器、metrics.json、report.html 和训练中最后检查点的目录。",
        kw_only=False,
        default_text="required",
        elsewhere="output-dir output output-path save-dir save-path model-dir base-path",
    )
    test: Files = option(
        (),
        "Corpus that is only reported on (may be repeated).",
        "只用来报告结果的语料（可重复给出）。",
        kw_only=False,
        elsewhere="test-file test-data predict-file",
    )
    dev_share: float | None = option(
        None,
        "Without DEV: this share of train, drawn by SEED, by document if the files tell documents apart.",
        "没有 DEV 时：从训练语料中按 SEED 抽出这一比例作为开发集；文件分文档时按文档抽取。",
        bound=FRACTION,
        elsewhere="validation-split dev-ratio dev-split validation-split-percentage held-out val-split",
    )
    seeds: int = option(
        1,
        "Runs with the seeds SEED, SEED + 1, …, each in OUT/seed-N; OUT holds the best on dev, and "
        "metrics.json the mean and spread.",
        "以 SEED、SEED + 1…… 为种子的训练次数，分别在 OUT/seed-N 中；OUT 存放开发集上最好的，"
        "metrics.json 有均值和离散度。",
        bound=AT_LEAST_1,
        elsewhere="num-seeds n-seeds num-runs runs",
    )
    folds: int = option(
        0,
        "Without DEV: cross-validation on TRAIN by runs, each in OUT/fold-N, with one of this many parts as "
        "dev.",
        "没有 DEV 时：在 TRAIN 上做交叉验证，分成这么多份，每次以一份为开发集，分别在 OUT/fold-N 中。",
        bound=NOT_NEGATIVE,
        elsewhere="k-fold kfold n-folds num-folds cv n-splits",
    )
    fold: int = option(
        0,
        "Only this one of the FOLDS, counted from 1, in OUT itself; 0 for all.",
        "只训练 FOLDS 中的这一份（从 1 数起），直接放在 OUT 中；0 表示全部。",
        bound=NOT_NEGATIVE,
    )
    keep: str = option(
        "best",
        "SEEDS or FOLDS: what OUT holds: best, a copy of the tagger that is best on dev; ensemble, all of "
        "them as one tagger, which averages their probabilities.",
        "SEEDS、FOLDS：OUT 存放什么：best 为开发集上最好的标注器的副本；ensemble 为全部标注器合成的一个，"
        "对它们的概率取平均。",
        choices=("best", "ensemble"),
        elsewhere="ensemble save-ensemble",
    )
    batch_tokens: int | None = with_default(
        RunOptions, "batch_tokens", None, "256 to 1024, to fit TRAIN and EPOCHS"
    )
    learning_rate: float | None = option(
        None,
        "Peak learning rate of the encoder.",
        "编码器的学习率峰值。",
        bound=ABOVE_0,
        default_text="from 5e-5, higher in a short run; from scratch 5e-4",
        elsewhere="lr peak-lr learn-rate bert-lr encoder-lr encoder-learning-rate",
    )
    head_learning_rate: float | None = option(
        None,
        "Peak learning rate of linear layer and CRF.",
        "线性层和 CRF 的学习率峰值。",
        bound=ABOVE_0,
        default_text="from 1e-3, higher in a short run; from scratch 5e-3",
        elsewhere="crf-learning-rate crf-lr head-lr classifier-lr linear-learning-rate other-lr",
    )
    dropout: float = option(
        0.1,
        "Dropout before the linear layer; the encoder's own stands in its configuration.",
        "线性层之前的 dropout；编码器自己的在其配置中。",
        bound=BELOW_1,
        elsewhere="dropout-rate classifier-dropout hidden-dropout-prob",
    )
    calibrate: str = option(
        "dev",
        "Sentences on which a temperature is fitted at the end, and kept if it makes scores truer: dev, or "
        "none. All scores are divided by it before they become probabilities; no best path changes.",
        "训练结束时在哪些句子上拟合一个温度（使分数更准才保留）：dev 为开发集，none 为不拟合。"
        "所有分数先除以它再变成概率，最优路径不变。",
        choices=("dev", "none"),
        elsewhere="calibration temperature temperature-scaling",
    )
    dtype: str | None = option(
        None,
        "Type of the encoder's weights: float32, or bfloat16 at half the memory, which loses small updates "
        "and is best for weights that stay as they are (LORA-RANK, FREEZE).",
        "编码器权重的类型：float32，或只占一半内存的 bfloat16；后者会丢失微小的更新，适合不更新的权重"
        "（LORA-RANK、FREEZE）。",
        choices=DTYPES,
        default_text="float32; of a tagger, as saved",
        elsewhere="torch-dtype weights-dtype",
    )
    attention: str | None = option(
        None,
        "What a piece sees: both, the whole text, also in a decoder (GPT-2, Qwen3 …), which was trained to "
        "see only what precedes it; causal, which leaves a decoder so.",
        "一个词片能看到什么：both 为整个文本，解码器（GPT-2、Qwen3 等）也是如此，尽管训练时只能看到前面；"
        "causal 让解码器保持只看前面。",
        choices=("both", "causal"),
        default_text="both; of a tagger, as it was trained",
        elsewhere="bidirectional is-causal causal unidirectional",
    )

    def __post_init__(self) -> None:
        self._as_tuples("train", "dev", "test")
        super().__post_init__()
        if not self.train:
            self._check_text_alone()
        self._check("out", bool(self.out), "name a directory")
        given = [name for name in ("dev", "dev_share", "folds") if getattr(self, name) not in ((), None, 0)]
        if not given:
            raise ValueError("missing: dev, on which the best epoch is chosen, or dev_share, such as 0.1")
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} exclude each other")
        self._check("folds", self.folds != 1, "be at least 2, or 0 for none")
        self._check("fold", self.fold <= self.folds, f"be at most the number of folds, {self.folds}")
        self._check("seeds", self.seeds == 1 or not self.folds, "be 1 with folds")
        several = self.seeds > 1 or (self.folds and not self.fold)
        self._check(
            "keep", self.keep == "best" or bool(several), "be best for one run, without seeds or folds"
        )
        if self.from_scratch:
            self._check("attention", self.attention != "causal", f"be both from scratch (model {self.model})")
            self._check("dtype", self.dtype != "bfloat16", f"be float32 from scratch (model {self.model})")
        self._check("lora_rank", not (self.lora_rank and self.from_scratch), "be 0 for a model from scratch")

    def _check_text_alone(self) -> None:
        """Refuse what needs tagged sentences to learn from, of which there are none."""
        if not self.text:
            raise ValueError(
                "missing: train, the corpus to learn from (or a teacher, and text to learn from)"
            )
        for name in ("dev_share", "folds", "class_weight", "label_smoothing", "focal"):
            self._check(name, not getattr(self, name), "be left out without train")
        self._check("transitions", self.transitions == "random", "be random without train")

    @property
    def bidirectional(self) -> bool | None:
        """What `attention` says of an encoder that allows either; None if that is not said."""
        return None if self.attention is None else self.attention == "both"

    def rates(self) -> tuple[float, float]:
        """Peak learning rates of the encoder and of the linear and CRF layers, in a run of many steps."""
        encoder, head = (5e-4, 5e-3) if self.from_scratch else (5e-5, 1e-3)
        encoder = 5e-4 if self.lora_rank else encoder
        return self.learning_rate or encoder, self.head_learning_rate or head
