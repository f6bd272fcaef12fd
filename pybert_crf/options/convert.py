"""The options of converting a corpus."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pybert_crf.options.groups.corpus import CorpusOptions
from pybert_crf.options.groups.documents import DocumentOptions
from pybert_crf.options.schema.option import documented, option


@documented
@dataclass(frozen=True)
class ConvertOptions(DocumentOptions, CorpusOptions):
    """The options of ``pybert-crf convert``."""

    file: str = option(
        MISSING,
        "Corpus to read, in any format; - for standard input.",
        "要读取的语料，格式不限；- 表示标准输入。",
        kw_only=False,
        argument=True,
        elsewhere="input input-file in",
    )
    out: str = option(
        MISSING,
        "File to write: .json and .jsonl for JSON lines, .csv, .seg for words, .ann for brat, .parquet, "
        ".spacy; else columns.",
        "要写入的文件：.json、.jsonl 为逐行 JSON，.csv，.seg 为分词文本，.ann 为 brat，.parquet，.spacy；"
        "其余为列文件。",
        kw_only=False,
        argument=True,
        elsewhere="output output-file",
    )
    to: str = option(
        "auto",
        "Format to write: columns; json (text and entities a line); lists (tokens and ner_tags a line); csv; "
        "words (between spaces); conllu (of plain tags); brat; parquet (tokens and ner_tags); spacy; auto "
        "goes by the name of OUT.",
        "写入的格式：columns 为列文件；json 为每行文本与实体；lists 为每行 tokens 与 ner_tags；csv；"
        "words 为空格隔开的词；conllu 限普通标签；brat；parquet（tokens 与 ner_tags）；spacy；"
        "auto 按 OUT 的名字。",
        choices=("auto", "columns", "json", "lists", "csv", "words", "conllu", "brat", "parquet", "spacy"),
        elsewhere="output-format",
    )
    scheme: str | None = option(
        None,
        "Scheme of the tags that are written: BIO, BIOES, BMES …; otherwise that of FILE.",
        "写入的标签的标注体系：BIO、BIOES、BMES 等；不给则与 FILE 相同。",
        elsewhere="to-scheme",
    )
    unit: str = option(
        "auto",
        "What carries a tag: char, word; auto finds it out.",
        "标签的单位：char 为字，word 为词；auto 为自动判断。",
        choices=("auto", "char", "word"),
    )
