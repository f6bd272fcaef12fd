"""Files cut into parts: every line once, in order, with its own number, wherever the cuts fall."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow
import pyarrow.parquet as parquet

from pybert_crf.cluster.chunks import chunks_of
from pybert_crf.cluster.layout import Layout, lay_out
from pybert_crf.cluster.places import Place
from pybert_crf.text.corpora import CorpusError, numbered_lines

MakeJob = Callable[..., Any]


def rows(layout: Layout, job: Any) -> list[Any]:
    """The texts and errors of all parts."""
    pieces = [piece for part in layout.parts for piece in part.pieces]
    found = [item for piece in pieces for chunk in chunks_of(piece, job) for item in chunk.items]
    return [str(item) if isinstance(item, CorpusError) else item for item in found]


def random_text(seed: int) -> bytes:
    """Lines of all kinds: empty, with \\r\\n, with a byte order mark or \\r inside; the last often open."""
    chance = random.Random(seed)
    lines = [
        "".join(chance.choices("ab张\r\ufeff\u2028 ", k=chance.choice([0, 0, 1, 2, 3, 40])))
        + chance.choice(["\n", "\n", "\r\n"])
        for _ in range(chance.randrange(12))
    ]
    text = ("\ufeff" if seed % 3 == 0 else "") + "".join(lines) + chance.choice(["", "张三"])
    return text.encode()


@pytest.mark.parametrize("load", [1, 2, 3, 7, 20, 1000])
def test_every_line_comes_once_wherever_a_file_is_cut(load: int, tmp_path: Path, make_job: MakeJob) -> None:
    file = tmp_path / "in.txt"
    for seed in range(40):
        file.write_bytes(random_text(seed))
        layout = lay_out(Place(str(file)), None, None, None, load)
        expected = [line for _, line in numbered_lines(file)]
        assert rows(layout, make_job(tmp_path)) == expected, seed


@pytest.mark.parametrize("load", [1, 3, 8, 1000])
def test_a_bad_line_is_named_by_its_number_in_the_file(load: int, tmp_path: Path, make_job: MakeJob) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes("张三\n\n".encode() + b"\xff\n" + "北京\n".encode() + b"x" * 21 + b"\n\xfe")
    layout = lay_out(Place(str(file)), None, None, None, load)
    told: list[str] = []
    for _ in numbered_lines(file, most=20, fault=lambda error: told.append(str(error))):
        pass
    assert len(told) == 3
    assert rows(layout, make_job(tmp_path, skip=True, most=20)) == ["张三", "", told[0], "北京", *told[1:]]
    with pytest.raises(CorpusError, match=r"in\.txt:3: not UTF-8 .*--errors skip goes on after it"):
        rows(layout, make_job(tmp_path, most=20))


def test_text_that_cannot_be_cut_is_read_whole(tmp_path: Path, make_job: MakeJob) -> None:
    text = "张三\n在北京\n" * 5
    expected = ["张三", "在北京"] * 5
    packed, wide, chinese = (tmp_path / name for name in ("a.txt.gz", "b.txt", "c.txt"))
    packed.write_bytes(gzip.compress(text.encode()))
    layout = lay_out(Place(str(packed)), None, None, None, 4)
    assert (len(layout.parts), rows(layout, make_job(tmp_path))) == (1, expected)
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(CorpusError, match=r"a\.txt\.gz: compressed, but damaged"):
        rows(lay_out(Place(str(packed)), None, None, None, 4), make_job(tmp_path))
    wide.write_bytes(text.encode("utf-16"))
    layout = lay_out(Place(str(wide)), None, None, "utf-16", 4)
    assert (len(layout.parts), rows(layout, make_job(tmp_path, encoding="utf-16"))) == (1, expected)
    chinese.write_bytes(text.encode("gb18030"))
    layout = lay_out(Place(str(chinese)), None, None, "gb18030", 4)
    assert len(layout.parts) > 5
    assert rows(layout, make_job(tmp_path, encoding="gb18030")) == expected


def test_small_files_share_a_part_and_hidden_ones_are_left_out(tmp_path: Path, make_job: MakeJob) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", "_manifest.json", ".d.txt", "_temporary/e.txt", "empty.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name == "empty.txt" else f"{name}\n")
    layout = lay_out(Place(str(tmp_path)), None, None, None, 12)
    assert list(layout.files) == ["a.txt", "b.txt", "empty.txt", "sub/c.txt"]
    assert [[piece.file for piece in part.pieces] for part in layout.parts] == [
        ["a.txt", "b.txt"],
        ["sub/c.txt"],
    ]
    assert rows(layout, make_job(tmp_path)) == ["a.txt", "b.txt", "sub/c.txt"]


def test_what_cannot_be_laid_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing: no such file or folder"):
        lay_out(Place(str(tmp_path / "nothing")), None, None, None, 10)
    with pytest.raises(FileNotFoundError, match="a folder without files"):
        lay_out(Place(str(tmp_path)), None, None, None, 10)
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "b.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match=r"several kinds, such as a\.txt \(text\), b\.jsonl \(json\)"):
        lay_out(Place(str(tmp_path)), None, None, None, 10)
    with pytest.raises(ValueError, match="no file system for this address"):
        Place("nowhere://host/folder")


def test_a_file_that_changes_while_the_run_goes_on_is_refused(tmp_path: Path, make_job: MakeJob) -> None:
    file = tmp_path / "in.txt"
    file.write_text("a\nb\n")
    layout = lay_out(Place(str(file)), None, None, None, 10)
    os.utime(file, (1, 1))
    with pytest.raises(CorpusError, match=r"in\.txt: has changed since the run began \(its time\)"):
        rows(layout, make_job(tmp_path))
    file.write_text("a\nb\nc\n")
    with pytest.raises(CorpusError, match=r"it had 4 bytes, and has 6"):
        rows(layout, make_job(tmp_path))


@pytest.mark.parametrize("load", [1, 40, 100_000])
@pytest.mark.parametrize("group", [1, 4, 100])
def test_every_row_of_parquet_comes_once(load: int, group: int, tmp_path: Path, make_job: MakeJob) -> None:
    texts = [f"第{number}行" for number in range(23)]
    table = pyarrow.table({"id": range(23), "text": texts})
    for name in ("a.parquet", "b.parquet"):
        parquet.write_table(table, tmp_path / name, row_group_size=group)
    layout = lay_out(Place(str(tmp_path)), None, None, None, load)
    job = make_job(tmp_path, kind="parquet", column=layout.column)
    assert rows(layout, job) == texts * 2
    assert (len(layout.parts) == 1) == (load == 100_000)


def test_the_column_of_the_texts_is_named_or_found(tmp_path: Path) -> None:
    def column(table: dict[str, Any], given: str | None = None) -> str | None:
        parquet.write_table(pyarrow.table(table), tmp_path / "t.parquet")
        return lay_out(Place(str(tmp_path / "t.parquet")), None, given, None, 10).column

    assert column({"title": ["a"], "text": ["b"]}) == "text"
    assert column({"n": [1], "body": ["b"]}) == "body"
    assert column({"title": ["a"], "body": ["b"]}, "body") == "body"
    with pytest.raises(CorpusError, match=r"--text-column names one of title \(string\), body \(string\)"):
        column({"title": ["a"], "body": ["b"]})
    with pytest.raises(CorpusError, match=r"no column of texts 'bod' \(--text-column\): the columns are n"):
        column({"n": [1], "body": ["b"]}, "bod")
    with pytest.raises(CorpusError, match=r"no texts are in the column 'n' \(--text-column\)"):
        column({"n": [1], "body": ["b"]}, "n")
    (tmp_path / "n.parquet").write_text("text\n")
    with pytest.raises(CorpusError, match=r"n\.parquet: damaged, or no Parquet"):
        lay_out(Place(str(tmp_path / "n.parquet")), None, None, None, 10)


def test_parquet_files_of_one_folder_have_the_same_columns(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "a.parquet")
    parquet.write_table(pyarrow.table({"text": ["a"], "id": [1]}), tmp_path / "b.parquet")
    with pytest.raises(CorpusError, match=r"b\.parquet: its columns are text \(string\), id \(int64\)"):
        lay_out(Place(str(tmp_path)), None, None, None, 10)


def test_texts_missing_from_a_table_are_named_by_row(tmp_path: Path, make_job: MakeJob) -> None:
    file = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"text": ["a", None, "b" * 21, "c"]}), file, row_group_size=2)
    layout = lay_out(Place(str(file)), None, None, None, 1)
    job = make_job(tmp_path, kind="parquet", column="text", most=20)
    with pytest.raises(CorpusError, match=r"t\.parquet:2: no text in column text; --errors skip"):
        rows(layout, job)
    job = make_job(tmp_path, kind="parquet", column="text", most=20, skip=True)
    told = [f"{file}:2: no text in column text", f"{file}:3: a text of more than 20 characters; --max-line"]
    assert [str(row)[: len(t)] for row, t in zip(rows(layout, job)[1:3], told, strict=True)] == told


def test_fields_of_json_lines(tmp_path: Path, make_job: MakeJob) -> None:
    file = tmp_path / "in.jsonl"

    def read(*records: Any, **unusual: Any) -> list[Any]:
        file.write_text("\n".join(json.dumps(record) for record in records) + "\n", encoding="utf-8")
        layout = lay_out(Place(str(file)), None, unusual.get("column"), None, 15)
        return rows(layout, make_job(tmp_path, kind="json", **unusual))

    assert read({"id": 1, "text": "张三"}, {"tokens": ["a", "b"]}, ["c", {}]) == ["张三", ["a", "b"], "c"]
    assert read({"body": "张三", "text": "b"}, column="body") == ["张三"]
    with pytest.raises(
        CorpusError, match=r"in\.jsonl:2: no text, nor tokens, in a field 'body' \(--text-column"
    ):
        read({"body": "a"}, {"text": "b"}, column="body")
    with pytest.raises(CorpusError, match=r"in\.jsonl:2: has a field 'entities' already.*--answer-column"):
        read({"text": "a"}, {"text": "b", "entities": []})
    assert read({"text": "a", "entities": []}, answers="found") == ["a"]
    with pytest.raises(CorpusError, match=r"in\.jsonl:1: has tokens and a text beside: --text-column text"):
        read({"tokens": ["a"], "text": "b"})
