"""``pybert-crf predict`` on tables, documents and folders, and the least certain texts."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybert_crf import Tagger

Run = Callable[..., subprocess.CompletedProcess[str]]

TEXTS = ["张三在北京。", "在\n北京\r\n工作", '他说"好"，\t在北京', "", "北京"]


@pytest.fixture(scope="module")
def expected(model: Path) -> list[list[dict[str, Any]]]:
    """The entities of TEXTS, as Python gives them."""
    found = [[entity.to_dict() for entity in each] for each in Tagger.from_pretrained(model).tag(TEXTS)]
    assert sum(map(len, found)) > 3
    return [rounded(each) for each in found]


def rounded(values: Any) -> Any:
    """The same with scores of 4 digits: further ones depend on what was encoded together."""
    if isinstance(values, list):
        return [rounded(each) for each in values]
    return {**values, "score": round(values["score"], 4)} if isinstance(values, dict) else values


def csv_of(rows: list[list[str]], delimiter: str = ",", end: str = "\n") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue().encode()


@pytest.mark.parametrize(("delimiter", "end"), [(",", "\n"), (";", "\r\n")])
def test_csv_gets_a_column_of_json(
    run: Run, model: Path, tmp_path: Path, expected: list[Any], delimiter: str, end: str
) -> None:
    rows = [["id", "text", "note, with a comma"], *([str(i), text, 'a "b"'] for i, text in enumerate(TEXTS))]
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes(b"\xef\xbb\xbf" + csv_of(rows, delimiter, end))
    done = run("predict", model, path, out, "--text-column", "text")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    data = out.read_bytes().decode()
    assert data.split("\n")[0].endswith("\r") == (end == "\r\n")
    found = list(csv.reader(io.StringIO(data, newline=""), delimiter=delimiter))
    assert [row[:-1] for row in found] == rows
    assert found[0][-1] == "entities"
    assert rounded([json.loads(row[-1]) for row in found[1:]]) == expected
    piped = run("predict", model, "-", "--text-column", "text", "--format", "csv", given=path.read_bytes())
    assert piped.stdout == data


def test_in_tsv_a_quotation_mark_is_a_character(run: Run, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tid\n"张三\t1\n\n在"北京"\t2\n', encoding="utf-8")
    done = run("predict", model, path, "--text-column", "text", "--answer-column", "found")
    lines = done.stdout.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [
        ["text", "id"],
        ['"张三', "1"],
        [""],
        ['在"北京"', "2"],
    ]
    assert lines[0].endswith("\tfound")
    tagger = Tagger.from_pretrained(model)
    alone = [each.to_dict() for each in tagger('在"北京"')]
    assert rounded(json.loads(lines[3].split("\t")[2])) == rounded(alone)


def test_json_lines_stay_as_they_are_written(
    run: Run, model: Path, tmp_path: Path, expected: list[Any]
) -> None:
    lines = [f'{{"n": 1.50, "body" :{json.dumps(text)} , "x":[1,  2]}} ' for text in TEXTS]
    lines += ["", '{"body": null}']
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    done = run("predict", model, path, "--text-column", "body")
    got = done.stdout.splitlines()
    for before, after in zip(lines, got, strict=True):
        assert after.startswith(before.rstrip().removesuffix("}"))
    read = [json.loads(line)["entities"] for line in got if line]
    assert rounded(read) == [*expected, None]


def test_parquet_gets_a_column_of_structs(run: Run, model: Path, tmp_path: Path, expected: list[Any]) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts: list[Any] = [*TEXTS, None]
    table = arrow.table({"text": texts, "id": list(range(6)), "tags": [["a"]] * 6})
    path, out = tmp_path / "a.parquet", tmp_path / "b.parquet"
    parquet.write_table(table, path, row_group_size=2)
    done = run("predict", model, path, out, "--text-column", "text")
    assert (done.returncode, done.stderr) == (0, "")
    found = parquet.read_table(out)
    assert found.column_names == ["text", "id", "tags", "entities"]
    assert found.select([0, 1, 2]).equals(table)
    assert rounded(found["entities"].to_pylist()) == [*expected, None]
    wrong = run("predict", model, path, out, "--text-column", "id")
    assert wrong.stderr == f"error: {path}: row 1: column 'id' holds int instead of a text\n"
    assert parquet.read_table(out).equals(found)  # what was there is still there


@pytest.mark.parametrize(
    ("name", "content", "options", "told"),
    [
        ("a.csv", "a,b\n1,2\n", [], "a.csv:1: no column 'text': --text-column must be one of a, b"),
        ("a.csv", "text,entities\n1,2\n", [], ":1: there is a column 'entities' already: --answer-column"),
        ("a.csv", "text,text\n1,2\n", [], ":1: 2 columns are called 'text'"),
        ("a.csv", 'text,b\n"a\nb",2\n1\n', [], ":4: 1 fields, but the header has 2"),
        ("a.csv", 'text,b\n"a,2\n', [], ":2: not CSV"),
        ("a.csv", "", [], ":1: no column 'text'"),
        ("a.jsonl", '{"text": 3}\n', [], ":1: column 'text' holds 3 instead of a text"),
        ("a.jsonl", '{"t": ""}\n', [], ":1: no column 'text'"),
        ("a.jsonl", "[1]\n", [], ":1: an object a line is expected"),
        ("a.jsonl", "{\n", [], ":1: not JSON"),
        ("a.parquet", "PAR1", [], "a.parquet: damaged, or no Parquet"),
        ("a.txt", "text\n", [], "a.txt: its name tells no kind of table: --format csv"),
        ("a.csv", "text\na\n", ["--format", "words"], "--format words is no table"),
        ("a.csv", "text\na\n", ["--uncertain", "3"], "uncertain must be 0 where a table is written"),
        ("a.csv", "text\na\n", ["--whole-files"], "text_column must not be given with WHOLE-FILES"),
    ],
)
def test_what_is_no_such_table_is_refused(
    run: Run, model: Path, tmp_path: Path, name: str, content: str, options: list[str], told: str
) -> None:
    if name == "a.parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    done = run("predict", model, path, tmp_path / "out", "--text-column", "text", *options)
    assert done.returncode != 0
    assert told in done.stderr
    assert not (tmp_path / "out").exists()


def test_rows_that_cannot_be_read_are_left_out_if_asked_for(run: Run, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,b\n张三,1\n三\n北京,2\n", encoding="utf-8")
    done = run("predict", model, path, "--text-column", "text", "--errors", "skip")
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["text", "张三", "北京"]
    assert done.stderr.splitlines()[-1] == "skipped in all: 1; their rows are left out"
    stopped = run("predict", model, path, "--text-column", "text")
    assert [line.split(",")[0] for line in stopped.stdout.splitlines()] == ["text", "张三"]
    assert f"{path}:3: 1 fields, but the header has 2" in stopped.stderr


def test_other_forms_of_a_column(run: Run, model: Path, tmp_path: Path, expected: list[Any]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv_of([["text", "id"], *([text, "1"] for text in TEXTS)]))
    done = run("predict", model, path, "--text-column", "text", "--to", "jsonl")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    got = [(each["text"], rounded(each["entities"])) for each in records]
    assert got == list(zip(TEXTS, expected, strict=True))


LINES = ["张三在北京", "在", "", "北京张三工作三在", "张张三三", "京京京北", "工作。"]


@pytest.mark.parametrize("form", ["jsonl", "doccano", "label-studio", "inline"])
def test_the_least_certain_come_first(run: Run, model: Path, form: str) -> None:
    tagger = Tagger.from_pretrained(model)
    probability = {text: tagger.k_best(text, 1)[0].probability for text in LINES}
    order = sorted(LINES, key=probability.__getitem__)
    given = "\n".join(LINES).encode()
    done = run("predict", model, "-", "--uncertain", "4", "--to", form, given=given)
    if form == "inline":
        found = [next(t for t in LINES if t and tagger_inline(tagger, t) == s) for s in done.stdout.split()]
        assert found == order[:4]
        return
    read = json.loads(done.stdout) if form == "label-studio" else map(json.loads, done.stdout.splitlines())
    records = [
        (each["data"]["text"], each["predictions"][0]["score"])
        if form == "label-studio"
        else (each["text"], each["probability"])
        for each in read
    ]
    assert [text for text, _ in records] == order[:4]
    assert [p for _, p in records] == pytest.approx([probability[text] for text in order[:4]], abs=1e-5)


def tagger_inline(tagger: Tagger, text: str) -> str:
    from pybert_crf.annotation.rendering import inline

    return inline(text, tagger(text))


def test_what_cannot_be_read_is_not_among_the_least_certain(run: Run, model: Path) -> None:
    given = b"\xff\n" + "\n".join(LINES).encode()
    done = run("predict", model, "-", "--uncertain", "99", "--errors", "skip", given=given)
    assert len(done.stdout.splitlines()) == len(LINES)
    assert done.stderr.splitlines()[-1] == "skipped in all: 1; they are not among the answers"


def test_a_folder_gives_a_folder(run: Run, model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    (source / "a.txt").write_text("张三\n在北京\n", encoding="utf-8")
    (source / "deep" / "b.txt").write_text("工作", encoding="utf-8")
    (source / ".hidden").write_text("x", encoding="utf-8")
    done = run("predict", model, source, out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert files == ["a.txt.jsonl", "deep/b.txt.jsonl"]
    answers = [json.loads(line)["text"] for line in (out / "a.txt.jsonl").read_text("utf-8").splitlines()]
    assert answers == ["张三", "在北京"]
    for arguments, told in (
        ((source,), "is a folder: the answers need one, too"),
        ((source, source / "out"), "whose files are read: name another folder"),
        ((source, source / "a.txt"), "whose files are read"),
        ((source / "a.txt", out), "is a folder: OUT must be a file"),
        ((tmp_path / "none", out), "no such file"),
    ):
        wrong = run("predict", model, *arguments)
        assert wrong.returncode == 1
        assert told in wrong.stderr


def test_a_whole_file_is_one_text(run: Run, model: Path, tmp_path: Path) -> None:
    text = "张三在北京。\r\n\n在北京工作！张三三"
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    tagger = Tagger.from_pretrained(model)
    done = run("predict", model, path, "--whole-files")
    (record,) = map(json.loads, done.stdout.splitlines())
    assert record["text"] == text
    assert rounded(record["entities"]) == rounded([each.to_dict() for each in tagger(text)])
    split = run("predict", model, path, "--whole-files", "--split-sentences")
    (record,) = map(json.loads, split.stdout.splitlines())
    assert record["text"] == text
    parts = ["张三在北京。", "在北京工作！", "张三三"]
    places = [text.index(part) for part in parts]
    expected = [
        (place + each.start, place + each.end, each.label)
        for place, part in zip(places, parts, strict=True)
        for each in tagger(part)
    ]
    assert [(e["start"], e["end"], e["label"]) for e in record["entities"]] == expected
    assert all(text[e["start"] : e["end"]] == e["text"] for e in record["entities"])
    long = run("predict", model, path, "--whole-files", "--max-line", "5")
    assert "more than 5 characters; --max-line" in long.stderr
