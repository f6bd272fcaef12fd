"""Files appear whole or not at all."""

from __future__ import annotations

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
