"""Taggers over encoders of transformers train, and what is saved is one directory that predicts the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from adapter_cases import CASES, DECODERS, OURS, kind_of, their_model, write_their, write_tokenizer
from safetensors.torch import load_file, save_file

from pybert_crf import BertCRF, Tagger, TrainOptions, train
from pybert_crf.encoders import CheckpointError, open_encoder
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer

Make = Callable[..., TrainOptions]


def start(directory: Path, name: str, corpus: Path) -> Path:
    """A checkpoint with a tokenizer, as it would come from the hub."""
    texts = ["".join(sentence.tokens) for sentence in read_corpus(corpus / "train.txt").sentences]
    write_their(directory, their_model(name))
    write_tokenizer(directory, kind_of(name), texts)
    return directory


@pytest.mark.parametrize("name", [*CASES, *OURS])
def test_training(name: str, options: Make, corpus: Path, tmp_path: Path) -> None:
    directory = start(tmp_path / "start", name, corpus)
    result = train(options(model=str(directory), epochs=1, learning_rate=2e-3, batch_tokens=512))
    tagger = Tagger.from_pretrained(result.out)
    before = dict(open_encoder(directory).named_parameters())
    moved = {key: not value.equal(before[key]) for key, value in tagger.model.encoder.named_parameters()}
    trained = {key: value.requires_grad for key, value in tagger.model.encoder.named_parameters()}
    assert moved == trained
    assert all(trained.values()) is (name not in ("longformer", "roformer"))
    assert tagger.model.encoder.config.bidirectional

    values = json.loads((Path(result.out) / "config.json").read_text())
    assert values["model_type"] == name
    assert values["pybert_crf"]["labels"] == list(tagger.model.labels)
    tagger.save_pretrained(tmp_path / "again")
    again = Tagger.from_pretrained(tmp_path / "again")
    tokens = [sentence.tokens for sentence in read_corpus(corpus / "dev.txt").sentences]
    tokens += [["\u200e", "王", "", "x y"], tokens[0] * 20]
    answers = list(tagger.tag_units(tokens))
    assert [len(answer.tags) for answer in answers] == list(map(len, tokens))
    assert list(again.tag_units(tokens)) == answers
    # Alone and beside longer sentences: neither padding nor what stands for it is seen.
    alone = next(iter(tagger.tag_units(tokens[:1])))
    assert alone.tags == answers[0].tags
    assert alone.scores == pytest.approx(answers[0].scores, abs=1e-4)


@pytest.mark.parametrize("name", ["qwen3", "bart"])
def test_training_goes_on(name: str, options: Make, corpus: Path, tmp_path: Path) -> None:
    directory = start(tmp_path / "start", name, corpus)
    chosen = {"learning_rate": 2e-3, "batch_tokens": 128}
    first = train(options(model=str(directory), epochs=14, out=str(tmp_path / "first"), **chosen))
    assert first.dev.f1 > 0.9
    chosen["learning_rate"] = 2e-4  # the rate of the first run can undo what it learnt
    second = train(options(model=str(first.out), epochs=1, out=str(tmp_path / "second"), **chosen))
    assert second.dev.f1 > 0.9


def test_a_causal_tagger(options: Make, corpus: Path, tmp_path: Path) -> None:
    """What is asked for is trained, saved, loaded, gone on with, and said in the log and the card."""
    directory = start(tmp_path / "start", "qwen3", corpus)
    chosen = {"epochs": 1, "learning_rate": 2e-3, "batch_tokens": 512}
    notes: list[str] = []

    def observe(event: object) -> None:
        notes.extend(getattr(event, "notes", ()))

    result = train(options(model=str(directory), attention="causal", **chosen), observe)
    told = "qwen3 encoder, of transformers: causal, as it was trained: each piece sees only what precedes it"
    assert told in notes
    assert told[1:] in (Path(result.out) / "README.md").read_text("utf-8")
    tagger = Tagger.from_pretrained(result.out)
    assert not tagger.model.encoder.bidirectional
    ids = torch.arange(10, 18)[None]
    changed = torch.cat([ids[:, :-1], ids[:, :1]], 1)
    with torch.inference_mode():
        assert torch.equal(tagger.model.encoder(ids)[:, :-1], tagger.model.encoder(changed)[:, :-1])

    on = {"out": str(tmp_path / "on"), **chosen}
    on_again = train(options(model=str(result.out), **on))  # by default as the tagger was trained
    assert not Tagger.from_pretrained(on_again.out).model.encoder.bidirectional
    changed_mind = train(options(model=str(result.out), attention="both", overwrite=True, **on))
    assert Tagger.from_pretrained(changed_mind.out).model.encoder.bidirectional


@pytest.mark.parametrize(
    ("name", "asked", "allowed"), [("bart", "causal", "both"), ("mpt", "both", "causal")]
)
def test_attention_that_an_encoder_does_not_allow(
    name: str, asked: str, allowed: str, options: Make, corpus: Path, tmp_path: Path
) -> None:
    directory = start(tmp_path / "start", name, corpus)
    with pytest.raises(ValueError, match=rf"attention must be {allowed} for .*start \({name} encoder, of "):
        train(options(model=str(directory), attention=asked))


def test_a_new_encoder_attends_both_ways(options: Make) -> None:
    with pytest.raises(ValueError, match=r"attention must be both from scratch \(model tiny\), got 'causal'"):
        options(model="tiny", attention="causal")
    assert options(model="tiny", attention="both").bidirectional


@pytest.mark.parametrize("name", ["openai-gpt", "bart", "gpt2", "t5"])
def test_a_saved_tagger_is_strict(name: str, corpus: Path, tmp_path: Path) -> None:
    tagger = small_tagger(name, corpus, tmp_path)
    tagger.save_pretrained(tmp_path / "saved")
    weights = tmp_path / "saved" / "model.safetensors"
    tensors = load_file(weights)
    body = next(key for key in sorted(tensors) if not key.startswith(("classifier.", "crf.")))
    for key in ("classifier.weight", "crf.transitions", body):
        save_file({each: value for each, value in tensors.items() if each != key}, weights)
        with pytest.raises(CheckpointError, match="missing"):
            Tagger.from_pretrained(tmp_path / "saved")
        save_file(tensors | {key: torch.full_like(tensors[key], torch.nan)}, weights)
        with pytest.raises(CheckpointError, match="not finite"):
            Tagger.from_pretrained(tmp_path / "saved")
    save_file(tensors | {"other.weight": torch.zeros(1)}, weights)
    with pytest.raises(CheckpointError, match=r"other\.weight"):
        Tagger.from_pretrained(tmp_path / "saved")


def test_a_saved_tagger_says_what_it_needs(corpus: Path, tmp_path: Path) -> None:
    small_tagger("openai-gpt", corpus, tmp_path).save_pretrained(tmp_path / "saved")
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "from pybert_crf import Tagger\n"
        f"try: Tagger.from_pretrained({str(tmp_path / 'saved')!r})\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install 'pybert-crf[transformers]'" in done.stdout


@pytest.mark.parametrize("name", [*DECODERS, "gpt2", "t5"])
def test_long_texts_are_read_in_windows(name: str, corpus: Path, tmp_path: Path) -> None:
    tagger = small_tagger(name, corpus, tmp_path)
    lengths: list[int] = []
    forward = tagger.model.encoder.forward

    def spy(input_ids: Any, *rest: Any) -> Any:
        lengths.append(input_ids.shape[1])
        return forward(input_ids, *rest)

    tagger.model.encoder.forward = spy  # type: ignore[method-assign]
    longest = tagger.model.encoder.config.max_length
    (tagging,) = tagger.tag_units([list("王甲在京。" * longest)])
    assert len(tagging.tags) == 5 * longest
    assert set(lengths) == {longest}


def small_tagger(name: str, corpus: Path, directory: Path) -> Tagger:
    """An untrained tagger over the tiny encoder of a type."""
    checkpoint = start(directory / "start", name, corpus)
    model = BertCRF(open_encoder(checkpoint), ["O", "B-X", "I-X"], "BIO")
    return Tagger(model, UnitTokenizer.from_directory(checkpoint, "char"), "char")


def test_every_type_has_a_kind_of_tokenizer() -> None:
    assert {kind_of(name) for name in (*CASES, *OURS)} == {"bytes", "first", "last", "both"}
