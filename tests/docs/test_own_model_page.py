"""The page on a CRF in one's own model: its code prints what it says, the same in both languages."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import blocks

PAGES = [f"docs/crf/in-your-own-model{language}.md" for language in ("", ".zh-CN")]


def test_the_code_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, Any] = {"__name__": "example"}
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        for code in blocks(PAGES[0], "python"):
            exec(code, names)
    told = re.findall(r"^print\(.*\)  # (.+)$", "\n".join(blocks(PAGES[0], "python")), re.MULTILINE)
    assert output.getvalue().splitlines() == told


def test_both_languages_show_the_same_code() -> None:
    assert blocks(PAGES[0], "python") == blocks(PAGES[1], "python")
