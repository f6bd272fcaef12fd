"""Examining a corpus: what is wrong is found with its lines, and decides the exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from adapter_cases import their_model, write_their, write_tokenizer

from pybert_crf.debug_data import examine
from pybert_crf.debug_data.findings import findings
from pybert_crf.debug_data.page import html_page
from pybert_crf.debug_data.part import Part
from pybert_crf.demo.grammar import make_corpus
from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.reading import ConfigError
from pybert_crf.text.corpora import CorpusError, Habits, Sentence, read_corpus, write_columns
from pybert_crf.text.corpora.reading import joined
from pybert_crf.text.tokenizer import UnitTokenizer

GOOD = "Mara B-PER\nlives O\nin O\nnew O\nOslo B-LOC\n\n"


@pytest.fixture
def found(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Findings about files with these contents."""

    def find(*contents: str, model: str | None = None, **habits: object) -> list[tuple[str, str, str]]:
        files = []
        for number, content in enumerate(contents):
            files.append(str(tmp_path / f"{number}.txt"))
            Path(files[-1]).write_text(content, encoding="utf-8")
        examination = examine(files, Habits(**habits), model)  # type: ignore[arg-type]
        return [tuple(finding) for finding in examination.findings]  # type: ignore[misc]

    return find


def many(times: int) -> str:
    """Sentences that differ."""
    return "".join(GOOD.replace("new", f"word{i}") for i in range(times))


def test_places_in_several_files_are_named_by_file_and_line(tmp_path: Path) -> None:
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_text(GOOD + "a O\nb I-X\n", encoding="utf-8")
    second.write_text("c I-X\n\n" + GOOD.replace("B-LOC", "B-PER"), encoding="utf-8")
    corpus = joined([read_corpus(first, "BIO"), read_corpus(second, "BIO")])
    told = [finding.text for finding in findings([Part.of("train", corpus, "BIO")], {})]
    assert f"2 tags ({first}: line 8; {second}: line 1) are illegal in BIO" in told
    assert any(text.startswith(f"1 sentence ({second}: line 3) is repeated with other tags") for text in told)


@pytest.mark.parametrize(
    ("train", "level", "told"),
    [
        ("a O\nb O\n", "error", "all units have the one tag 'O'"),
        ("a O\nb O\n\n" * 2 + "c I-X\n", "warning", r"1 tag \(line 7\) is illegal in BIO"),
        (
            GOOD + GOOD.replace("B-LOC", "B-PER"),
            "error",
            r"1 sentence \(line 7\) is repeated with other tags",
        ),
        (
            many(200) + GOOD * 2 + GOOD.replace("B-LOC", "O"),
            "warning",
            r"1 sentence \(line 1213\) .* other tags",
        ),
        (GOOD * 4, "warning", r"3 sentences \(lines 7, 13, 19\) are repeated, with the same tags"),
        (many(100) + GOOD * 2, "note", r"1 sentence \(line 607\) is repeated, with the same tags"),
        ("a,b O\nc B-X\n", "warning", "the raw text of 100.0% of its sentences is not cut into their words"),
        ("a O\n" * 5000 + "c B-X\n", "warning", "a sentence of 5,001 units at line 1"),
        (
            "林 B-PER\n小 I-PER\n👩‍👩‍👧 O\n" + "在 O\n" * 9,
            "note",
            r"1 token \(line 3\) is of several characters",
        ),
        (GOOD, "note", r"seen less than 10 times.*: LOC \(1\), PER \(1\)"),
    ],
)
def test_what_one_file_shows(found, train: str, level: str, told: str) -> None:  # type: ignore[no-untyped-def]
    scheme = "BIO" if "I-X" in train else None
    findings = found(train, scheme=scheme)
    assert any(each[0] == level and re.search(told, each[2]) for each in findings), findings


def test_a_good_file_shows_nothing(found) -> None:  # type: ignore[no-untyped-def]
    assert found(many(20)) == []


@pytest.mark.parametrize(
    ("other", "level", "told"),
    [
        (many(3), "error", r"3 of its 3 different sentences \(100.0%\) stand in 0.txt too"),
        (many(3).replace("Mara", "Anna"), "note", "50.0% of its entities stand in 0.txt, by text and type"),
        ("Rome B-CITY\nis O\n", "warning", "tags that 0.txt never shows, so they cannot be found: B-CITY"),
        ("Rome O\nis O\n", "warning", "no entity"),
        ("小 O\n林 B-PER\n在 O\n", "warning", "looks tagged by char, but 0.txt by word: --unit"),
        ("a NOUN\nb VERB\n", "error", r"1.txt:1: plain tags cannot be read as BIO"),
        ("a\n", "error", r"1.txt:1: one column"),
    ],
)
def test_what_two_files_show(found, other: str, level: str, told: str) -> None:  # type: ignore[no-untyped-def]
    findings = found(many(20), other)
    assert any(each[:2] == (level, "1.txt") and re.search(told, each[2]) for each in findings), findings


def test_short_sentences_may_well_be_repeated(found) -> None:  # type: ignore[no-untyped-def]
    short = "yes O\n. O\n\n"
    other = "Rome B-LOC\n! O\n\n"
    findings = found(many(20) + short * 9, short * 3 + other)
    assert [text for *_, text in findings] == ["0.0% of its entities stand in 0.txt, by text and type"]


def test_the_first_file_must_be_readable(found) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CorpusError, match=r"0\.txt:1: one column"):
        found("a\n", many(3))


def test_a_model_is_held_against_the_files(found, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tokens = [["Mara", "lives", "in", "Oslo"], *([f"word{i}"] for i in range(20))]
    tokenizer = UnitTokenizer.build(tokens * 9, "word", min_count=1)
    config = EncoderConfig.from_size("tiny", vocab_size=tokenizer.vocab_size)
    Encoder(replace(config, max_positions=16)).save_pretrained(tmp_path / "m")
    tokenizer.save(tmp_path / "m")
    long = "Mara B-PER\n" + "Mara I-PER\n" * 30 + "北 O\n" * 9
    findings = found(many(20) + long, model=str(tmp_path / "m"))
    texts = [text for *_, text in findings]
    assert any(re.fullmatch(r"6\.\d% of its words are unknown to the vocabulary: 北", text) for text in texts)
    assert any(
        "1 sentences are longer than a window" in text and "1 entities are taken" in text for text in texts
    )


def test_a_model_of_transformers_is_held_against_the_files(found, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Of a type without a table here; its windows have no special pieces, and no weights are read."""
    write_their(tmp_path / "m", their_model("gpt2", n_positions=16))
    write_tokenizer(tmp_path / "m", "bytes", ["Oslo Mara Mara"] * 9)
    long = ["Mara B-PER\n" + "Mara I-PER\n" * (size - 1) + "\n" for size in (16, 17)]
    for text in long:
        texts = [text for *_, text in found(many(20) + text, model=str(tmp_path / "m"))]
        assert any("1 sentences are longer than a window" in each for each in texts) is (text is long[1])
    values = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps(values | {"model_type": "frobnicate"}))
    with pytest.raises(
        ConfigError, match=rf"^{tmp_path / 'm'}: config.json: unknown model_type 'frobnicate'"
    ):
        found(many(20), model=str(tmp_path / "m"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A generated corpus whose dev part holds a line that reads like markup."""
    folder = tmp_path_factory.mktemp("data")
    names = []
    corpus = make_corpus(sizes=(300, 100, 0))
    for name, sentences in (("train", corpus.train), ("<dev>", corpus.dev)):
        write_columns(folder / name, [Sentence(*each) for each in sentences])
        names.append(str(folder / name))
    return names


def test_the_page_is_whole(files: list[str]) -> None:
    examination = examine(files, Habits())
    page = html_page(examination)
    assert "http" not in page  # needs nothing else
    assert "&lt;dev&gt;" in page
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 4
    for picture in pictures:
        bars = ElementTree.fromstring(picture).findall("rect")
        assert bars
    counts = [int(count.replace(",", "")) for count in re.findall(r">([\d,]+)</text>", pictures[0])]
    assert sum(counts[-len(counts) :]) >= 300


def test_the_command(files: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pybert_crf", "debug-data", *files]
    command += ["--json", str(tmp_path / "f.json"), "--html", str(tmp_path / "f.html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
    figures = json.loads((tmp_path / "f.json").read_text("utf-8"))
    assert done.returncode == (0 if figures["good"] else 1)
    assert figures["parts"][0]["sentences"] == 300
    assert sum(figures["parts"][0]["lengths"].values()) == 300
    assert figures["parts"][0]["entities"] == read_corpus(files[0]).statistics.entities
    for finding in figures["findings"]:
        assert finding["text"] in done.stdout
    assert (tmp_path / "f.html").read_text("utf-8").startswith("<!doctype html>")


def test_the_exit_status(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a O\nb O\n")
    command = [sys.executable, "-m", "pybert_crf", "debug-data", str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "error a: all units have the one tag 'O'" in done.stdout
