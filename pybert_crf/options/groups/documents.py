"""The options that say what a document of a corpus is, with the same names in all verbs that need to know."""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.option import documented, option


@documented
@dataclass(frozen=True, kw_only=True)
class DocumentOptions(Options):
    """Which sentences belong to one document, so that one is the context of the other."""

    documents: str = option(
        "auto",
        "What a document is: auto, what the file marks (-DOCSTART-, # newdoc, DOCUMENT-COLUMN, brat, spaCy); "
        "file, each file; blank, what blank lines separate in text with a sentence a line; none, nothing.",
        "什么是一个文档：auto 按文件的标记（-DOCSTART-、# newdoc、DOCUMENT-COLUMN、brat、spaCy）；"
        "file 为每个文件；blank 为一行一句的文本中空行隔开的部分；none 为不分文档。",
        choices=("auto", "file", "blank", "none"),
    )
    document_column: str | None = option(
        None,
        "Field of JSON, or column of CSV, TSV and Parquet, that is the same in all sentences of a document; "
        "of JSON and Parquet it may be left out if it is called document.",
        "JSON 的字段，或 CSV、TSV、Parquet 的列，同一文档的句子其值相同；"
        "JSON 和 Parquet 中名为 document 时可以不给。",
        elsewhere="document-id document-id-column doc-id doc-id-column",
    )
