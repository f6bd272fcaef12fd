"""The options pages of the docs are what the code makes of the options."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybert_crf.options.page import options_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("file", "language"), [("options.md", "en"), ("options.zh-CN.md", "zh")])
def test_the_options_page_is_up_to_date(file: str, language: str) -> None:
    made = options_page(language)
    assert (DOCS / file).read_text("utf-8") == made, (
        f"run: python -m pybert_crf.options.page {language} > docs/{file}"
    )
