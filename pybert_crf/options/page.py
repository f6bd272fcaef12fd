"""The options page of the docs, in English and Chinese: ``python -m pybert_crf.options.page [en|zh]``."""

from __future__ import annotations

import sys
from dataclasses import MISSING, Field, fields
from typing import Any, NamedTuple

from pybert_crf.options.convert import ConvertOptions
from pybert_crf.options.debug_data import DebugDataOptions
from pybert_crf.options.export import ExportOptions
from pybert_crf.options.inference import EvaluateOptions, PredictOptions
from pybert_crf.options.pretrain import PretrainOptions
from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.elsewhere import flag
from pybert_crf.options.schema.option import default_words, in_order, option_of
from pybert_crf.options.serve import ServeOptions
from pybert_crf.options.train import TrainOptions
from pybert_crf.options.tune import TuneOptions

VERBS: dict[str, type[Options]] = {
    "train": TrainOptions,
    "pretrain": PretrainOptions,
    "tune": TuneOptions,
    "evaluate": EvaluateOptions,
    "predict": PredictOptions,
    "debug-data": DebugDataOptions,
    "convert": ConvertOptions,
    "export": ExportOptions,
    "serve": ServeOptions,
}


class _Words(NamedTuple):
    """What the page says in a language besides the options' help."""

    title: str
    introduction: str
    columns: tuple[str, ...]
    required: str
    also: str  # of a verb with all options of another one
    phrases: dict[str, str]  # of defaults told in words


_WORDS = {
    "en": _Words(
        "Options",
        "[中文](options.zh-CN.md)\n"
        "\n"
        "This page is made by `python -m pybert_crf.options.page` from `pybert_crf/options`.\n"
        "\n"
        "`train`, `pretrain` and `tune` also take `--options FILE`, a TOML file with any of these options\n"
        "(`batch-tokens = 512`); flags win over it. In Python, `TrainOptions` and `PretrainOptions`\n"
        "have the same names with underscores. A name that other tools use (last column) is answered\n"
        "with the name here.",
        ("option", "default", "meaning", "elsewhere"),
        "required",
        "All options of `{verb}`, and:",
        {},
    ),
    "zh": _Words(
        "选项",
        "[English](options.md)\n"
        "\n"
        "本页由 `python -m pybert_crf.options.page zh` 从 `pybert_crf/options` 的数据类生成。\n"
        "\n"
        "`train`、`pretrain` 和 `tune` 还接受 `--options FILE`：写有任意选项的 TOML 文件\n"
        "（`batch-tokens = 512`），命令行选项优先。在 Python 中，`TrainOptions` 和 `PretrainOptions`\n"
        "用同样的名称，连字符换成下划线。\n"
        "用了别的工具的名称（最后一列）时，程序会提示这里的名称。",
        ("选项", "默认值", "含义", "别处的名称"),
        "必需",
        "`{verb}` 的全部选项，以及：",
        {
            "from scratch": "从零训练",
            "256 to 1024, to fit TRAIN and EPOCHS": "256 到 1024，按 TRAIN 和 EPOCHS 而定",
            "from 5e-5, higher in a short run; ": "5e-5 起，短的训练更高；",
            "from 1e-3, higher in a short run; ": "1e-3 起，短的训练更高；",
            "the encoder's": "编码器的上限",
            "the mean norm of a piece's embedding at first": "开始时一个词片的嵌入的平均范数",
            "twice LORA-RANK": "LORA-RANK 的两倍",
            "required, unless there is TEXT": "必需，除非有 TEXT",
            "required": "必需",
            "all": "全部",
            "the processors, divided among the workers": "处理器数由各工作进程平分",
        },
    ),
}


def options_page(language: str = "en") -> str:
    """The page in Markdown; `language` is ``"en"`` or ``"zh"``."""
    words = _WORDS[language]
    parts = [f"# {words.title}", words.introduction]
    for verb, kind in VERBS.items():
        rows = [f"| {' | '.join(words.columns)} |", "|" + " --- |" * len(words.columns)]
        parts.append(f"## `pybert-crf {verb}`")
        own = in_order(kind)
        for other, above in VERBS.items():
            if above in kind.__mro__[1:]:
                parts.append(words.also.format(verb=other))
                own = [known for known in own if known.name not in {each.name for each in fields(above)}]
        rows += [_row(known, language) for known in own]
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _row(known: Field[Any], language: str) -> str:
    told = option_of(known)
    name = known.name.upper() if told.argument else flag(known.name)
    default = _default(known, language)
    meaning = told.help if language == "en" else told.chinese
    elsewhere = ", ".join(f"`--{other}`" for other in told.elsewhere)
    return f"| `{name}` | {default} | {meaning} | {elsewhere} |".replace("|  |", "| |")


def _default(known: Field[Any], language: str) -> str:
    words = _WORDS[language]
    shown = words.required if known.default is MISSING else default_words(known)
    if option_of(known).default_text is not None:
        for english, translated in words.phrases.items():
            shown = shown.replace(english, translated)
        return shown
    return f"`{shown}`" if shown and known.default is not MISSING else shown


if __name__ == "__main__":
    print(options_page(*sys.argv[1:2]), end="")
