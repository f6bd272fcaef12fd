"""The options of what one can change about a tagger's training beside its rates and its length."""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.options.base import Files, Options
from pybert_crf.options.option import ABOVE_0, BELOW_1, NOT_NEGATIVE, documented, option


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

    def __post_init__(self) -> None:
        self._as_tuples("lora_target")
        super().__post_init__()
        if not self.lora_rank:
            for name in ("lora_alpha", "lora_dropout", "lora_target"):
                self._check(name, not getattr(self, name), "come with lora_rank")
            self._check("lora_save", self.lora_save == "merged", "come with lora_rank")
