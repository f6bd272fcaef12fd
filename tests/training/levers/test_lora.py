"""LoRA: what moves, what is saved, and that an adapter opens to the same tagger, here and in peft."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from adapter_cases import kind_of, their_model, write_their, write_tokenizer
from safetensors.torch import load_file, save_file

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.encoders import CheckpointError, ConfigError, Encoder, open_encoder
from pybert_crf.encoders.low_rank import adapted_layers
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training import Stepped, tagging

pytest.importorskip("peft")

Make = Callable[..., TrainOptions]
RATES = {"lora_rank": 4, "learning_rate": 5e-3, "batch_tokens": 256}


@pytest.fixture(params=["bert", "qwen3", "gpt2"])
def base(request: pytest.FixtureRequest, corpus: Path, tmp_path: Path) -> str:
    """A checkpoint of a tiny encoder with random weights, and its tokenizer."""
    texts = ["".join(sentence.tokens) for sentence in read_corpus(corpus / "train.txt").sentences]
    directory = tmp_path / "base"
    if request.param == "bert":
        tokenizer = UnitTokenizer.build([list(text) for text in texts], "char", min_count=1)
        torch.manual_seed(0)
        Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size).save_pretrained(directory)
        tokenizer.save(directory)
    else:
        write_their(directory, their_model(request.param))
        write_tokenizer(directory, kind_of(request.param), texts)
    return str(directory)


def tokens_of(corpus: Path) -> list[list[str]]:
    return [sentence.tokens for sentence in read_corpus(corpus / "dev.txt").sentences]


def test_only_factors_and_head_move(base: str, options: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    before: dict[str, torch.Tensor] = {}
    models = []
    add = tagging.prepare

    def spy(tagger: Tagger, *rest: Any) -> Any:
        notes = add(tagger, *rest)
        models.append(tagger.model)
        before.update({name: value.clone() for name, value in tagger.model.named_parameters()})
        return notes

    monkeypatch.setattr(tagging, "prepare", spy)
    events: list[Any] = []
    train(options(model=base, epochs=2, **RATES), events.append)
    moved = {name for name, value in models[0].named_parameters() if not value.equal(before[name])}
    wanted = {name for name in before if ".lora_" in name or not name.startswith("encoder.")}
    assert moved == wanted
    layers = [name for name, _ in adapted_layers(models[0].encoder)]
    assert len(layers) == {"bert": 8, "qwen3": 14, "gpt2": 8}[models[0].encoder.config.model_type]
    assert f"LoRA of rank 4 beside {len(layers)} linear layers" in events[0].notes[-1]
    assert events[0].parameters == sum(before[name].numel() for name in wanted)


def test_it_learns_and_both_ways_of_saving_agree(
    base: str, options: Make, corpus: Path, tmp_path: Path
) -> None:
    """The merged tagger, the adapter over its base, and the layers as peft computes them in training."""
    chosen = {**RATES, "model": base, "epochs": 6, "lora_alpha": 16.0, "patience": 0}
    merged = train(options(**chosen, out=str(tmp_path / "merged")))
    adapter = train(options(**chosen, out=str(tmp_path / "adapter"), lora_save="adapter"))
    frozen = train(options(**{**chosen, "lora_rank": 1, "learning_rate": 1e-9}, out=str(tmp_path / "still")))
    assert merged.history[-1]["loss"] < 0.8 * frozen.history[-1]["loss"]  # the factors are what learns
    assert merged.dev == adapter.dev
    first, second = (Tagger.from_pretrained(result.out) for result in (merged, adapter))
    tokens = tokens_of(corpus)
    for one, two in zip(first.tag_units(tokens), second.tag_units(tokens), strict=True):
        assert one.tags == two.tags
        assert one.scores == pytest.approx(two.scores, abs=1e-5)
    state = second.model.state_dict()
    for name, value in first.model.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=1e-5, atol=1e-6)
    assert any(
        not value.equal(state[f"encoder.{name}"]) for name, value in open_encoder(base).state_dict().items()
    )

    files = {path.name for path in Path(adapter.out).iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "config.json"} <= files
    assert "model.safetensors" not in files
    assert not any(name.startswith("adapter") for name in map(str, Path(merged.out).iterdir()))
    again = tmp_path / "again"
    second.save_pretrained(again)  # an opened adapter is a plain tagger
    assert list(Tagger.from_pretrained(again).tag_units(tokens)) == list(second.tag_units(tokens))


def test_peft_opens_the_adapter_over_the_base(base: str, options: Make, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    out = train(options(model=base, epochs=2, lora_save="adapter", **RATES)).out
    ours = open_encoder(out, bidirectional=False).eval()
    kinds = {"bert": {"add_pooling_layer": False}}
    kind = kinds.get(json.loads((Path(base) / "config.json").read_text())["model_type"], {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peft.PeftModel.from_pretrained(transformers.AutoModel.from_pretrained(base, **kind), out)
    ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
    with torch.no_grad():
        states = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        torch.testing.assert_close(ours(ids), states, rtol=1e-4, atol=1e-5)
        plain = open_encoder(base, bidirectional=False).eval()(ids)
    assert not torch.allclose(plain, states, atol=1e-3)


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("base", ["bert"], indirect=True)
def test_a_killed_run_resumes_to_the_same_weights(base: str, options: Make, tmp_path: Path) -> None:
    def kill(event: object) -> None:
        if isinstance(event, Stepped) and (event.epoch, event.step) == (2, 2):
            raise _Killed

    chosen = {**RATES, "model": base, "epochs": 3, "lora_save": "adapter", "lora_dropout": 0.1}
    whole = train(options(**chosen, out=str(tmp_path / "whole")))
    with pytest.raises(_Killed):
        train(options(**chosen), kill)
    with pytest.raises(ValueError, match="lora_rank was 4, is 3"):
        train(options(**{**chosen, "lora_rank": 3}, resume=True))
    resumed = train(options(**chosen, resume=True))
    first, second = (load_file(Path(run.out) / "adapter_model.safetensors") for run in (whole, resumed))
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)


@pytest.mark.parametrize("base", ["bert"], indirect=True)
def test_an_adapter_is_strict(base: str, options: Make, tmp_path: Path) -> None:
    out = Path(train(options(model=base, epochs=1, lora_save="adapter", **RATES)).out)
    with pytest.raises(FileNotFoundError, match=r"LoRA's weights alone: open it by Tagger.from_pretrained"):
        Encoder.from_pretrained(out)
    with pytest.raises(CheckpointError, match="lora_save = adapter needs a model with weights of its own"):
        train(options(model=str(out), out=str(tmp_path / "b"), epochs=1, lora_save="adapter", **RATES))
    train(options(model=str(out), out=str(tmp_path / "c"), epochs=1, **RATES))  # merged it goes on

    weights, config = out / "adapter_model.safetensors", json.loads((out / "adapter_config.json").read_text())
    tensors = load_file(weights)
    name = next(name for name in tensors if ".lora_A." in name)

    def refused(kind: type[Exception], told: str, **changes: Any) -> None:
        save_file({**tensors, **changes.pop("tensors", {})}, weights)
        (out / "adapter_config.json").write_text(json.dumps(config | changes))
        with pytest.raises(kind, match=told):
            Tagger.from_pretrained(out)

    refused(CheckpointError, "not finite", tensors={name: torch.full_like(tensors[name], torch.nan)})
    refused(CheckpointError, "does not fit", tensors={name: tensors[name][1:].contiguous()})
    refused(CheckpointError, "is for a weight", tensors={name: tensors[name][:, 1:].contiguous()})
    other = name.replace("layer.0", "layer.7")
    refused(CheckpointError, "is unexpected", tensors={other: tensors[name].clone()})
    refused(
        CheckpointError, r"pooler\.dense lacks", target_modules=[*config["target_modules"], "pooler.dense"]
    )
    refused(ConfigError, "use_dora = True is not supported", use_dora=True)
    refused(ConfigError, "r must be a whole number", r="4")
    refused(ConfigError, "lora_alpha", lora_alpha=None)
    refused(FileNotFoundError, "adapter_config.json: base_model_name_or_path", base_model_name_or_path="/no")
    refused(CheckpointError, "not the one that its LoRA was trained over", base_sum=1)
    refused(CheckpointError, "classifier", tensors={"base_model.model.classifier.bias": torch.zeros(2)})


@pytest.mark.parametrize("base", ["bert"], indirect=True)
def test_what_is_asked_of_lora(base: str, options: Make) -> None:
    with pytest.raises(
        ValueError, match="lora_target: no linear layer of the encoder is called q_proj; they are"
    ):
        train(options(model=base, lora_target="q_proj", **RATES))
    some = train(options(model=base, lora_target=("qkv", "out"), epochs=1, lora_save="adapter", **RATES)).out
    kept = json.loads((Path(some) / "adapter_config.json").read_text())["target_modules"]
    assert {name.rpartition(".")[2] for name in kept} == {"query", "key", "value", "dense"}
    with pytest.raises(ValueError, match="lora_rank must be 0 for a model from scratch"):
        options(model="tiny", lora_rank=4)
    for name, value in (
        ("lora_alpha", 3.0),
        ("lora_dropout", 0.1),
        ("lora_target", "qkv"),
        ("lora_save", "adapter"),
    ):
        with pytest.raises(ValueError, match=f"{name} must come with lora_rank"):
            options(model=base, **{name: value})


def test_without_peft_one_line_says_so(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['peft'] = None\n"
        "from pybert_crf.encoders.low_rank import library\n"
        "try: library()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "LoRA needs the package peft: pip install 'pybert-crf[lora]'\n"
