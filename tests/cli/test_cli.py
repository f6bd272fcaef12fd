"""The command line, as a user types it."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybert_crf import PretrainOptions, TrainOptions, backends
from pybert_crf.cli.app import VERBS
from pybert_crf.cli.verb import Verb
from pybert_crf.encoders import Encoder
from pybert_crf.options.schema.option import default_words, help_line, option_of

Run = Callable[..., subprocess.CompletedProcess[str]]
TRAIN = "".join(
    f"{n} B-PER\n{g} I-PER\n在 O\n{p} B-LOC\n。 O\n\n" for n in "张王李" for g in "甲乙" for p in "京沪"
)


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
    done = run("predict", model, train_file, "--format", "columns", "--to", "columns")
    assert done.returncode == 0, done.stderr
    blocks = done.stdout.strip("\n").split("\n\n")
    assert len(blocks) == 12
    assert [line.split("\t")[0] for line in blocks[0].split("\n")] == list("张甲在京。")


def test_predict_reads_a_pipe(run: Run, model: Path) -> None:
    done = run("predict", model, "-", given="张三\u2028在北京\n工作\n".encode())
    records = [json.loads(line) for line in done.stdout.removesuffix("\n").split("\n")]
    assert [record["text"] for record in records] == ["张三\u2028在北京", "工作"]


def test_predict_covers_a_long_paragraph(run: Run, model: Path, tmp_path: Path) -> None:
    text = tmp_path / "long.txt"
    text.write_text("张三在北京工作。" * 250, encoding="utf-8")
    done = run("predict", model, text, "--to", "columns")
    assert len(done.stdout.strip().split("\n")) == 2000


def test_info_of_a_model(run: Run, model: Path, tmp_path: Path) -> None:
    done = run("info", model)
    assert done.returncode == 0
    assert "bert encoder: attends both ways" in done.stdout
    assert "2 layers, 128 wide" in done.stdout
    assert "BIO, one tag for each char" in done.stdout
    assert "O, B-PER, I-PER, B-LOC" in done.stdout
    Encoder.from_size("tiny", vocab_size=50).save_pretrained(tmp_path)
    assert "none, an encoder alone" in run("info", tmp_path).stdout
    gone = run("info", tmp_path / "none")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "neither a directory nor" in gone.stderr


def test_info_names_every_backend_and_why(run: Run) -> None:
    done = run("info")
    assert done.returncode == 0
    for name in ("native", "numba", "reference"):
        assert name in done.stdout
    if backends()["native"].usable:
        assert "extension: compiled by" in done.stdout
        assert "extension on GPUs: " in done.stdout


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
        (["train", "missing.txt", "--dev-share", "0.1", "--out", "x"], "missing.txt: No such file"),
        (["pretrain", "--out", "x"], "missing: the argument TEXT"),
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


@pytest.mark.parametrize("verb", list(VERBS.values()), ids=list(VERBS))
def test_the_help_lists_every_option_with_its_default(run: Run, verb: Verb) -> None:
    shown = " ".join(run(verb.name, "--help").stdout.replace("│", " ").split())
    for field in dataclasses.fields(verb.options):
        option = option_of(field)
        name = field.name.upper() if option.argument else f"--{field.name.replace('_', '-')}"
        assert f" {name} " in shown
        assert help_line(field) in shown


@pytest.mark.parametrize("language", ["help", "chinese"])
@pytest.mark.parametrize("verb", list(VERBS.values()), ids=list(VERBS))
def test_every_option_is_explained_in_both_languages(verb: Verb, language: str) -> None:
    for field in dataclasses.fields(verb.options):
        assert getattr(option_of(field), language).endswith((".", "。", "…")), field.name


def test_the_default_words_of_the_learning_rates_are_the_real_ones() -> None:
    models = ("bert", "small")
    encoder, head = zip(*(TrainOptions("a", "b", "c", model=model).rates() for model in models), strict=True)
    alone = tuple(PretrainOptions(("a",), "b", model=model).rate() for model in models)
    for kind, name, rates in (
        (TrainOptions, "learning_rate", encoder),
        (TrainOptions, "head_learning_rate", head),
        (PretrainOptions, "learning_rate", alone),
    ):
        (field,) = (field for field in dataclasses.fields(kind) if field.name == name)
        assert tuple(float(figure) for figure in re.findall(r"\de-\d", default_words(field))) == rates


NAMES_ELSEWHERE = {
    "train": "lr batch-size max-epochs num-train-epochs per-device-train-batch-size output-dir "
    "model-name-or-path max-seq-length gradient-accumulation-steps warmup-ratio max-grad-norm fp16 "
    "early-stopping-patience crf-lr do-lower-case gpu-id mini-batch-size train_file validation_file",
    "pretrain": "lr batch-size max-seq-length mlm-probability whole-word-mask output_dir num_train_epochs",
    "evaluate": "batch-size model-name-or-path gpu per_device_eval_batch_size",
    "predict": "batch-size model-name-or-path gpu input",
}


@pytest.mark.parametrize(
    ("verb", "name"), [(verb, name) for verb, names in NAMES_ELSEWHERE.items() for name in names.split()]
)
def test_names_of_other_tools_are_answered_in_one_line(run: Run, verb: str, name: str) -> None:
    done = run(verb, f"--{name}", "3")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: no such option: --{name}; ")
    assert len(done.stderr.splitlines()) == 1
    known = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(VERBS[verb].options)}
    answer = done.stderr.partition("; ")[2]
    assert (
        any(f"it is {option} here: " in answer for option in known)
        or "it is the argument" in answer
        or (name in VERBS[verb].options.absent)
    )


@pytest.mark.parametrize("verb", list(VERBS.values()), ids=list(VERBS))
def test_a_name_of_another_tool_means_one_thing(verb: Verb) -> None:
    fields = dataclasses.fields(verb.options)
    names = [name for field in fields for name in option_of(field).elsewhere] + list(verb.options.absent)
    assert len(names) == len(set(names))
    assert not {field.name.replace("_", "-") for field in fields} & set(names)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "--epoch", "3"], "no such option: --epoch; did you mean --epochs?"),
        (["train", "--learning_rate", "1"], "it is --learning-rate here"),
        (["predict", "--columns"], "no such option: --columns; a column file is given by --format columns"),
        (["pretrain", "--columns"], "no such option: --columns; a column file is given by --format columns"),
        (["train", "--abracadabra"], "no such option: --abracadabra"),
        (["train", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["tarin"], "No such command 'tarin'"),
        (["--lr"], "No such option: --lr"),
    ],
)
def test_wrong_usage_is_one_clear_line(run: Run, arguments: list[str], told: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_names_of_other_tools_are_answered_in_an_option_file_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_text("lr = 1e-3\n", encoding="utf-8")
    done = run("train", "--options", file)
    assert done.returncode == 1
    assert "options.toml: no such option: lr; it is --learning-rate here: " in done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--lr", "3"], *([verb, "--help"] for verb in [*VERBS, "info"])]
)
def test_help_and_wrong_options_are_answered_without_torch(arguments: list[str]) -> None:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(sorted({'torch', 'numpy', 'numba'} & set(sys.modules))))\n"
        f"sys.argv = ['pybert-crf', *{arguments!r}]\n"
        "from pybert_crf.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2), done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_pretrain_then_train(run: Run, train_file: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "encoder", tmp_path / "options.toml"
    options.write_text(
        f'text = ["{train_file}"]\nmodel = "tiny"\nformat = "columns"\nmin-count = 1\nepochs = 2\n',
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


def test_convert(run: Run, train_file: Path, tmp_path: Path) -> None:
    done = run("convert", train_file, tmp_path / "train.jsonl")
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'train.jsonl'}: 12 sentences, 24 entities, as json" in done.stdout
    done = run("convert", tmp_path / "train.jsonl", tmp_path / "back.txt", "--scheme", "BMES")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back.txt").read_text("utf-8").startswith("张\tB-PER\n甲\tE-PER\n在\tO\n京\tS-LOC\n")
