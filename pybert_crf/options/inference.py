"""The options of using a saved tagger."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import ClassVar

from pybert_crf.options.groups.cluster import ClusterOptions
from pybert_crf.options.groups.corpus import CorpusOptions
from pybert_crf.options.groups.documents import DocumentOptions
from pybert_crf.options.groups.report import ReportOptions
from pybert_crf.options.groups.rules import RuleOptions
from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.option import AT_LEAST_1, DTYPES, NOT_NEGATIVE, SHARE, documented, option


@documented
@dataclass(frozen=True)
class ComputeOptions(Options):
    """How a saved tagger computes."""

    device: str = option(
        "cpu",
        "Where to compute: cpu, cuda, cuda:1, mps …; auto spreads a large encoder over all GPUs, and over "
        "memory and disk where it does not fit.",
        "计算设备：cpu、cuda、cuda:1、mps 等；auto 把大编码器分到全部 GPU，放不下的放在内存和磁盘。",
        elsewhere="gpu gpu-id cuda no-cuda use-gpu use-cuda",
    )
    dtype: str | None = option(
        None,
        "Type of the encoder's weights: float32, or bfloat16 at half the memory.",
        "编码器权重的类型：float32，或只占一半内存的 bfloat16。",
        choices=DTYPES,
        default_text="as saved",
        elsewhere="torch-dtype weights-dtype half bf16",
    )
    int8: bool = option(
        False,
        "Compute the encoder's linear layers with 8-bit integers (CPU): faster, not quite the same.",
        "编码器的线性层用 8 位整数计算（CPU）：更快，结果略有出入。",
        elsewhere="quantize quantization quantized",
    )
    batch_tokens: int = option(
        2048,
        "Encoder positions computed at once, padding counted.",
        "一次计算的编码器位置数（含填充）。",
        bound=AT_LEAST_1,
        elsewhere="batch-size eval-batch-size per-device-eval-batch-size mini-batch-size",
    )


@documented
@dataclass(frozen=True)
class InferenceOptions(ComputeOptions):
    """What `predict` and `evaluate` share."""

    model: str = option(
        MISSING,
        "A saved tagger: directory or hub name; or an exported one.",
        "保存的标注器：目录或 hub 名称；也可以是导出的标注器。",
        kw_only=False,
        argument=True,
        elsewhere="model-name-or-path model-path model-name model-dir checkpoint",
    )
    context: int | None = option(
        None,
        "Pieces of the neighbouring sentences of a document, at most, that the encoder reads on either side "
        "of a sentence; 0 for none.",
        "编码器在句子两侧最多各读多少个同一文档相邻句子的词片；0 表示不用。",
        bound=NOT_NEGATIVE,
        default_text="as trained",
        elsewhere="context-size use-context document-context",
    )


@documented
@dataclass(frozen=True)
class EvaluateOptions(InferenceOptions, DocumentOptions, CorpusOptions, ReportOptions):
    """The options of ``pybert-crf evaluate``."""

    file: str = option(
        MISSING,
        "Corpus: columns (token first, tag last) or JSON.",
        "语料：列文件（首列为词或字，末列为标签）或 JSON。",
        kw_only=False,
        argument=True,
        elsewhere="test-file test-data eval-file dev-file input input-file",
    )
    json: str | None = option(
        None,
        "Also write the figures to this file.",
        "同时把各项指标写入此文件。",
        elsewhere="output output-file output-path metrics-file",
    )
    html: str | None = option(
        None,
        "Also write a report as one HTML page to this file: errors, calibration, sentences.",
        "同时把报告写成一个网页，存入此文件：错误、校准、句子。",
        elsewhere="report page",
    )


@documented
@dataclass(frozen=True)
class PredictOptions(InferenceOptions, DocumentOptions, CorpusOptions, RuleOptions, ClusterOptions):
    """The options of ``pybert-crf predict``."""

    absent: ClassVar[dict[str, str]] = {"columns": "a column file is given by --format columns"}

    file: str = option(
        "-",
        "Text, one per line; - for standard input; a folder for all files in it. Other formats by --format, "
        "whose tags are left out: of columns the tokens are tagged, a blank line ends a sentence.",
        "文本，一行一条；- 表示标准输入；文件夹表示其中所有文件。其他格式用 --format 指明，其中的标签不读："
        "列文件（columns）标注其中的词或字，句子之间空一行。",
        kw_only=False,
        argument=True,
        elsewhere="input input-file test-file predict-file text",
    )
    out: str | None = option(
        None,
        "File for the answers, which appears whole or, after an error, not at all; of a folder a folder. "
        "With --ray: folder or address; the same command goes on with what is missing there.",
        "存放结果的文件，要么完整出现，要么（出错时）不出现；FILE 为文件夹时也是文件夹。"
        "配合 --ray：文件夹或远程地址；同一命令会接着完成其中缺少的部分。",
        kw_only=False,
        argument=True,
        default_text="standard output",
        elsewhere="output output-file output-dir output-path",
    )
    to: str | None = option(
        None,
        "Output: jsonl, text and entities with character offsets; columns, unit, tab, tag; conllu, plain "
        "tags as UPOS, others in MISC; words, between spaces, with /TYPE if they have one; inline, "
        "[text|TYPE]; html, a page; doccano and label-studio, what these import, with scores; table, that of "
        "TEXT-COLUMN with a column more; parquet, with --ray.",
        "输出：jsonl 为文本和带字符偏移的实体；columns 为单位、制表符、标签；"
        "conllu 中普通标签写在 UPOS，其余写在 MISC；"
        "words 为空格隔开的词，有类型时后接 /类型；inline 为 [文本|类型]；html 为网页；"
        "doccano 和 label-studio 为这两个工具可导入的预标注，带分数；table 为 TEXT-COLUMN 的表格多出一列；"
        "parquet 需配合 --ray。",
        choices=(
            *("jsonl", "columns", "conllu", "words", "inline", "html", "doccano", "label-studio"),
            *("table", "parquet"),
        ),
        default_text="jsonl; with TEXT-COLUMN table",
        elsewhere="output-format",
    )
    text_column: str | None = option(
        None,
        "FILE is a table, CSV, TSV, JSON lines or Parquet, by its name or --format; the texts are in this "
        "column. With --ray, of JSON lines and Parquet, text or the only column if it is not given.",
        "FILE 是表格：CSV、TSV、逐行 JSON 或 Parquet（按文件名或 --format 判断），文本在这一列。"
        "配合 --ray 时限于逐行 JSON 和 Parquet，不给则为 text 或唯一的一列。",
        elsewhere="text-field content-column column",
    )
    whole_files: bool = option(
        False,
        "A whole file is one text, line breaks included, and offsets count in it.",
        "整个文件是一条文本，包括换行；偏移按整个文件计算。",
        elsewhere="whole-file whole-document",
    )
    split_sentences: bool = option(
        False,
        "Tag the sentences of a text one by one, as those of a document; offsets are those in the text.",
        "文本中的句子逐句标注，视为一个文档的句子；偏移仍按整条文本计算。",
        elsewhere="sentence-split split-text sentencize",
    )
    uncertain: int = option(
        0,
        "Only this many texts, those whose best reading is least probable, the least probable first; 0 for "
        "all texts in order.",
        "只输出这么多条文本：最优读法概率最低的，最低的在前；0 表示按原顺序输出全部。",
        bound=NOT_NEGATIVE,
        elsewhere="least-confident active-learning num-uncertain uncertainty",
    )
    min_score: float = option(
        0.0,
        "Leave out entities of a lower probability; their units are tagged O.",
        "概率更低的实体不输出，其中的单位标为 O。",
        bound=SHARE,
        elsewhere="threshold min-confidence score-threshold confidence",
    )
    errors: str = option(
        "stop",
        "A line that cannot be read: stop, after all answers before it; skip, with an error for its answer, "
        "or without its row in a table.",
        "遇到无法读取的行：stop 为写完之前的全部结果后停止；skip 为以错误作为该行的结果（表格中略去该行）"
        "并继续。",
        choices=("stop", "skip"),
        elsewhere="on-error on-bad-lines ignore-errors skip-errors",
    )
    max_line: int = option(
        1_000_000,
        "Characters that a line or document may have; a longer one cannot be read.",
        "一行或一个文档最多的字符数；更长的无法读取。",
        bound=AT_LEAST_1,
        elsewhere="max-line-length line-length",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.to == "table":
            self._check("to", self.text_column is not None, "not be table without TEXT-COLUMN")
        if self.writes_tables:
            more = "be 0 where a table is written; --to jsonl, doccano or label-studio writes its texts"
            self._check("uncertain", self.uncertain == 0, more)
        if self.whole_files:
            self._check("format", self.format == "auto", "be auto with WHOLE-FILES, which are plain text")
            self._check("text_column", self.text_column is None, "not be given with WHOLE-FILES")

    @property
    def writes_tables(self) -> bool:
        """Whether the answers are a table, that of FILE with a column more."""
        return self.text_column is not None and self.to in (None, "table")
