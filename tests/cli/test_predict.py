"""``pybert-crf predict`` on input that pauses, ends by a signal, or has lines that cannot be read."""

from __future__ import annotations

import gzip
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pybert_crf.cli.verbs.predict import work
from pybert_crf.options import PredictOptions

Run = Callable[..., subprocess.CompletedProcess[str]]
posix = pytest.mark.skipif(os.name != "posix", reason="signals and select on pipes")


@contextmanager
def predicting(model: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own, on a pipe."""
    command = [sys.executable, "-m", "pybert_crf", "predict", str(model), "-", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
        try:
            yield process
        finally:
            process.kill()


def give(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode())


def answers(process: subprocess.Popen[bytes], lines: int) -> list[str]:
    """So many lines of output, which must come although the input is still open."""
    assert process.stdout is not None
    got, until = b"", time.monotonic() + 60
    while got.count(b"\n") < lines:
        assert select.select([process.stdout], [], [], until - time.monotonic())[0], got
        piece = os.read(process.stdout.fileno(), 1 << 16)
        assert piece, (got, process.stderr and process.stderr.read())
        got += piece
    return got.decode().splitlines()


def texts(lines: list[str]) -> list[Any]:
    return [json.loads(line)["text"] for line in lines]


def finish(process: subprocess.Popen[bytes]) -> tuple[int, list[str], str]:
    """Exit status, what is left of the output, and the errors, after the input has ended."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode().splitlines(), err.decode()


@posix
def test_a_pipe_that_pauses_gets_its_answers(model: Path) -> None:
    with predicting(model) as process:
        give(process, "\ufeff张三\n在北京")  # a line, and the beginning of another
        assert texts(answers(process, 1)) == ["张三"]
        give(process, "工作\r\n\n")
        assert texts(answers(process, 2)) == ["在北京工作", ""]
        give(process, "没有换行")
        status, out, err = finish(process)
        assert (status, texts(out), err) == (0, ["没有换行"], "")


@posix
def test_sentences_in_columns_are_answered_at_their_blank_line(model: Path) -> None:
    with predicting(model, "--format", "columns", "--to", "columns") as process:
        give(process, "张\n三\n\n在")
        assert [line.split("\t")[0] for line in answers(process, 3)] == ["张", "三", ""]
        give(process, "\n")
        status, out, _ = finish(process)
        assert (status, [line.split("\t")[0] for line in out]) == (0, ["在", ""])


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_input_and_loses_no_line(model: Path, number: signal.Signals) -> None:
    with predicting(model) as process:
        give(process, "张三\n")
        answers(process, 1)  # it is running
        give(process, "在北京\n" * 700 + "工作")
        time.sleep(0.05)
        process.send_signal(number)
        status, out, err = finish(process)
    assert status == 128 + number
    assert texts(out) == ["在北京"] * len(out)
    assert err == f"stopped by {number.name}: all lines that had been read are answered\n"


@posix
def test_a_closed_output_ends_it_quietly(model: Path) -> None:
    with predicting(model) as process:
        assert process.stdout is not None
        give(process, "张三\n")
        answers(process, 1)
        process.stdout.close()
        give(process, "在北京\n")
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait(60)) == (b"", 1)


BAD = "张三\n".encode() + b"\xff\n" + "在\n".encode() + b"x" * 21 + b"\n" + "北京".encode()


def test_a_bad_line_stops_after_the_answers_before_it(run: Run, model: Path) -> None:
    done = run("predict", model, "-", given=BAD)
    assert texts(done.stdout.splitlines()) == ["张三"]
    place = "<stdin>:2: not UTF-8 (byte 1 of the line is ff): b'\\xff'"
    told = (
        f"error: {place}; --encoding names another encoding, such as cp1252; --errors skip goes on after it\n"
    )
    assert (done.returncode, done.stderr) == (1, told)


def test_skipped_lines_keep_their_place(run: Run, model: Path) -> None:
    done = run("predict", model, "-", "--errors", "skip", "--max-line", "20", given=BAD)
    assert done.returncode == 0
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["text"] for record in records] == ["张三", None, "在", None, "北京"]
    assert [record.get("error", "")[:9] for record in records] == ["", "<stdin>:2", "", "<stdin>:4", ""]
    assert "more than 20 characters; --max-line" in records[3]["error"]
    assert done.stderr.splitlines()[-1] == "skipped in all: 2; the answers hold the errors"


def test_a_sentence_with_a_bad_line_is_skipped_once(run: Run, model: Path) -> None:
    rows = "张\n三\n\n在\n\t北\n京\r。\n\n工\n".encode()
    done = run("predict", model, "-", "--format", "columns", "--errors", "skip", given=rows)
    assert texts(done.stdout.splitlines()) == ["张三", None, "工"]
    assert done.stderr.splitlines() == [
        "skipped: <stdin>:5: the token column is empty (expected a token): '\\t北'",
        "skipped in all: 1; the answers hold the errors",
    ]


@pytest.mark.parametrize("to", ["words", "conllu"])
def test_other_outputs(run: Run, model: Path, to: str) -> None:
    answer = run("predict", model, "-", "--to", to, given="张三在北京。\n".encode()).stdout
    if to == "conllu":
        rows = [line.split("\t") for line in answer.splitlines()[1:] if line]
        assert "".join(row[1] for row in rows) == "张三在北京。"
        assert {len(row) for row in rows} == {10}
    else:
        assert "".join(word.partition("/")[0] for word in answer.split()) == "张三在北京。"


TEXTS = "张三在北京。\n<b>在</b>北京工作\n\n".encode()


def test_answers_for_annotation_tools(run: Run, model: Path) -> None:
    expected = [json.loads(line) for line in run("predict", model, "-", given=TEXTS).stdout.splitlines()]
    spans = [[[e["start"], e["end"], e["label"]] for e in answer["entities"]] for answer in expected]
    done = run("predict", model, "-", "--to", "doccano", given=TEXTS)
    doccano = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["label"] for each in doccano] == spans
    assert [each["text"] for each in doccano] == texts(list(map(json.dumps, expected)))
    tasks = json.loads(run("predict", model, "-", "--to", "label-studio", given=TEXTS).stdout)
    assert [task["data"]["text"] for task in tasks] == [each["text"] for each in expected]
    for task, answer in zip(tasks, expected, strict=True):
        (prediction,) = task["predictions"]
        found = [(r["value"]["start"], r["value"]["labels"], r["score"]) for r in prediction["result"]]
        assert found == [(e["start"], [e["label"]], e["score"]) for e in answer["entities"]]
        assert prediction["score"] == min([e["score"] for e in answer["entities"]], default=1.0)
    assert any(spans)
    for form in ("doccano", "label-studio"):  # both stay whole where a line cannot be read
        done = run("predict", model, "-", "--to", form, "--errors", "skip", given=b"\xff\n" + TEXTS)
        read = json.loads(done.stdout) if form == "label-studio" else texts(done.stdout.splitlines())
        assert len(read) == 4
        assert '"error": "<stdin>:1: not UTF-8' in done.stdout


def test_answers_for_people(run: Run, model: Path) -> None:
    page = run("predict", model, "-", "--to", "html", "--errors", "skip", given=TEXTS + b"\xff\n").stdout
    assert page.startswith("<!doctype html>")
    assert page.endswith("</body></html>\n")
    assert page.count('<p class="entities"') == 3
    assert "&lt;b&gt;" in page.replace("<mark", "") or "&lt;" in page
    assert "<b>" not in page
    assert "<p>&lt;stdin&gt;:4: not UTF-8" in page
    inline = run("predict", model, "-", "--to", "inline", given=TEXTS).stdout
    assert inline.count("|PER]") + inline.count("|LOC]") > 0


def test_what_may_be_found_can_be_limited(run: Run, model: Path, tmp_path: Path) -> None:
    def entities(*options: str) -> list[Any]:
        done = run("predict", model, "-", *options, given=TEXTS)
        assert done.returncode == 0, done.stderr
        return [e for line in done.stdout.splitlines() for e in json.loads(line)["entities"]]

    every = entities()
    assert {e["label"] for e in every} == {"PER", "LOC"}
    assert {e["label"] for e in entities("--types", "LOC")} == {"LOC"}
    least = sorted(e["score"] for e in every)[len(every) // 2]
    assert entities("--min-score", str(least)) == [e for e in every if e["score"] >= least]
    rules = tmp_path / "rules.json"
    rules.write_text('{"must": {"PER": ["在北"]}}', encoding="utf-8")
    assert [e["text"] for e in entities("--rules", str(rules)) if e["text"] == "在北"] == ["在北"]
    wrong = run("predict", model, "-", "--types", "ORG", given=TEXTS)
    assert (wrong.returncode, wrong.stderr) == (1, "error: the tagger has no type ORG; it has LOC, PER\n")
    missing = run("predict", model, "-", "--rules", tmp_path / "none.json", given=TEXTS)
    assert missing.returncode == 1
    assert "none.json" in missing.stderr


def test_columns_given_as_text_are_noticed(run: Run, model: Path) -> None:
    done = run("predict", model, "-", given="张 B-PER\n三 I-PER\n\n".encode())
    assert done.stderr.startswith("note: the input looks like a column file but is read as text")


def test_no_input_has_no_answer(run: Run, model: Path) -> None:
    done = run("predict", model, "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_compressed_file_is_read(run: Run, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress("张三\n在北京".encode()))
    assert texts(run("predict", model, path).stdout.splitlines()) == ["张三", "在北京"]
    piped = run("predict", model, "-", given=path.read_bytes())
    assert piped.returncode == 1
    assert "looks compressed: give the file by its name" in piped.stderr


def test_a_skipped_sentence_is_a_comment_in_columns(run: Run, model: Path) -> None:
    options = ("--format", "columns", "--to", "columns", "--errors", "skip")
    done = run("predict", model, "-", *options, given="张\n\n\t北\n\n三\n".encode())
    blocks = done.stdout.split("\n\n")
    assert blocks[0].startswith("张\t")
    assert blocks[1].startswith("# <stdin>:3: the token column is empty")
    assert blocks[2].startswith("三\t")


def test_what_was_read_is_answered_before_a_failing_disk_is_told(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def failing(source: object) -> Iterator[bytes]:
        yield "张三\n".encode()
        raise OSError("the disk fails")

    (tmp_path / "text.txt").touch()
    monkeypatch.setattr("pybert_crf.cli.arriving.read_chunks", failing)
    with pytest.raises(OSError, match="the disk fails"):
        work(PredictOptions(str(model), str(tmp_path / "text.txt")))
    assert texts(capsys.readouterr().out.splitlines()) == ["张三"]
