"""The options that say how a corpus is written, with the same names in all verbs."""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.option import documented, option


@documented
@dataclass(frozen=True, kw_only=True)
class CorpusOptions(Options):
    """How corpora are written; what is not said is found out from the file."""

    encoding: str | None = option(
        None,
        "Encoding of the files, such as gb18030 or utf-16; otherwise UTF-8.",
        "文件的编码，如 gb18030 或 utf-16；不给则为 UTF-8。",
        elsewhere="file-encoding",
    )
    token_column: str | None = option(
        None,
        "Column of the tokens: a number from 1, or its name; otherwise the first that is no index.",
        "词或字所在的列：从 1 起的编号，或列名；不给则为第一个不是序号的列。",
        elsewhere="text-column-name word-column",
    )
    tag_column: str | None = option(
        None,
        "Column of the tags: a number from 1, or its name (upos); otherwise the one with tags of a scheme.",
        "标签所在的列：从 1 起的编号，或列名（如 upos）；不给则为含有某种标注体系标签的列。",
        elsewhere="label-column label-column-name ner-column",
    )
    sentence_column: str | None = option(
        None,
        "Column whose value changes where a sentence ends, in CSV and TSV with a header: its name.",
        "带表头的 CSV、TSV 中，其值在句子结束处改变的列：列名。",
        elsewhere="sentence-id-column sentence-id",
    )
    space_tokens: str = option(
        "refuse",
        "A token that is a space: refuse, with its line; keep, as a token.",
        "词或字是空格时：refuse 为报错并给出行号；keep 为保留。",
        choices=("refuse", "keep"),
    )
    format: str = option(
        "auto",
        "Format of tagged files: columns (CoNLL-U too); json (lines or an array; tokens and tags, or entities"
        " as spans); csv (CSV or TSV with a header); words (word-segmented text); brat;"
        " datasets (Parquet, a folder of save_to_disk, datasets:owner/name of the hub); spacy (.spacy);"
        " auto finds it out.",
        "带标签文件的格式：columns 为列文件（包括 CoNLL-U）；"
        "json 为 JSON（逐行或数组；词与标签，或以区间表示的实体）；"
        "csv 为带表头的 CSV 或 TSV；words 为分好词的文本；brat；"
        "datasets 为 Parquet、save_to_disk 写的文件夹，或 hub 上的 datasets:owner/name；"
        "spacy 为 .spacy；auto 为自动判断。",
        choices=("auto", "columns", "json", "csv", "words", "brat", "datasets", "spacy"),
        elsewhere="input-format file-format data-format",
    )
    labels: str | None = option(
        None,
        "Names of the tags 0, 1, …, separated by commas, where a file has numbers.",
        "文件中的标签是数字时，0、1……对应的标签名，用逗号分隔。",
        elsewhere="label-list label-names labels-file",
    )
    overlaps: str = option(
        "refuse",
        "Entities that overlap: refuse, with the line; keep the longest or the first.",
        "实体重叠时：refuse 为报错并给出行号；longest 或 first 为保留最长或最先的。",
        choices=("refuse", "longest", "first"),
    )
    scheme: str | None = option(
        None,
        "Scheme of the tags: BIO, IOB1, IO, BIOES, BMES, BILOU, BIOS, BMEWO, IOE1, IOE2, or none for plain "
        "tags such as parts of speech; otherwise found out.",
        "标签的标注体系：BIO、IOB1、IO、BIOES、BMES、BILOU、BIOS、BMEWO、IOE1、IOE2，"
        "或 none（词性之类的普通标签）；不给则自动判断。",
        elsewhere="tag-scheme label-scheme",
    )
    map_tags: bool = option(
        False,
        "Read tags in other spellings: B_PER, PER-B, b-per as B-PER; and, beside O, PER as I-PER.",
        "按其他写法读取标签：B_PER、PER-B、b-per 读作 B-PER；有 O 时 PER 读作 I-PER。",
    )
    annotator: str | None = option(
        None,
        "Whose annotations are read, where Label Studio has several of one text.",
        "Label Studio 中同一文本有多人标注时，读取谁的标注。",
    )
