"""The options that training and pretraining share: where to start, how to learn, how to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.option import (
    ABOVE_0,
    AT_LEAST_1,
    BELOW_1,
    NOT_NEGATIVE,
    SEED,
    documented,
    option,
)

SCRATCH_SIZES = ("tiny", "small", "base")
PRECISIONS = ("no", "bf16", "fp16")
OPTIMIZERS = ("adamw", "adamw-8bit")
TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")


@documented
@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """What `train` and `pretrain` share."""

    absent: ClassVar[dict[str, str]] = dict.fromkeys(
        ("device", "gpu", "gpus", "gpu-id", "cuda", "no-cuda", "use-gpu", "local-rank"),
        "a GPU is used if there is one (CUDA_VISIBLE_DEVICES hides it), several with torchrun",
    )

    model: str = option(
        "small",
        "Pretrained encoder (directory or hub name) or, in train, a tagger to go on with; or a size to train "
        "from scratch: tiny (2 layers, 128 wide), small (4, 256) or base (12, 768).",
        "预训练编码器（目录或 hub 名称），train 中也可以是要继续训练的标注器；"
        "或从零训练的大小：tiny（2 层、128 维）、small（4 层、256 维）、"
        "base（12 层、768 维）。",
        elsewhere="model-name-or-path model-name pretrained-model pretrained-model-name-or-path encoder",
    )
    epochs: int = option(
        10,
        "Passes over the training data.",
        "训练数据的遍数。",
        bound=AT_LEAST_1,
        elsewhere="max-epochs num-train-epochs num-epochs n-epochs train-epochs",
    )
    batch_tokens: int | None = option(
        None,
        "Encoder positions in a batch, padding counted.",
        "一个批次的编码器位置数（含填充）。",
        bound=AT_LEAST_1,
        elsewhere="batch-size train-batch-size per-device-train-batch-size per-gpu-train-batch-size "
        "mini-batch-size",
    )
    accumulate: int = option(
        1,
        "Batches whose gradients are added up before an optimiser step.",
        "每次优化前累积梯度的批次数。",
        bound=AT_LEAST_1,
        elsewhere="gradient-accumulation-steps accumulate-gradient grad-accum accumulation-steps",
    )
    learning_rate: float | None = option(
        None,
        "Peak learning rate.",
        "学习率峰值。",
        bound=ABOVE_0,
        elsewhere="lr peak-lr learn-rate",
    )
    optimizer: str = option(
        "adamw",
        "AdamW, or AdamW with moments of 8 bits, which take a quarter of the memory; this needs the package "
        "bitsandbytes.",
        "AdamW，或 8 位动量的 AdamW：动量内存只需四分之一，需要软件包 bitsandbytes。",
        choices=OPTIMIZERS,
        elsewhere="optim optimiser",
    )
    weight_decay: float = option(
        0.01,
        "AdamW's weight decay; biases, norms and the CRF's scores do not decay.",
        "AdamW 的权重衰减；偏置、归一化层和 CRF 分数不衰减。",
        bound=NOT_NEGATIVE,
        elsewhere="decay l2",
    )
    warmup: float = option(
        0.1,
        "Part of all steps in which the learning rates rise linearly; then they fall linearly to 0.",
        "学习率线性上升的步数占全部步数的比例；之后线性降到 0。",
        bound=BELOW_1,
        elsewhere="warmup-ratio warmup-proportion warmup-fraction warmup-steps num-warmup-steps",
    )
    clip: float = option(
        1.0,
        "Largest gradient norm; 0 for no clipping.",
        "梯度范数上限；0 表示不裁剪。",
        bound=NOT_NEGATIVE,
        elsewhere="max-grad-norm grad-clip gradient-clip-val clip-grad-norm",
    )
    patience: int = option(
        5,
        "Stop after this many epochs without a better result on dev, in train counted from the first with an "
        "F1 of 0.1; 0 to never stop early.",
        "开发集结果连续多少轮没有提高就停止（train 从 F1 首次达到 0.1 的一轮算起）；0 表示从不提前停止。",
        bound=NOT_NEGATIVE,
        elsewhere="early-stopping-patience early-stop early-stopping",
    )
    precision: str = option(
        "no",
        "Autocast of the encoder: no (float32), bf16 or fp16.",
        "编码器的自动混合精度：no（float32）、bf16 或 fp16。",
        choices=PRECISIONS,
        elsewhere="fp16 bf16 mixed-precision amp use-amp",
    )
    checkpointing: bool = option(
        False,
        "Recompute each layer of the encoder in the backward pass instead of keeping what it computed: about "
        "a third more time for much less memory (Chen et al., 2016).",
        "反向传播时重新计算编码器各层，而不保存其中间结果：时间约多三分之一，内存少得多（Chen 等，2016）。",
        elsewhere="gradient-checkpointing activation-checkpointing",
    )
    compile: bool = option(
        False,
        "Compile the encoder by torch.compile, for any batch size and length: minutes at the start, then "
        "faster on a GPU.",
        "用 torch.compile 编译编码器（批次大小和长度不限）：开始时要几分钟，之后在 GPU 上更快。",
        elsewhere="torch-compile use-compile",
    )
    timeout: int = option(
        1800,
        "Several processes: seconds for which one waits for the others before it ends with an error.",
        "多进程：等待其他进程的秒数，超过则报错结束。",
        bound=AT_LEAST_1,
        elsewhere="ddp-timeout",
    )
    track: str | None = option(
        None,
        "Also record the run by this package, which must be installed.",
        "另用此软件包记录训练过程（须已安装）。",
        choices=TRACKERS,
        default_text="none",
        elsewhere="report-to logger log-with",
    )
    seed: int = option(
        0,
        "Seed of initial weights, dropout, the order of batches, and masks.",
        "初始权重、dropout、批次顺序和掩码的随机种子。",
        bound=SEED,
        elsewhere="random-seed random-state",
    )
    checkpoint_steps: int = option(
        0,
        "Optimiser steps between checkpoints within an epoch; 0 for one after each epoch.",
        "一轮之内每多少步存一个检查点；0 表示只在每轮之后存。",
        bound=NOT_NEGATIVE,
        elsewhere="save-steps checkpointing-steps save-interval",
    )
    unit: str = option(
        "auto",
        "What a tag stands for and a text is cut into: char, word, or auto to tell from the text.",
        "标签对应、文本切分的单位：char（字）、word（词），auto 由文本判断。",
        choices=("auto", "char", "word"),
    )
    min_count: int = option(
        2,
        "From scratch: how often a character must occur to enter the vocabulary.",
        "从零训练：字符进入词表的最低出现次数。",
        bound=AT_LEAST_1,
        elsewhere="min-freq min-frequency",
    )
    vocab_size: int = option(
        8000,
        "From scratch: largest vocabulary of word pieces.",
        "从零训练：词片词表的大小上限。",
        bound=AT_LEAST_1,
        elsewhere="max-vocab-size",
    )
    lowercase: bool = option(
        False,
        "From scratch: ignore case.",
        "从零训练：不区分大小写。",
        elsewhere="do-lower-case lower-case uncased",
    )
    revision: str | None = option(
        None,
        "Branch, tag or commit of a hub model.",
        "hub 模型的分支、标签或提交。",
        elsewhere="model-revision",
    )
    resume: bool = option(
        False,
        "Continue an interrupted run in OUT from its last checkpoint.",
        "从 OUT 中最后的检查点继续中断的训练。",
        elsewhere="resume-from-checkpoint resume-training continue",
    )
    overwrite: bool = option(
        False,
        "Write over an earlier run in OUT.",
        "覆盖 OUT 中已有的结果。",
        elsewhere="overwrite-output-dir force",
    )

    @property
    def from_scratch(self) -> bool:
        """Whether `model` names a size rather than a checkpoint."""
        return self.model in SCRATCH_SIZES
