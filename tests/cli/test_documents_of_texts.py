"""``predict`` and ``evaluate`` with a tagger that reads sentences in their documents."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_predict import answers, finish, give, predicting, texts

from pybert_crf import Tagger

Run = Callable[..., subprocess.CompletedProcess[str]]

LINES = ["张三在北京。", "在京工作。", "", "三在作。", "工在北京。"]


@pytest.fixture(scope="module")
def in_context(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tagger with random weights, with a context of 7 pieces."""
    tagger = Tagger.from_pretrained(model)
    tagger.context = 7
    tagger.save_pretrained(directory := tmp_path_factory.mktemp("in-context"))
    return directory


def found(directory: Path, documents: list[list[str]]) -> list[list[Any]]:
    """What the library answers, in the form of the command."""
    answered = Tagger.from_pretrained(directory).tag_documents(documents)
    return [[entity.to_dict() for entity in entities] for document in answered for entities in document]


def alike(lines: list[str], expected: list[list[Any]]) -> None:
    """The same entities; other batches round their scores otherwise."""
    for line, others in zip(lines, expected, strict=True):
        assert json.loads(line)["entities"] == [pytest.approx(other) for other in others]


def entities(done: subprocess.CompletedProcess[str]) -> list[object]:
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == LINES
    return [row["entities"] for row in rows]


def test_lines_are_read_in_their_documents(run: Run, model: Path, in_context: Path, tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    whole = run("predict", in_context, file, "--documents", "file")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert entities(whole) == found(in_context, [LINES])
    blank = run("predict", in_context, file, "--documents", "blank")
    assert entities(blank) == found(in_context, [LINES[:2], LINES[2:]])
    alone = run("predict", in_context, file)
    assert entities(alone) == found(model, [[line] for line in LINES])
    told = (
        "note: the tagger reads up to 7 pieces of a document's neighbouring sentences, but a sentence of no"
    )
    assert alone.stderr.startswith(told)
    off = run("predict", in_context, file, "--context", 0)
    assert (off.stdout, off.stderr) == (alone.stdout, "")
    assert len({whole.stdout, blank.stdout, alone.stdout}) == 3  # each has seen something else


def test_documents_of_columns_and_errors_in_their_place(run: Run, in_context: Path) -> None:
    text = "-DOCSTART-\n\n张\n三\n\n在\n\n" + "北" * 50 + "\n\n-DOCSTART-\n\n京\n"
    done = run("predict", in_context, "-", "--format", "columns", given=text.encode())
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["张三", "在", "北" * 50, "京"]
    assert [row["entities"] for row in rows] == found(in_context, [["张三", "在", ["北" * 50]], ["京"]])
    bad = run(
        *("predict", in_context, "-", "--documents", "file", "--errors", "skip", "--max-line", 9),
        given="张三\n{}\n在京\n".format("北" * 10).encode(),
    )
    rows = [json.loads(line) for line in bad.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["张三", None, "在京"]
    assert [rows[0]["entities"], rows[2]["entities"]] == found(in_context, [["张三", "在京"]])


@pytest.mark.skipif(os.name != "posix", reason="select on pipes")
def test_a_line_waits_for_what_follows_it(in_context: Path) -> None:
    with predicting(in_context, "--documents", "file") as process:
        give(
            process, "张三在北京。\n在京。\n工作北京\n"
        )  # seven pieces follow the first line, four the second
        first = answers(process, 1)
        assert texts(first) == ["张三在北京。"]
        give(process, "三\n")
        status, out, err = finish(process)
    assert (status, texts(out), err) == (0, ["在京。", "工作北京", "三"], "")
    lines = ["张三在北京。", "在京。", "工作北京", "三"]
    alike(first + out, found(in_context, [lines]))


def test_info_tells_the_context(run: Run, model: Path, in_context: Path) -> None:
    assert "context     up to 7 pieces of a document's neighbouring" in run("info", in_context).stdout
    assert "context" not in run("info", model).stdout


def test_evaluate_says_that_sentences_are_alone(run: Run, in_context: Path, tmp_path: Path) -> None:
    file = tmp_path / "gold.txt"
    file.write_text("张 B-PER\n三 I-PER\n\n在 O\n京 B-LOC\n\n", encoding="utf-8")
    alone = run("evaluate", in_context, file)
    assert "gold.txt: no borders of documents" in alone.stdout
    assert "no borders" not in run("evaluate", in_context, file, "--documents", "file").stdout
    assert "no borders" not in run("evaluate", in_context, file, "--context", 0).stdout
    refused = run("evaluate", in_context, file, "--documents", "blank")
    assert refused.returncode != 0
    assert "--documents blank is for plain or word-segmented text" in refused.stderr
