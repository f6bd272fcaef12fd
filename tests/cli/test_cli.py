"""The command line, as a user types it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from pybert_crf import PretrainOptions, Tagger, TrainOptions
from pybert_crf.cli import pretrain, train
from pybert_crf.encoders import Encoder
from pybert_crf.model import BertCRF
from pybert_crf.options import RunOptions
from pybert_crf.text.tokenizer import UnitTokenizer

Run = Callable[..., subprocess.CompletedProcess[str]]
TRAIN = "".join(
    f"{n} B-PER\n{g} I-PER\n在 O\n{p} B-LOC\n。 O\n\n" for n in "张王李" for g in "甲乙" for p in "京沪"
)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process; gives exit status, output and errors."""
    from pybert_crf import cli

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["pybert-crf", *words])
        monkeypatch.setenv("COLUMNS", "200")
        status = 0
        try:
            cli.main()
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(words, status, out, err)

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tagger with random weights."""
    directory = tmp_path_factory.mktemp("tagger")
    tokenizer = UnitTokenizer.build([list("张三在北京工作。")], "char", min_count=1)
    torch.manual_seed(3)
    model = BertCRF(
        Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size), ["O", "B-PER", "I-PER", "B-LOC"], "BIO"
    )
    torch.nn.init.normal_(model.linear.weight, std=1.0)
    Tagger(model, tokenizer, "char").save_pretrained(directory)
    return directory


@pytest.fixture
def train_file(tmp_path: Path) -> Path:
    """A small column file."""
    path = tmp_path / "train.txt"
    path.write_text(TRAIN, encoding="utf-8")
    return path


@pytest.mark.parametrize("verb", ["demo", "pretrain", "train", "evaluate", "predict", "info"])
def test_every_verb_shows_a_worked_example(run: Run, verb: str) -> None:
    done = run(verb, "--help")
    assert done.returncode == 0
    assert (
        "Example: pybert-crf " + verb in done.stdout.replace("`", "") or "| pybert-crf predict" in done.stdout
    )


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = "import sys, pybert_crf.cli; print(sorted({'torch', 'numba', 'accelerate'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_imports_nothing_heavy() -> None:
    code = "import sys, pybert_crf; print(sorted({'torch', 'numba', 'numpy', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_crf_brings_no_numba_or_tokenizer() -> None:
    code = (
        "import sys; from pybert_crf import CRF; "
        "print(sorted({'numba', 'tokenizers', 'accelerate', 'rich', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_train_evaluate_predict(run: Run, train_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "tagger"
    options = tmp_path / "options.toml"
    options.write_text(
        'model = "tiny"\nepochs = 1\nmin-count = 1\nlearning-rate = 2e-3\npatience = 0\n', encoding="utf-8"
    )
    trained = run(
        "train", train_file, "--dev", train_file, "--out", out, "--options", options, "--epochs", 14
    )
    assert trained.returncode == 0, trained.stderr
    assert "sentences: train 12, dev 12" in trained.stdout
    assert "epoch  14" in trained.stdout  # the flag won over the file
    assert f"pybert-crf predict {out}" in trained.stdout

    figures = tmp_path / "figures.json"
    evaluated = run("evaluate", out, train_file, "--json", figures)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "conlleval" in evaluated.stdout
    assert "strict" in evaluated.stdout
    assert json.loads(figures.read_text())["conlleval"]["micro"]["f1"] > 0.9

    text = tmp_path / "text.txt"
    text.write_text("张甲在京。\n\n 王乙在沪。\r\n", encoding="utf-8")
    predicted = [json.loads(line) for line in run("predict", out, text).stdout.splitlines()]
    assert [record["text"] for record in predicted] == ["张甲在京。", "", " 王乙在沪。"]
    for record in predicted:
        for entity in record["entities"]:
            assert record["text"][entity["start"] : entity["end"]] == entity["text"]
    assert {entity["text"] for entity in predicted[2]["entities"]} == {"王乙", "沪"}


def test_predict_on_columns_gives_columns(run: Run, model: Path, train_file: Path) -> None:
    done = run("predict", model, train_file, "--columns", "--format", "columns")
    assert done.returncode == 0, done.stderr
    blocks = done.stdout.strip("\n").split("\n\n")
    assert len(blocks) == 12
    assert [line.split("\t")[0] for line in blocks[0].split("\n")] == list("张甲在京。")


def test_predict_reads_a_pipe(model: Path) -> None:
    text = "张三\u2028在北京\n工作\n"
    command = [sys.executable, "-m", "pybert_crf", "predict", str(model), "-"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    records = [json.loads(line) for line in done.stdout.decode().removesuffix("\n").split("\n")]
    assert [record["text"] for record in records] == ["张三\u2028在北京", "工作"]


def test_predict_covers_a_long_paragraph(run: Run, model: Path, tmp_path: Path) -> None:
    text = tmp_path / "long.txt"
    text.write_text("张三在北京工作。" * 250, encoding="utf-8")
    done = run("predict", model, text, "--format", "columns")
    assert len(done.stdout.strip().split("\n")) == 2000


def test_info_names_every_backend_and_why(run: Run) -> None:
    done = run("info")
    assert done.returncode == 0
    for name in ("native", "numba", "reference"):
        assert name in done.stdout


def test_a_missing_optional_package_is_one_clear_line(
    run: Run, model: Path, train_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model, tmp_path / "xlm")
    (tmp_path / "xlm" / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMTokenizer"}')
    (tmp_path / "xlm" / "vocab.json").write_text('{"<s>": 0, "</s>": 1, "<pad>": 2, "<unk>": 3}')
    (tmp_path / "xlm" / "merges.txt").touch()
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    done = run("predict", tmp_path / "xlm", train_file)
    assert done.returncode == 1
    assert (
        done.stderr == "error: XLM's tokenizer needs the package sacremoses: pip install 'pybert-crf[xlm]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["evaluate", "nowhere", "{file}"], "nowhere"),
        (["evaluate", "{model}", "missing.txt"], "missing.txt"),
        (["predict", "{model}", "missing.txt"], "missing.txt: no such file"),
        (["predict", "{model}", "{file}", "--device", "abacus"], "device 'abacus' cannot be used here"),
        (["train", "{file}", "--out", "x"], "missing: dev"),
        (["pretrain", "--out", "x"], "missing: text"),
        (["pretrain", "{file}", "no-such-file", "--out", "x"], "no-such-file"),
        (["train", "{file}", "--dev", "{bad}", "--out", "x"], "bad.txt:2"),
        (["train", "{file}", "--dev", "{file}", "--out", "x", "--epochs", "0"], "epochs must be at least 1"),
        (
            ["train", "{file}", "--dev", "{file}", "--out", "x", "--model", "./no-such-encoder"],
            "no-such-encoder",
        ),
    ],
)
def test_wrong_input_is_one_clear_line(
    run: Run,
    model: Path,
    train_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    bad = tmp_path / "bad.txt"
    bad.write_text("张 B-PER\n三\n", encoding="utf-8")
    names: dict[str, Any] = {"file": train_file, "model": model, "bad": bad}
    done = run(*(argument.format(**names) for argument in arguments))
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().split("\n")) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("verb", "kind"), [(train, TrainOptions), (pretrain, PretrainOptions)])
def test_the_help_tells_the_real_defaults(verb: ModuleType, kind: type[RunOptions]) -> None:
    """The flags' own default is None, so that a file's value counts; the help repeats the options'."""
    hints = typing.get_type_hints(verb.command, include_extras=True)
    for field in dataclasses.fields(kind):
        _, option = typing.get_args(hints[field.name])
        if field.default in (None, False, (), dataclasses.MISSING):
            continue
        default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        assert f"[default: {default}]" in option.help, field.name
    assert hints.keys() - {"return", "options"} == {field.name for field in dataclasses.fields(kind)}


def test_the_help_tells_the_real_learning_rates() -> None:
    hints = {verb: typing.get_type_hints(verb.command, include_extras=True) for verb in (train, pretrain)}
    models = ("bert", "small")
    encoder, head = zip(*(TrainOptions("a", "b", "c", model=model).rates() for model in models), strict=True)
    alone = tuple(PretrainOptions("a", "b", model=model).rate() for model in models)
    for verb, name, rates in (
        (train, "learning_rate", encoder),
        (train, "head_learning_rate", head),
        (pretrain, "learning_rate", alone),
    ):
        told = typing.get_args(hints[verb][name])[1].help
        shown = told.partition("[default: ")[2].rstrip("]").replace("from scratch ", "").split(", ")
        assert tuple(float(figure) for figure in shown) == rates


def test_pretrain_then_train(run: Run, train_file: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "encoder", tmp_path / "options.toml"
    options.write_text(
        f'text = ["{train_file}"]\nmodel = "tiny"\ncolumns = true\nmin-count = 1\nepochs = 2\n',
        encoding="utf-8",
    )
    done = run("pretrain", "--out", out, "--options", options, "--epochs", 1, "--held-out", 0.25)
    assert done.returncode == 0, done.stderr
    assert "train: 9 lines, 45 pieces in 9 windows" in done.stdout
    assert "dev: 3 lines, 15 pieces in 3 windows" in done.stdout
    assert "perplexity" in done.stdout
    assert "epoch 1 is kept" in done.stdout
    arguments = ["--dev", train_file, "--model", out, "--out", tmp_path / "tagger", "--epochs", 1]
    assert run("train", train_file, *arguments).returncode == 0
