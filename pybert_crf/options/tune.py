"""The options of tuning a tagger's training."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pybert_crf.options.schema.base import Files
from pybert_crf.options.schema.option import AT_LEAST_1, documented, option
from pybert_crf.options.train import TrainOptions


@documented
@dataclass(frozen=True)
class TuneOptions(TrainOptions):
    """The options of `pybert_crf.tune`: those of `TrainOptions`, some of which each trial varies.

    Raises:
        ValueError: a value of the wrong type, or out of range; by name.
    """

    trials: int = option(
        20,
        "Runs in all, each with other values.",
        "训练的总次数，每次用不同的值。",
        bound=AT_LEAST_1,
        elsewhere="n-trials num-trials max-trials",
    )
    vary: Files = option(
        (),
        "An option of train to vary (may be repeated): NAME, in its usual range; NAME=LOW:HIGH, numbers "
        "between these; NAME=A,B,C, one of these.",
        "要变化的 train 选项（可重复给出）：NAME 为在其常用范围内；NAME=LOW:HIGH 为其间的数；"
        "NAME=A,B,C 为其中之一。",
        default_text="learning-rate, head-learning-rate, dropout, warmup, batch-tokens, transitions",
        elsewhere="search-space space param params search",
    )
    pruning: str = option(
        "median",
        "Which trials are stopped early: median, those that are worse after an epoch than the median of the "
        "others after it; none.",
        "提前停止哪些试验：median 为一轮之后不如其余试验同轮中位数的；none 为都不停。",
        choices=("median", "none"),
        elsewhere="pruner prune",
    )

    def __post_init__(self) -> None:
        self._as_tuples("vary")
        super().__post_init__()
        self._check("seeds", self.seeds == 1, "be 1 in tune, which compares single runs")
        self._check(
            "folds", not self.folds or self.fold > 0, "come with fold in tune, which compares single runs"
        )

    def training(self, **changes: object) -> TrainOptions:
        """The options of one run, with changes."""
        own = {known.name: getattr(self, known.name) for known in fields(TrainOptions)}
        return TrainOptions(**(own | changes))
