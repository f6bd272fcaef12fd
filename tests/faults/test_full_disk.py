"""A full disk: every writer says "no space left", and what was there before is still there, whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pybert_crf import CRF, BertCRF, Encoder, EncoderConfig, MaskedLM, Tagger, TrainOptions
from pybert_crf.crf.onnx import export_viterbi
from pybert_crf.encoders import read_tensors
from pybert_crf.text.corpora import Corpus, Sentence, write_columns
from pybert_crf.text.corpora.conversion import write_corpus
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training.results import write_results

SMALL = ["--model", "tiny", "--batch-tokens", "128", "--min-count", "1", "--patience", "0"]
COMMAND = [sys.executable, "-m", "pybert_crf"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk with so much room, no file can grow beyond `size` bytes."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def tagger() -> Tagger:
    text = "张三在北京"
    tokenizer = UnitTokenizer.build([list(text)], "char", size=40, min_count=1)
    encoder = Encoder(EncoderConfig(tokenizer.vocab_size, 12, 2, 3, 20, max_positions=32))
    return Tagger(BertCRF(encoder, ["O", "B-LOC", "I-LOC"], "BIO"), tokenizer, "char")


def results(directory: Path) -> None:
    figures = SimpleNamespace(to_dict=lambda: {"f1": 0.5, "per type": list(range(200))})
    finished = SimpleNamespace(
        dev=figures, epoch=1, ended="finished", history=[], seconds=1.0, out=str(directory), warnings=()
    )
    write_results(finished, "# a card\n" * 50, TrainOptions("a", "b", "c"))


SENTENCES = [Sentence(["北", "京"], ["B-LOC", "I-LOC"])] * 50
WRITERS: dict[str, Callable[[Path], Any]] = {
    "tagger": lambda directory: tagger().save_pretrained(directory),
    "encoder": lambda directory: tagger().model.encoder.save_pretrained(directory),
    "masked language model": lambda directory: MaskedLM(tagger().model.encoder).save_pretrained(directory),
    "metrics and card": results,
    "columns": lambda directory: write_columns(directory / "a.txt", SENTENCES),
    "JSON lines": lambda directory: write_corpus(
        Corpus(Path("a.txt"), SENTENCES, "BIO"), directory / "a.jsonl", "json", None, "char"
    ),
    "ONNX": lambda directory: export_viterbi(CRF(5, batch_first=True), directory / "viterbi.onnx"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_says_it_and_keeps_every_old_file(name: str, tmp_path: Path) -> None:
    """The limit is just below the size of each of its files in turn."""
    write = WRITERS[name]
    write(tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for path, content in files.items():
        with (
            files_of_at_most(len(content) - 1),
            pytest.raises(OSError, match="no space left to write") as caught,
        ):
            write(tmp_path)
        too_large = [str(other) for other, held in files.items() if len(held) >= len(content)]
        assert any(each in str(caught.value) for each in too_large)
        assert {other: len(other.read_bytes()) for other in tmp_path.iterdir()} == {
            other: len(held) for other, held in files.items()
        }, path


def test_a_full_disk_ends_the_run_and_keeps_what_was_saved(
    options: Callable[..., TrainOptions], tmp_path: Path
) -> None:
    """The model fits under the limit, the optimiser's state does not."""
    chosen = options(out=str(tmp_path / "full"))
    command = [
        *COMMAND,
        "train",
        *chosen.files("train"),
        "--dev",
        *chosen.files("dev"),
        *SMALL,
        "--out",
        chosen.out,
    ]
    done = subprocess.run(
        command,
        env=ENVIRONMENT,
        preexec_fn=lambda: limit(2_500_000),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no space left to write" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert read_tensors(chosen.out)
    assert not [path for path in Path(chosen.out).iterdir() if path.is_dir() or path.name.startswith(".")]


def limit(size: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("verb", [pytest.param("evaluate", marks=pytest.mark.slow), "convert"])
def test_verbs_say_it_in_one_line(verb: str, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("old")
    command = [*COMMAND, "convert", str(corpus / "dev.txt"), str(out), "--to", "json"]
    if verb == "evaluate":
        tagger().save_pretrained(tmp_path / "tagger")
        command = [
            *COMMAND,
            "evaluate",
            str(tmp_path / "tagger"),
            str(corpus / "dev.txt"),
            "--json",
            str(out),
        ]
    done = subprocess.run(
        command, env=ENVIRONMENT, preexec_fn=lambda: limit(50), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"no space left to write {out}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert out.read_text() == "old"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_predictions_that_find_no_room_are_an_error(tmp_path: Path) -> None:
    tagger().save_pretrained(tmp_path / "tagger")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "predict", str(tmp_path / "tagger"), "-"],
            input="北京\n" * 100,
            env=ENVIRONMENT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "no space left" in done.stderr.lower()
    assert len(done.stderr.splitlines()) == 1
