"""What large models need, shown on tiny ones of the same types: bfloat16, shards, several devices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from adapter_cases import their_model, write_their, write_tokenizer
from safetensors.torch import load_file

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.encoders import AdaptedEncoder, ConfigError, open_encoder, spread
from pybert_crf.encoders.checkpoint import tensors as module
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer

Make = Callable[..., TrainOptions]
Start = Callable[..., str]
CHOSEN = {"epochs": 1, "learning_rate": 2e-3, "batch_tokens": 512}


@pytest.fixture
def start(corpus: Path, tmp_path: Path) -> Start:
    """A function that writes a checkpoint with a tokenizer and gives its directory."""

    def write(name: str, **changes: int) -> str:
        texts = ["".join(sentence.tokens) for sentence in read_corpus(corpus / "train.txt").sentences]
        write_their(tmp_path / "start", their_model(name, **changes))
        write_tokenizer(tmp_path / "start", "bytes", texts)
        return str(tmp_path / "start")

    return write


@pytest.mark.parametrize("name", ["qwen3", "llama"])
def test_bfloat16_with_lora(name: str, options: Make, corpus: Path, start: Start, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    result = train(options(model=start(name), dtype="bfloat16", lora_rank=4, **CHOSEN))
    stored = load_file(Path(result.out) / "model.safetensors")
    kinds = {key: each.dtype for key, each in stored.items()}
    assert kinds["classifier.weight"] == kinds["crf.transitions"] == torch.float32
    assert {kind for key, kind in kinds.items() if not key.startswith(("classifier", "crf"))} == {
        torch.bfloat16
    }
    assert json.loads((Path(result.out) / "config.json").read_text())["pybert_crf"]["dtype"] == "bfloat16"

    tagger = Tagger.from_pretrained(result.out)
    assert tagger.model.encoder.dtype == torch.bfloat16
    tokens = [sentence.tokens for sentence in read_corpus(corpus / "dev.txt").sentences]
    answers = list(tagger.tag_units(tokens))
    tagger.save_pretrained(tmp_path / "again")
    assert list(Tagger.from_pretrained(tmp_path / "again").tag_units(tokens)) == answers
    wide = Tagger.from_pretrained(result.out, dtype=torch.float32)
    assert wide.model.encoder.dtype == torch.float32
    for narrow_one, wide_one in zip(answers, wide.tag_units(tokens), strict=True):
        assert narrow_one.tags == wide_one.tags or narrow_one.scores != wide_one.scores


def test_bfloat16_without_lora_is_noted(options: Make, start: Start, tmp_path: Path) -> None:
    notes: list[str] = []

    def observe(event: object) -> None:
        notes.extend(getattr(event, "notes", ()))

    result = train(options(model=start("qwen3"), dtype="bfloat16", **CHOSEN), observe)
    assert any("loses updates below 1/256 of a weight" in note for note in notes)
    again = train(options(model=str(result.out), out=str(tmp_path / "again"), **CHOSEN))
    assert Tagger.from_pretrained(again.out).model.encoder.dtype == torch.bfloat16
    values = json.loads((Path(result.out) / "config.json").read_text())
    values["pybert_crf"]["dtype"] = "int4"
    (Path(result.out) / "config.json").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=r"pybert_crf\.dtype must be float32 or bfloat16, got 'int4'"):
        Tagger.from_pretrained(result.out)
    with pytest.raises(ValueError, match=r"dtype must be float32 from scratch \(model tiny\)"):
        options(model="tiny", dtype="bfloat16")


def test_a_tagger_in_shards(
    options: Make, corpus: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SHARD", 30_000)
    result = train(options(model=start("llama"), **CHOSEN))
    assert (Path(result.out) / "model.safetensors.index.json").is_file()
    tokens = [sentence.tokens for sentence in read_corpus(corpus / "dev.txt").sentences]
    answers = list(Tagger.from_pretrained(result.out).tag_units(tokens))
    assert sum(map(len, (answer.tags for answer in answers))) == sum(map(len, tokens))


@torch.no_grad()
@pytest.mark.parametrize("name", ["qwen3", "llama"])
def test_an_encoder_over_memory_and_disk(name: str, start: Start) -> None:
    """Where no GPU is there, as where one is too small: layers that do not fit are read at each use."""
    directory = start(name, num_hidden_layers=12)
    whole = open_encoder(directory).eval()
    ids = torch.arange(10, 18)[None].expand(3, -1)
    mask = torch.arange(8) < torch.tensor([[8], [5], [1]])
    spread_out = open_encoder(directory).eval()
    assert isinstance(spread_out, AdaptedEncoder)
    size = sum(each.numel() * each.element_size() for each in spread_out.parameters())
    assert spread(spread_out, {"cpu": size * 2 // 3}).type == "cpu"
    places = set(spread_out.model.hf_device_map.values())
    assert places == {"cpu", "disk"}
    assert any(each.is_meta for each in spread_out.parameters())
    assert torch.equal(spread_out(ids, mask), whole(ids, mask))
    with pytest.raises(ValueError, match="does not hold the largest layer of"):
        spread(open_encoder(directory), {"cpu": 1000})
    alone = open_encoder(directory).eval()
    assert spread(alone) == torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        assert torch.equal(alone(ids, mask), whole(ids, mask))


def test_a_tagger_by_itself_on_what_is_there(options: Make, corpus: Path, start: Start) -> None:
    result = train(options(model=start("qwen3"), **CHOSEN))
    tokens = [sentence.tokens for sentence in read_corpus(corpus / "dev.txt").sentences]
    spread_out = Tagger.from_pretrained(result.out, device="auto")
    answers = list(spread_out.tag_units(tokens))
    for one, other in zip(answers, Tagger.from_pretrained(result.out).tag_units(tokens), strict=True):
        assert one.tags == other.tags
        assert one.scores == pytest.approx(other.scores, abs=1e-4)
    assert isinstance(spread_out.tokenizer, UnitTokenizer)
