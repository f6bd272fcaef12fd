"""Options: what is refused, and where they come from."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from pybert_crf.annotation.annotator import BATCH_TOKENS
from pybert_crf.options import (
    Options,
    PredictOptions,
    PretrainOptions,
    RunOptions,
    TrainOptions,
    explain_unknown,
    merge_options,
    read_options,
)
from pybert_crf.options.schema.option import help_line


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("epochs", True),
        ("batch_tokens", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("clip", -1.0),
        ("warmup", 1.0),
        ("dropout", -0.1),
        ("precision", "fp8"),
        ("unit", "byte"),
        ("train", 3),
    ],
)
def test_values_that_cannot_work_are_named(field: str, value: Any) -> None:
    fields: dict[str, Any] = {"train": "a", "dev": "b", "out": "c", field: value}
    with pytest.raises(ValueError, match=rf"{field} must .*{value!r}"):
        TrainOptions(**fields)


def test_rates_depend_on_whether_the_encoder_is_pretrained() -> None:
    assert TrainOptions("a", "b", "c", model="small").rates() == (5e-4, 5e-3)
    assert TrainOptions("a", "b", "c", model="bert-base-chinese").rates() == (5e-5, 1e-3)
    assert TrainOptions("a", "b", "c", model="bert", lora_rank=4).rates() == (5e-4, 1e-3)
    assert TrainOptions("a", "b", "c", learning_rate=1, head_learning_rate=2).rates() == (1, 2)


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_text('train = "a.txt"\ndev = "b.txt"\nout = "c"\nepochs = 3\nbatch-tokens = 64\n')
    options = merge_options(read_options(file, TrainOptions), {"epochs": 7, "seed": None}, TrainOptions)
    assert (options.files("train"), options.epochs, options.batch_tokens, options.seed) == (
        ("a.txt",),
        7,
        64,
        0,
    )


def test_an_unknown_option_in_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_text("epoch = 3\n")
    with pytest.raises(ValueError, match=r"options\.toml: no such option: epoch"):
        read_options(file, TrainOptions)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed = " + "[" * 3000, "nested too deep"),
        ("seed = " + "9" * 5000, "is not TOML"),
        ("batch-tokens = 1\nbatch_tokens = 2\n", "batch_tokens is given twice"),
    ],
    ids=["deep", "long number", "given twice"],
)
def test_an_odd_option_file_is_refused_by_name(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "options.toml").write_text(text)
    with pytest.raises(ValueError, match=rf"options\.toml.*{told}"):
        read_options(tmp_path / "options.toml", TrainOptions)


@pytest.mark.parametrize(("name", "value"), [("clip", math.inf), ("seed", 2**63), ("seed", -1)])
def test_numbers_that_no_run_can_use(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        TrainOptions("a", "b", "c", **{name: value})


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_text("epochs: 3\n")
    with pytest.raises(ValueError, match=r"options\.toml is not TOML"):
        read_options(file, TrainOptions)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="missing: --out "):
        merge_options({"train": "a"}, {}, TrainOptions)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", ()),
        ("text", ("a", 1)),
        ("dev", 3),
        ("held_out", 0.0),
        ("masking", "often"),
        ("mask_unit", "sentence"),
        ("mask_rate", 1.0),
        ("mask_share", 1.1),
        ("random_share", 0.3),
        ("max_length", 2),
        ("keep", "first"),
        ("checkpoint_steps", -1),
        ("learning_rate", 0.0),
    ],
)
def test_pretraining_values_that_cannot_work_are_named(field: str, value: Any) -> None:
    fields: dict[str, Any] = {"text": "a", "out": "c", field: value}
    with pytest.raises(ValueError, match=rf"{field} must .*{re.escape(repr(value))}"):
        PretrainOptions(**fields)


def test_one_text_or_several_from_python_toml_or_json(tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_text('text = ["a.txt", "b.txt"]\ndev = "c.txt"\nout = "d"\n')
    options = merge_options(read_options(file, PretrainOptions), {"dev": None}, PretrainOptions)
    assert (options.text, options.dev) == (("a.txt", "b.txt"), ("c.txt",))
    assert options == PretrainOptions(("a.txt", "b.txt"), "d", dev="c.txt")  # type: ignore[arg-type]
    assert json.loads(json.dumps(options.to_dict())) == options.to_dict()
    with pytest.raises(ValueError, match="missing: the argument TEXT "):
        merge_options({}, {"out": "x"}, PretrainOptions)


@pytest.mark.parametrize("kind", [TrainOptions, PretrainOptions])
def test_the_docstring_lists_every_option(kind: type[RunOptions]) -> None:
    for field in dataclasses.fields(kind):
        assert f"    {field.name}: {help_line(field)}" in str(kind.__doc__)


@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        (
            "lr",
            TrainOptions,
            "no such option: lr; it is --learning-rate here: Peak learning rate of the encoder.",
        ),
        ("--max_seq_length", TrainOptions, "no such option: --max_seq_length; nothing is truncated, "),
        ("--max_seq_length", PretrainOptions, "no such option: --max_seq_length; it is --max-length here: "),
        ("--train-file", TrainOptions, "no such option: --train-file; it is the argument TRAIN here: "),
        ("--gpu-id", TrainOptions, "no such option: --gpu-id; a GPU is used if there is one "),
        ("--gpu-id", PredictOptions, "no such option: --gpu-id; it is --device here: "),
        ("epoch", TrainOptions, "no such option: epoch; did you mean --epochs?"),
        ("abracadabra", TrainOptions, "no such option: abracadabra"),
    ],
)
def test_names_that_are_no_option_are_answered(name: str, kind: type[Options], answer: str) -> None:
    assert explain_unknown(name, kind).startswith(answer)


def test_batches_of_the_command_line_are_those_of_the_library() -> None:
    """Options import no tagger, so the number stands twice."""
    default = next(
        field.default for field in dataclasses.fields(PredictOptions) if field.name == "batch_tokens"
    )
    assert default == BATCH_TOKENS
