"""The options of examining a corpus."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pybert_crf.options.groups.corpus import CorpusOptions
from pybert_crf.options.schema.base import Files
from pybert_crf.options.schema.option import documented, option


@documented
@dataclass(frozen=True)
class DebugDataOptions(CorpusOptions):
    """The options of ``pybert-crf debug-data``."""

    corpora: Files = option(
        MISSING,
        "Corpora, the one to train on first; the others are held against it.",
        "语料，第一个是训练语料，其余与它对照。",
        kw_only=False,
        argument=True,
        elsewhere="train train-file data data-dir input",
    )
    model: str | None = option(
        None,
        "Encoder or tagger (directory or hub name) whose tokenizer and windows are held against the files.",
        "编码器或标注器（目录或 hub 名称），用它的分词器和窗口检查语料。",
        elsewhere="model-name-or-path model-path model-name tokenizer",
    )
    unit: str = option(
        "auto",
        "What carries a tag: char, word; auto finds it out.",
        "标签的单位：char 为字，word 为词；auto 为自动判断。",
        choices=("auto", "char", "word"),
    )
    json: str | None = option(
        None,
        "Also write all figures to this file.",
        "同时把全部数字写入此文件。",
        elsewhere="output output-file",
    )
    html: str | None = option(
        None,
        "Also write one HTML page with pictures to this file.",
        "同时把带图的网页写入此文件。",
        elsewhere="report page",
    )

    def __post_init__(self) -> None:
        self._as_tuples("corpora")
        super().__post_init__()
        self._check("corpora", len(self.corpora) > 0, "name at least one file")
