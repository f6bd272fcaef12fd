"""Recomputed and compiled passes: the same weights, with less kept, or through torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from adapter_cases import each_type, kind_of, their_model, write_their, write_tokenizer

from pybert_crf import PretrainOptions, TrainOptions, pretrain, train
from pybert_crf.encoders import Encoder, read_tensors
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer

Make = Callable[..., TrainOptions]


def base(directory: Path, corpus: Path, name: str = "bert") -> str:
    """A tiny encoder without dropout, and its tokenizer."""
    texts = ["".join(sentence.tokens) for sentence in read_corpus(corpus / "train.txt").sentences]
    if name == "bert":
        tokenizer = UnitTokenizer.build([list(text) for text in texts], "char", min_count=1)
        torch.manual_seed(0)
        encoder = Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size)
        still = {"hidden_dropout": 0.0, "attention.dropout": 0.0}
        encoder = Encoder(encoder.config.with_fields(still))
        encoder.save_pretrained(directory)
        tokenizer.save(directory)
    else:
        write_their(directory, their_model(name))
        write_tokenizer(directory, kind_of(name), texts)
    return str(directory)


class Kept:
    """Counts the numbers that autograd keeps for the backward pass, in the loss of each batch."""

    def __init__(self) -> None:
        self.numbers = 0

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        self.numbers += tensor.numel()
        return tensor


def trained(options: TrainOptions) -> tuple[Any, int]:
    kept = Kept()
    with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
        result = train(options)
    return result, kept.numbers


def alike(first: str, second: str) -> None:
    one, two = read_tensors(first), read_tensors(second)
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("chosen", [{}, {"lora_rank": 2}], ids=["", "lora"])
def test_recomputed_layers_of_ours(options: Make, corpus: Path, tmp_path: Path, chosen: Any) -> None:
    if chosen:
        pytest.importorskip("peft")
    start = base(tmp_path / "base", corpus)
    runs = [
        trained(options(model=start, epochs=1, checkpointing=on, out=str(tmp_path / str(on)), **chosen))
        for on in (False, True)
    ]
    alike(runs[0][0].out, runs[1][0].out)
    assert runs[1][1] < 0.7 * runs[0][1]


@pytest.mark.parametrize("name", ["qwen3", "gptj", "bart", "eurobert"])
def test_recomputed_layers_of_transformers(options: Make, corpus: Path, tmp_path: Path, name: str) -> None:
    """With LoRA, whose embeddings are frozen: every factor still gets its gradient."""
    pytest.importorskip("peft")
    start = base(tmp_path / "base", corpus, name)
    chosen = {"model": start, "epochs": 1, "lora_rank": 2, "batch_tokens": 512}
    runs = [trained(options(checkpointing=on, out=str(tmp_path / str(on)), **chosen)) for on in (False, True)]
    assert runs[1][1] < runs[0][1]
    before, after = (read_tensors(place) for place in (start, runs[1][0].out))
    prefix = next((p for p in ("", "transformer.", "model.") if f"{p}{next(iter(before))}" in after), "")
    assert any(not after[prefix + key].equal(before[key]) for key in before if prefix + key in after)


@each_type
def test_every_type_recomputes_or_says_that_it_cannot(name: str, tmp_path: Path) -> None:
    from pybert_crf.encoders import open_encoder

    write_their(tmp_path, their_model(name))
    encoder = open_encoder(tmp_path).train()
    ids = torch.tensor([[4, 5, 6, 7, 8, 9]])

    def kept() -> int:
        count = Kept()
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            encoder(ids)
        return count.numbers

    plain = kept()
    try:
        encoder.checkpoint_activations()
    except ValueError as error:
        assert "checkpointing" in str(error) or "recompute" in str(error)  # noqa: PT017
        return
    assert kept() < plain


@pytest.mark.slow
def test_a_compiled_encoder_trains_to_the_same_weights(
    options: Make, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the compiler's front end; `test_the_real_compiler` goes all the way."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    check_compiled(options, corpus, tmp_path)
    text = str(tmp_path / "text.txt")
    Path(text).write_text("王甲在京。\n" * 30, encoding="utf-8")
    pretrain(PretrainOptions(text, str(tmp_path / "mlm"), model="tiny", epochs=1, min_count=1, compile=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is:DeprecationWarning")  # torch itself
def test_the_real_compiler(options: Make, corpus: Path, tmp_path: Path) -> None:
    check_compiled(options, corpus, tmp_path)


def check_compiled(options: Make, corpus: Path, tmp_path: Path) -> None:
    start = base(tmp_path / "base", corpus)
    called = []
    torch._dynamo.reset()
    for on in (False, True):
        before = torch._dynamo.utils.counters["frames"]["ok"]
        out = train(options(model=start, epochs=1, compile=on, out=str(tmp_path / str(on)))).out
        called.append(torch._dynamo.utils.counters["frames"]["ok"] - before)
    assert called[0] == 0 < called[1]
    alike(str(tmp_path / "False"), out)


def test_without_a_compiler_one_line_says_so(
    options: Make, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise OSError("no C++ compiler")

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    with pytest.raises(RuntimeError, match=r"cannot be compiled here, so leave compile out: .*no C"):
        train(options(model=base(tmp_path / "base", corpus), compile=True))
