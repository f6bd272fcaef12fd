"""The option of everything that writes a report."""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.option import documented, option

LANGUAGES = ("en", "zh")


@documented
@dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """What `train` and `evaluate` share."""

    language: str = option(
        "en",
        "Language of the report: en (English) or zh (Chinese).",
        "报告的语言：en（英文）或 zh（中文）。",
        choices=LANGUAGES,
        elsewhere="lang report-language",
    )
