"""The options of what one can change about a tagger's training beside its rates and its length."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pybert_crf.options.schema.base import Files, Options
from pybert_crf.options.schema.option import (
    ABOVE_0,
    AT_LEAST_2,
    BELOW_1,
    NOT_NEGATIVE,
    UP_TO_1,
    documented,
    option,
)


@documented
@dataclass(frozen=True, kw_only=True)
class LeverOptions(Options):
    """Levers of training; docs/training.md says what each does, and its source."""

    lora_rank: int = option(
        0,
        "Rank of LoRA (Hu et al., 2022): the encoder's weights are frozen, and a product of two matrices of "
        "this rank is learnt beside each of its linear layers, by default at a rate of 5e-4; 0 for none.",
        "LoRA（Hu 等，2022）的秩：冻结编码器权重，在其每个线性层旁学习两个此秩矩阵的乘积，"
        "默认学习率 5e-4；0 表示不用。",
        bound=NOT_NEGATIVE,
        elsewhere="lora-r lora rank use-lora",
    )
    lora_alpha: float | None = option(
        None,
        "LoRA: the product is multiplied by LORA-ALPHA / LORA-RANK.",
        "LoRA：乘积再乘以 LORA-ALPHA / LORA-RANK。",
        bound=ABOVE_0,
        default_text="twice LORA-RANK",
    )
    lora_dropout: float = option(
        0.0,
        "LoRA: dropout of what enters the first of the two matrices.",
        "LoRA：第一个矩阵输入的 dropout。",
        bound=BELOW_1,
    )
    lora_target: Files = option(
        (),
        "LoRA: last part of the names of the linear layers beside which it learns, as qkv or q_proj (may be "
        "repeated).",
        "LoRA：在哪些线性层旁学习，给出层名的最后部分，如 qkv 或 q_proj（可重复给出）。",
        default_text="all",
        elsewhere="lora-target-modules target-modules",
    )
    lora_save: str = option(
        "merged",
        "LoRA: merged saves a plain tagger, adapter only what was learnt and the name of MODEL, which must "
        "be there wherever the tagger is opened.",
        "LoRA：merged 保存完整的标注器；adapter 只保存学到的部分和 MODEL 的名称，打开标注器时 MODEL 必须在。",
        choices=("merged", "adapter"),
    )

    context: int | None = option(
        None,
        "Document context (FLERT; Schweter and Akbik, 2020): pieces of the neighbouring sentences, at most, "
        "that the encoder reads on either side of a sentence, of which the CRF sees nothing; 0 for none.",
        "文档上下文（FLERT；Schweter 和 Akbik，2020）：编码器在句子两侧最多各读多少个相邻句子的词片，"
        "CRF 看不到它们；0 表示不用。",
        bound=NOT_NEGATIVE,
        default_text="0; of a tagger, as it was trained",
        elsewhere="context-size use-context document-context flert",
    )

    transitions: str = option(
        "random",
        "The CRF's scores at first: random (or those of a tagger to go on with); counts, log-probabilities "
        "counted in TRAIN, each count plus 1; frozen, the same and never trained.",
        "CRF 分数的初值：random 为随机（或沿用要继续训练的标注器的）；counts 为 TRAIN 中计数（各加 1）的"
        "对数概率；frozen 同 counts，但不再训练。",
        choices=("random", "counts", "frozen"),
        elsewhere="init-transitions transition-init",
    )
    freeze: str | None = option(
        None,
        "What of the encoder is not trained: embeddings, a number N for them and N layers, or encoder.",
        "编码器中不训练的部分：embeddings 为嵌入；数字 N 为嵌入和前 N 层；encoder 为全部。",
        elsewhere="freeze-layers freeze-encoder freeze-bert freeze-embeddings num-frozen-layers",
    )
    frozen_epochs: int = option(
        0,
        "Epochs after which FREEZE ends; 0 for never.",
        "FREEZE 持续的轮数；0 表示始终冻结。",
        bound=NOT_NEGATIVE,
        elsewhere="freeze-epochs unfreeze-epoch",
    )
    layer_decay: float = option(
        1.0,
        "The learning rate of each layer of the encoder, as a part of that of the layer above.",
        "编码器每层的学习率与上一层的比。",
        bound=UP_TO_1,
        elsewhere="layerwise-lr-decay llrd layer-wise-lr-decay lr-layer-decay",
    )
    average: float = option(
        0.0,
        "Evaluate and save moving averages of the weights, of which each step keeps this part, as 0.999; 0 "
        "for the weights themselves.",
        "评估和保存权重的滑动平均，每步保留其中这一部分，如 0.999；0 表示用权重本身。",
        bound=BELOW_1,
        elsewhere="ema ema-decay use-ema swa",
    )

    class_weight: Files = option(
        (),
        "Weight of a tag or of a type's tags in the loss, as O=0.5 or PER=2 (may be repeated); or inverse, "
        "which weighs each tag inversely to its frequency in TRAIN.",
        "某个标签或某类型全部标签在损失中的权重，如 O=0.5、PER=2（可重复给出）；"
        "inverse 按标签在 TRAIN 中频率的倒数。",
        elsewhere="class-weights loss-weights weight-dict",
    )
    label_smoothing: float = option(
        0.0,
        "Part of the loss that asks for all tags alike instead of the right ones.",
        "损失中要求所有标签均等（而非正确标签）的部分。",
        bound=BELOW_1,
        elsewhere="label-smoothing-factor smoothing",
    )
    focal: float = option(
        0.0,
        "Exponent of focal weights, by which sentences that are right already count less; 0 for none.",
        "focal 权重的指数，使已经正确的句子权重变小；0 表示不用。",
        bound=NOT_NEGATIVE,
        elsewhere="focal-gamma gamma focal-loss",
    )
    rdrop: float = option(
        0.0,
        "Weight of R-Drop (Wu et al., 2021): each batch is encoded twice, and the divergence of the two "
        "distributions is added to the loss; 0 for none.",
        "R-Drop（Wu 等，2021）的权重：每批编码两次，两个分布的散度加进损失；0 表示不用。",
        bound=NOT_NEGATIVE,
        elsewhere="r-drop rdrop-alpha",
    )
    adversarial: str = option(
        "none",
        "Learn each batch once more with moved embeddings: fgm in one step (Miyato et al., 2017), pgd in "
        "several (Madry et al., 2018).",
        "每批再以扰动的嵌入学一次：fgm 为一步（Miyato 等，2017），pgd 为多步（Madry 等，2018）。",
        choices=("none", "fgm", "pgd"),
        elsewhere="fgm pgd adv adv-train use-fgm use-pgd adversarial-training",
    )
    adversarial_radius: float | None = option(
        None,
        "ADVERSARIAL: how far the table of embeddings moves, in the Euclidean norm.",
        "ADVERSARIAL：嵌入表移动的欧氏距离。",
        bound=ABOVE_0,
        default_text="the mean norm of a piece's embedding at first",
        elsewhere="adv-epsilon epsilon fgm-epsilon pgd-epsilon",
    )
    adversarial_steps: int = option(
        3,
        "Steps of pgd.",
        "pgd 的步数。",
        bound=AT_LEAST_2,
        elsewhere="pgd-k pgd-steps adv-steps",
    )

    def __post_init__(self) -> None:
        self._as_tuples("lora_target", "class_weight")
        self._as_text("freeze")
        super().__post_init__()
        if not self.lora_rank:
            for name in ("lora_alpha", "lora_dropout", "lora_target"):
                self._check(name, not getattr(self, name), "come with lora_rank")
            self._check("lora_save", self.lora_save == "merged", "come with lora_rank")
        self._check("freeze", _can_be_frozen(self.freeze), "be embeddings, encoder or a number of layers")
        self._check("frozen_epochs", not self.frozen_epochs or self.freeze is not None, "come with freeze")
        self._check("freeze", not (self.freeze == "encoder" and self.lora_rank), "leave lora_rank layers")
        fixed = bool(self.lora_rank) or self.freeze is not None
        self._check(
            "adversarial", self.adversarial == "none" or not fixed, "be none if embeddings are frozen"
        )
        good = self.class_weight == ("inverse",) or all(map(_is_weight, self.files("class_weight")))
        self._check("class_weight", good, "be inverse alone, or TAG=WEIGHT with weights from 0 up")


def _is_weight(entry: str) -> bool:
    name, _, weight = entry.rpartition("=")
    try:
        return bool(name) and 0 <= float(weight) < math.inf
    except ValueError:
        return False


def _can_be_frozen(freeze: str | None) -> bool:
    if freeze in (None, "embeddings", "encoder"):
        return True
    return freeze.isascii() and freeze.isdigit() and int(freeze[:9]) > 0
