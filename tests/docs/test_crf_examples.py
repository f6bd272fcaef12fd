"""The CRF in one's own model, and coming from others: the pages' code prints what it says, the same in both
languages."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import blocks

PAGES = ["docs/crf/in-your-own-model", "docs/crf/from-other-crfs"]


@pytest.mark.parametrize("page", PAGES)
def test_the_code_prints_what_it_says(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "\n".join(blocks(f"{page}.md", "python"))
    if "transformers" in code:
        pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {"__name__": "example"})
    assert output.getvalue().splitlines() == re.findall(r"^print\(.*\)  # (.+)$", code, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_show_the_same_code(page: str) -> None:
    assert blocks(f"{page}.md", "python") == blocks(f"{page}.zh-CN.md", "python")


def test_pytorch_crf_computes_the_same() -> None:
    """What the page calls the same is the same."""
    theirs = pytest.importorskip("torchcrf").CRF(3, batch_first=True)
    names: dict[str, Any] = {}
    exec(blocks("docs/crf/from-other-crfs.md", "python")[0], names)
    crf, emissions, tags, mask = (names[name] for name in ("crf", "emissions", "tags", "mask"))
    assert str(theirs.load_state_dict(crf.state_dict())) == "<All keys matched successfully>"
    torch.testing.assert_close(crf(emissions, tags, mask), theirs(emissions, tags, mask))
    assert crf.decode(emissions, mask) == theirs.decode(emissions, mask)
