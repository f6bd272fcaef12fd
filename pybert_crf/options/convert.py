"""The options of converting a corpus."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pybert_crf.options.corpus import CorpusOptions
from pybert_crf.options.option import documented, option


@documented
@dataclass(frozen=True)
class ConvertOptions(CorpusOptions):
    """The options of ``pybert-crf convert``."""

    file: str = option(
        MISSING,
        "Corpus to read: columns or JSON.",
        "要读取的语料：列文件或 JSON。",
        kw_only=False,
        argument=True,
        elsewhere="input input-file in",
    )
    out: str = option(
        MISSING,
        "File to write: JSON lines if its name ends in .json or .jsonl, otherwise columns.",
        "要写入的文件：名字以 .json 或 .jsonl 结尾时为逐行 JSON，否则为列文件。",
        kw_only=False,
        argument=True,
        elsewhere="output output-file",
    )
    to: str = option(
        "auto",
        "Format to write: columns, json; auto goes by the name of OUT.",
        "写入的格式：columns 为列文件，json 为逐行 JSON；auto 按 OUT 的名字。",
        choices=("auto", "columns", "json"),
        elsewhere="output-format",
    )
    scheme: str | None = option(
        None,
        "Scheme of the tags in columns: BIO, BIOES, BMES …; otherwise that of FILE.",
        "列文件中标签的标注体系：BIO、BIOES、BMES 等；不给则与 FILE 相同。",
        elsewhere="to-scheme",
    )
    unit: str = option(
        "auto",
        "What carries a tag: char, word; auto finds it out.",
        "标签的单位：char 为字，word 为词；auto 为自动判断。",
        choices=("auto", "char", "word"),
    )
