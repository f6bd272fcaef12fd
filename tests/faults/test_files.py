"""Files appear whole or not at all."""

from __future__ import annotations

import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pybert_crf.files import replacing, write_json, write_text


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")

    def fail() -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_json_keeps_chinese_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"字": 1})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "字": 1\n}\n'


def test_json_is_valid_whatever_the_figures_are(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"perplexity": math.inf, "rows": [(math.nan, 1.5)]})
    text = (tmp_path / "a.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(text, parse_constant=refuse) == {"perplexity": None, "rows": [[None, 1.5]]}


def test_threads_write_one_file_without_touching_each_others_temporaries(tmp_path: Path) -> None:
    texts = [str(number) * 1000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_text(tmp_path / "a.txt", text), texts * 5))
    assert (tmp_path / "a.txt").read_text() in texts
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name != "posix", reason="no links")
def test_a_link_that_waits_at_the_temporary_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "00")
    (tmp_path / "victim").write_text("mine")
    (tmp_path / ".writing-00.tmp").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "a.txt", "yours")
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / "a.txt").exists()
