"""The guides (coming from elsewhere, by task): each pybert-crf line and each block of Python runs, and prints
what it says.

All run in one process, page by page, in a folder with the corpora that they name: torch is imported once.
Runs that learn are cut to one epoch.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from typing import Any

import pytest
from entry_points import write_entry_points
from pages import PAGES, blocks, text
from test_commands import cached_checkpoint, commands, run

from pybert_crf.demo.grammar import make_corpus
from pybert_crf.text.corpora import read_corpus

GUIDES = [
    page
    for page in PAGES
    if page.startswith(("docs/coming-from/", "docs/tasks/", "docs/from-")) and not page.endswith(".zh-CN.md")
]
NEEDED = {
    "docs/coming-from/spacy.md": "spacy",
    "docs/coming-from/pytorch-crf.md": "torchcrf",
    "docs/tasks/files-and-tables.md": "pandas",
}

DRIVER = """
import contextlib, io, json, shlex, sys, traceback
from pathlib import Path
from pybert_crf.cli import main

def command(line):
    line, _, target = line.partition(" > ")
    sys.argv = shlex.split(line)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            main()
        except SystemExit as end:
            assert not end.code, (line, end.code)
    if target:
        Path(target.strip()).write_text(output.getvalue(), "utf-8")

def python(code):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {"__name__": "example"})
    return output.getvalue()

answers = {}
for page, (lines, code) in json.loads(Path(sys.argv[1]).read_text("utf-8")).items():
    try:
        for line in lines:
            command(line)
        answers[page] = [python(code), ""]
    except BaseException:
        answers[page] = ["", traceback.format_exc()]
Path("answers.json").write_text(json.dumps(answers), "utf-8")
"""


def code_of(page: str) -> str:
    """The Python of a page as one program; it trains for one epoch."""
    return re.sub(r"\bout=", "epochs=1, out=", "\n".join(blocks(page, "python")))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """For each page what its Python printed, and the traceback of what failed."""
    folder = tmp_path_factory.mktemp("guides")
    make_corpus(sizes=(60, 20, 20)).write(folder)
    sentences = read_corpus(folder / "train.txt").sentences
    for name in ("train", "dev", "test"):
        (folder / f"example.{name}").write_bytes((folder / f"{name}.txt").read_bytes())
        read = read_corpus(folder / f"{name}.txt").sentences
        lists = [{"tokens": list(each.tokens), "ner_tags": list(each.tags)} for each in read]
        lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lists)
        (folder / f"{name}.json").write_text(lines, "utf-8")
        segmented = "".join(f"{_words(each.tokens)}\n" for each in read)
        (folder / f"{name}.seg").write_text(segmented, "utf-8")
        tagged = "".join(
            "".join(f"{token}\t{_kind(token)}\n" for token in each.tokens) + "\n" for each in read
        )
        (folder / f"{name}.pos").write_text(tagged, "utf-8")
    plain = "".join(f"{''.join(each.tokens)}\n" for each in sentences)
    (folder / "text.txt").write_text(plain, "utf-8")
    rows = "".join(f'{number},"{line}"\n' for number, line in enumerate(plain.splitlines()[:5]))
    (folder / "reviews.csv").write_text(f"id,text\n{rows}", "utf-8")
    (folder / "letters").mkdir()
    (folder / "letters" / "a.txt").write_text(plain, "utf-8")
    (folder / "long.txt").write_text("".join(plain.split()) + "\n", "utf-8")
    cached_checkpoint(folder / "hub", [list(each.tokens) for each in sentences])
    write_entry_points(folder)
    first = "docs/tasks/named-entities.md"  # trains the tagger that others use
    runnable = {
        page: (_one_epoch(commands(page)), code_of(page))
        for page in [first, *GUIDES]
        if page not in NEEDED or importlib.util.find_spec(NEEDED[page])
    }
    (folder / "pages.json").write_text(json.dumps(runnable), "utf-8")
    run([sys.executable, "-c", DRIVER, "pages.json"], folder)
    found: dict[str, Any] = json.loads((folder / "answers.json").read_text("utf-8"))
    return found


def _words(tokens: tuple[str, ...]) -> str:
    """Words of two characters, to have some."""
    joined = "".join(tokens)
    return " ".join(joined[i : i + 2] for i in range(0, len(joined), 2))


def _kind(token: str) -> str:
    """A tag of a character, to have some."""
    return "PUNCT" if not token.isalnum() else "NOUN" if ord(token[0]) % 2 else "VERB"


def _one_epoch(lines: list[str]) -> list[str]:
    return [re.sub(r"(pybert-crf (?:train|pretrain) .*)", r"\1 --epochs 1", line) for line in lines]


def test_there_are_guides() -> None:
    assert len(GUIDES) > 5


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES)
def test_what_the_page_shows_runs_and_prints_what_it_says(answers: dict[str, list[str]], page: str) -> None:
    if page not in answers:
        pytest.skip(f"{NEEDED[page]} is not installed")
    output, error = answers[page]
    assert not error, error
    code = code_of(page)
    told = re.findall(r"^ *print\(.*\)  # (.+)$", code, re.MULTILINE)
    if len(told) == code.count("print("):
        assert output.splitlines() == told
    else:  # what else it prints depends on a tagger that has hardly learnt
        assert [line for line in output.splitlines() if line in told] == told


@pytest.mark.parametrize("page", [page for page in GUIDES if "coming-from" in page])
def test_a_page_says_what_stays_there(page: str) -> None:
    assert "| there | here |" in text(page)
