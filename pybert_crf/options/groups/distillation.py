"""The options of learning from another tagger."""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.options.schema.base import Files, Options
from pybert_crf.options.schema.option import ABOVE_0, documented, option


@documented
@dataclass(frozen=True, kw_only=True)
class DistillationOptions(Options):
    """A teacher and its texts; docs/training.md says what is learnt from it."""

    teacher: str | None = option(
        None,
        "A saved tagger (directory or hub name) whose distribution over the tags of TRAIN's sentences and of "
        "TEXT is learnt; its labels, scheme and unit become those of the new tagger.",
        "保存的标注器（目录或 hub 名称）：学习它在 TRAIN 的句子和 TEXT 上的标签分布；"
        "新标注器沿用它的标签、标注体系和单位。",
        elsewhere="teacher-model teacher-name-or-path distill-from distillation-teacher",
    )
    text: Files = option(
        (),
        "TEACHER: untagged text to learn from, one a line (may be repeated); TRAIN may then be left out.",
        "TEACHER：用来学习的无标签文本，一行一条（可重复给出）；此时可以不给 TRAIN。",
        elsewhere="unlabeled unlabelled unlabeled-data unlabelled-data unlabeled-file",
    )
    text_format: str = option(
        "auto",
        "TEXT: auto for plain text, or another format as of FORMAT, whose tags are left out.",
        "TEXT：auto 为纯文本；也可以是 FORMAT 的其他格式，其中的标签不读。",
        choices=("auto", "columns", "json", "csv", "words", "brat", "datasets", "spacy"),
    )
    teacher_weight: float = option(
        1.0,
        "TEACHER: weight of the divergence from it, beside 1 for the tags of TRAIN.",
        "TEACHER：与它的散度的权重；TRAIN 的标签权重为 1。",
        bound=ABOVE_0,
        elsewhere="distillation-weight distill-weight alpha-distil distillation-alpha kd-weight",
    )

    def __post_init__(self) -> None:
        self._as_tuples("text")
        super().__post_init__()
        self._check("text", not self.text or self.teacher is not None, "come with teacher")
        self._check("text_format", self.text_format == "auto" or bool(self.text), "come with text")
        self._check(
            "teacher_weight", self.teacher_weight == 1 or self.teacher is not None, "come with teacher"
        )
