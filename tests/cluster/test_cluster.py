"""Shards against ``predict``; what the manifest takes over, and what it refuses. Without Ray."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow
import pyarrow.parquet as parquet
from cluster_cases import CHARACTERS, assert_same, lines_of

from pybert_crf import Tagger
from pybert_crf.cli.verbs.predict import work
from pybert_crf.cluster import Run, prepared
from pybert_crf.cluster.layout import lay_out
from pybert_crf.cluster.manifest import NAME
from pybert_crf.cluster.places import Place
from pybert_crf.cluster.worker import Worker
from pybert_crf.options import PredictOptions

MakeJob = Callable[..., Any]
TEXTS = [CHARACTERS[start : start + start % 7] for start in range(15)] * 3


def predicted(model: Path, file: Path, **options: Any) -> list[Any]:
    """What the verb answers without Ray."""
    with redirect_stdout(io.StringIO()) as told:
        work(PredictOptions(str(model), str(file), **options))
    return [json.loads(line) for line in told.getvalue().splitlines()]


def begun(make_job: MakeJob, source: Path, out: object, load: int = 100, **unusual: Any) -> Run:
    """A run of a file or folder that is laid out, and of which nothing is done."""
    overwrite = unusual.pop("overwrite", False)
    settings = unusual.pop("settings", {})
    kind = unusual.pop("kind", None)
    layout = lay_out(Place(str(source)), kind, unusual.get("column"), None, load)
    job = make_job(layout.folder.name, out, **{**unusual, "kind": layout.kind, "column": layout.column})
    return prepared(job, layout, settings, overwrite=overwrite)


def do(run: Run, model: Path, parts: int | None = None) -> None:
    """Do what is pending, or some parts of it."""
    worker = Worker(run.job, lambda: model, lambda: Tagger.from_pretrained(model))
    for part in run.pending[:parts]:
        run.manifest.add(worker.do(part))
    run.manifest.finish()


def answers(out: Path) -> list[Any]:
    """What stands in all shards of JSON lines."""
    return [line for path in sorted(out.glob("part-*.jsonl")) for line in lines_of(path)]


def manifest(out: Path) -> Any:
    return json.loads((out / NAME).read_text("utf-8"))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A file of texts."""
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    return path


def test_text_is_answered_as_by_predict(texts: Path, model: Path, make_job: MakeJob, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = begun(make_job, texts, out)
    do(run, model)
    assert len(run.layout.parts) > 3
    expected = predicted(model, texts)
    found = manifest(out)
    assert (found["complete"], found["rows"], found["errors"]) == (True, len(TEXTS), 0)
    assert found["entities"] == sum(len(each["entities"]) for each in expected) > 10
    assert [row["rows"] for row in found["done"]] == [len(lines_of(p)) for p in sorted(out.glob("part-*"))]
    assert_same(answers(out), expected)


def test_json_lines_keep_their_fields(model: Path, make_job: MakeJob, tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    records: list[dict[str, Any]] = [
        {"id": n, "text": text, "more": {"a": [n]}} for n, text in enumerate(TEXTS)
    ]
    records.append({"id": "tokens", "tokens": ["张", "三"]})
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    do(begun(make_job, file, tmp_path / "out"), model)
    found = answers(tmp_path / "out")
    assert [
        {name: each[name] for name in record} for each, record in zip(found, records, strict=True)
    ] == records
    assert found[-1]["text"] == "张三"
    bare = [{"text": each["text"], "entities": each["entities"]} for each in found]
    assert_same(bare, predicted(model, file, format="json"))


def test_lines_that_are_skipped_have_their_errors(model: Path, make_job: MakeJob, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes("张三\n".encode() + b"\xff\n" + "北京\n".encode())
    do(begun(make_job, file, tmp_path / "out", 2, skip=True), model)
    assert_same(answers(tmp_path / "out"), predicted(model, file, errors="skip"))
    assert manifest(tmp_path / "out")["errors"] == 1
    do(begun(make_job, file, tmp_path / "table", 2, skip=True, to="parquet"), model)
    table = parquet.read_table(tmp_path / "table").to_pylist()
    assert [row["text"] for row in table] == ["张三", None, "北京"]
    assert [row["error"] is None for row in table] == [True, False, True]


@pytest.mark.parametrize("to", ["parquet", "jsonl"])
def test_parquet_keeps_its_columns(to: str, model: Path, make_job: MakeJob, tmp_path: Path) -> None:
    columns = {"id": range(len(TEXTS)), "share": [None, float("nan"), 0.5] * 15, "body": TEXTS}
    table = pyarrow.table(columns)
    parquet.write_table(table, tmp_path / "in.parquet", row_group_size=10)
    out = tmp_path / "out"
    do(begun(make_job, tmp_path / "in.parquet", out, to=to), model)
    plain = tmp_path / "in.txt"
    plain.write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    expected = predicted(model, plain)
    if to == "jsonl":  # JSON has no NaN
        rows = answers(out)
        assert [row["share"] for row in rows] == [None, None, 0.5] * 15
    else:
        read = parquet.read_table(out)
        assert repr(read.drop_columns("entities").to_pydict()) == repr(table.to_pydict())
        assert read.schema.names == ["id", "share", "body", "entities"]
        rows = read.to_pylist()
    assert [row["id"] for row in rows] == list(range(len(TEXTS)))
    assert_same([{"text": row["body"], "entities": row["entities"]} for row in rows], expected)


def test_lists_of_tokens_get_a_text(model: Path, make_job: MakeJob, tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"tokens": [["张", "三"], []]}), tmp_path / "in.parquet")
    do(begun(make_job, tmp_path / "in.parquet", tmp_path / "out", to="parquet"), model)
    assert parquet.read_table(tmp_path / "out").column("text").to_pylist() == ["张三", ""]


def test_what_the_output_cannot_hold_is_refused(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(ValueError, match="no fixed type, which Parquet needs: --to jsonl"):
        begun(make_job, tmp_path / "in.jsonl", tmp_path / "out", to="parquet")
    file = tmp_path / "in.parquet"
    parquet.write_table(pyarrow.table({"text": ["a"], "data": [b"a"]}), file)
    with pytest.raises(ValueError, match=r"JSON lines cannot hold data \(binary\): --to parquet"):
        begun(make_job, file, tmp_path / "out")
    with pytest.raises(ValueError, match=r"a column data already.*--answer-column names another"):
        begun(make_job, file, tmp_path / "out", to="parquet", answers="data")
    assert not (tmp_path / "out").exists()


def test_a_run_goes_on_where_another_stopped(
    texts: Path, model: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = begun(make_job, texts, out)
    do(run, model, 2)
    assert (manifest(out)["complete"], manifest(out)["parts_done"]) == (False, 2)
    (out / ".writing-0123.tmp").write_text("half of a sh")
    (out / ".begun-000002-0").write_text("")
    (out / "part-000003.jsonl").write_text("written, but not in the manifest yet\n")
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    (out / "part-000001.jsonl").write_text("damaged\n")
    run = begun(make_job, texts, out)
    assert sorted(run.manifest.done) == [0]
    do(run, model)
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert [name for name in before if before[name] == after[name]] == ["part-000000.jsonl"]
    assert_same(answers(out), predicted(model, texts))
    assert [path.name for path in out.iterdir() if path.name[0] in "._"] == [NAME]
    assert begun(make_job, texts, out).pending == []


def test_answers_of_another_run_are_refused(
    texts: Path, model: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    do(begun(make_job, texts, out, settings={"min_score": 0.0}), model, 1)

    def refused(told: str, **unusual: Any) -> None:
        with pytest.raises(
            ValueError, match=rf"holds the answers of another run: {told}.*; --overwrite deletes"
        ):
            begun(make_job, texts, out, **{"settings": {"min_score": 0.0}, **unusual})

    refused(r"min_score was 0\.0, and is 0\.5 now", settings={"min_score": 0.5})
    refused("of the model .* as it was then", digest="0" * 64)
    refused("of pybert-crf ", version="0.0.0")
    refused("of an input that was cut into other parts", load=40)
    texts.write_text("张三\n", encoding="utf-8")
    refused(r"the input file in\.txt has changed since")
    other = tmp_path / "other.txt"
    other.write_text("北京\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"the input file in\.txt is gone since"):
        begun(make_job, other, out, settings={"min_score": 0.0})
    run = begun(make_job, texts, out, overwrite=True)
    assert [path.name for path in out.iterdir()] == [NAME]
    do(run, model)
    assert [each["text"] for each in answers(out)] == ["张三"]


def test_a_folder_of_other_files_is_refused(texts: Path, make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"holds 'thesis\.txt' and no _manifest\.json.*: give an empty"):
            begun(make_job, texts, tmp_path / "out", overwrite=overwrite)
    (tmp_path / "out" / NAME).write_text("{")
    with pytest.raises(ValueError, match=r"_manifest\.json: not JSON"):
        begun(make_job, texts, tmp_path / "out")
    (tmp_path / "out" / NAME).write_text('{"format": "another"}')
    with pytest.raises(ValueError, match=r"_manifest\.json: no manifest of this version"):
        begun(make_job, texts, tmp_path / "out")


def test_of_two_runs_into_one_folder_the_first_stops(
    texts: Path, model: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    first = begun(make_job, texts, tmp_path / "out")
    second = begun(make_job, texts, tmp_path / "out")
    with pytest.raises(ValueError, match="another run has begun to write into it; this one stops"):
        do(first, model)
    do(second, model)
    assert manifest(tmp_path / "out")["complete"]


def test_shards_that_this_machine_does_not_see_are_not_entered(
    texts: Path, model: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    run = begun(make_job, texts, tmp_path / "out")
    done = Worker(run.job, lambda: model, lambda: Tagger.from_pretrained(model)).do(run.pending[0])
    (tmp_path / "out" / done.shard).unlink()
    with pytest.raises(
        ValueError, match=r"part-000000\.jsonl was written by a worker, but .* all machines share"
    ):
        run.manifest.add(done)
    assert manifest(tmp_path / "out")["done"] == []


def test_a_worker_must_have_the_same_model_and_package(
    texts: Path, model: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    def fault(**unusual: Any) -> str:
        run = begun(make_job, texts, tmp_path / "out", overwrite=True, **unusual)
        (piece,) = run.layout.parts[0].pieces
        worker = Worker(run.job, lambda: model, lambda: Tagger.from_pretrained(model))
        told: str = worker({"part": json.dumps([0, [piece]])})["fault"]
        return told

    assert "another model in" in fault(digest="0" * 64)
    assert "a worker has pybert-crf" in fault(version="0.0.0")
    assert fault() == ""


def test_a_part_over_which_workers_die_ends_the_run(
    texts: Path, model: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    run = begun(make_job, texts, tmp_path / "out")

    worker = Worker(run.job, lambda: model, lambda: Tagger.from_pretrained(model))
    row = {"part": json.dumps(run.layout.parts[1])}
    for died in range(5):
        assert worker(row)["fault"] == ""
        assert len(list((tmp_path / "out").glob(".begun-*"))) == died
        for number in range(died + 1):
            (tmp_path / "out" / f".begun-000001-{number}").write_text("")
    assert worker(row)["fault"].startswith("5 workers died over the same part (in.txt from ")
    assert worker({"part": json.dumps(run.layout.parts[0])})["fault"] == ""


def test_files_of_any_file_system_of_fsspec(model: Path, make_job: MakeJob) -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    with files.open("/corpus/sub/in.txt", "wb") as file:
        file.write("".join(f"{text}\n" for text in TEXTS).encode())
    source: Any = "memory://corpus"
    run = begun(make_job, source, "memory://answers")
    do(run, model, 2)
    do(begun(make_job, source, "memory://answers"), model)
    names = sorted(name for name in files.find("/answers"))
    assert [name.rpartition("/")[2][:5] for name in names] == [NAME[:5]] + ["part-"] * len(run.layout.parts)
    found = [json.loads(line) for name in names[1:] for line in files.cat(name).splitlines()]
    assert [each["text"] for each in found] == TEXTS


def test_a_secret_in_an_address_is_not_shown() -> None:
    place = Place("s3://key:secret@bucket/folder?endpoint_override=localhost:1&scheme=http&region=none")
    assert (place / "a.txt").shown == "s3://bucket/folder/a.txt"
    assert (place / "a.txt").split()[0].name == place.name


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"file": "-"}, "--ray needs FILE, a file or folder to read, and OUT"),
        ({"out": None}, "--ray needs FILE, a file or folder to read, and OUT"),
        ({"format": "columns"}, "--ray reads text, JSON lines .* not --format columns: convert"),
        ({"documents": "file"}, "--ray reads each sentence alone: --documents"),
        ({"to": "html"}, "--ray writes --to jsonl or parquet, not html"),
        ({"actor_gpus": 1.0}, "--actor-gpus 1 is for --device cuda, not cpu"),
        ({"actor_gpus": 0.0, "device": "cuda"}, "--device cuda needs --actor-gpus above 0"),
        ({"whole_files": True}, "--uncertain and --whole-files are not for it"),
        ({"ray": None, "out": None, "to": "parquet"}, "--to parquet is for --ray"),
        ({"ray": "ray://localhost:10001"}, "is of the Ray client: run on a machine of the cluster"),
    ],
)
def test_options_that_do_not_go_together(
    options: dict[str, Any], told: str, texts: Path, model: Path, tmp_path: Path
) -> None:
    given = {"model": str(model), "file": str(texts), "out": str(tmp_path / "out"), "ray": "local"}
    with pytest.raises(ValueError, match=told):
        work(PredictOptions(**{**given, **options}))


def test_an_address_where_no_cluster_is(texts: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(
        ConnectionError, match=r"--ray 127\.0\.0\.1:1: no Ray cluster can be reached there: .+"
    ):
        work(PredictOptions(str(model), str(texts), str(tmp_path / "out"), ray="127.0.0.1:1"))


def test_without_ray_one_line_says_what_to_install(
    texts: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"--ray needs the package ray .*: pip install 'pybert-crf\[ray\]'"):
        work(PredictOptions(str(model), str(texts), str(tmp_path / "out"), ray="local"))
