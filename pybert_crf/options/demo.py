"""The options of the demo."""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.option import documented, option


@documented
@dataclass(frozen=True)
class DemoOptions(Options):
    """The options of ``pybert-crf demo``."""

    out: str = option(
        "pybert-crf-demo",
        "Directory for the demo's corpus and tagger.",
        "存放演示语料和标注器的目录。",
        elsewhere="output-dir output output-path save-dir",
    )
