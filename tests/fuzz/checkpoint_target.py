"""Directories of models: refused by a documented error that names them, or a model that answers and is kept.

An input is a bundle of files: a saved tagger, an encoder of any family, shards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from bundle import pack_directory, write
from models import SIZES, TEXT, configurations, run_small
from mutation import mutate_directory as mutate
from refusals import assert_good_refusal, scratch

from pybert_crf import BertCRF, CheckpointError, ConfigError, Encoder, EncoderConfig, MaskedLM, Tagger
from pybert_crf.encoders import config_from_json, read_tensors
from pybert_crf.text.tokenizer import UnitTokenizer

__all__ = ["check", "mutate", "seeds"]

_PLACE = scratch()
_GIVEN, _SAVED = _PLACE / "given", _PLACE / "saved"


def seeds() -> Iterator[tuple[str, bytes]]:
    """A saved tagger, whole and in shards, and an encoder of each family."""
    torch.manual_seed(0)
    directory = scratch()
    tokenizer = UnitTokenizer.build([list(TEXT)], "char", size=SIZES["vocab_size"], min_count=1)
    sizes = {name: value for name, value in SIZES.items() if name != "embeddings.num_languages"}
    sizes |= {"num_layers": 1, "vocab_size": tokenizer.vocab_size}
    encoder = Encoder(EncoderConfig.from_fields(sizes))
    Tagger(BertCRF(encoder, ["O", "B-LOC", "I-LOC"], "BIO"), tokenizer, "char").save_pretrained(directory)
    (directory / "tokenizer.json").unlink()  # vocab.txt is there too, and short
    yield "tagger", pack_directory(directory)
    yield "shards", pack_directory(_sharded(directory))
    for values in configurations():
        encoder = Encoder(config_from_json(values))
        directory = scratch()
        encoder.save_pretrained(directory)
        yield values["model_type"], pack_directory(directory)


def _sharded(directory: Path) -> Path:
    places = dict.fromkeys(read_tensors(directory), "model-00001-of-00001.safetensors")
    (directory / "model.safetensors").rename(directory / "model-00001-of-00001.safetensors")
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return directory


def check(data: bytes) -> None:
    """Open one directory in every way, and save and open again what opens."""
    if not write(_GIVEN, data):
        return
    tagger = _open(Tagger)
    if tagger is not None:
        answer = _answer(tagger)
        tagger.save_pretrained(_SAVED)
        assert _answer(Tagger.from_pretrained(_SAVED)) == answer
        return  # its encoder was opened with it
    encoder = _open(Encoder)
    if encoder is not None:
        assert all(tensor.isfinite().all() for tensor in encoder.state_dict().values())
        if max(float(tensor.abs().max()) for tensor in encoder.state_dict().values() if tensor.numel()) < 10:
            run_small(encoder)
        encoder.save_pretrained(_SAVED)
        again = Encoder.from_pretrained(_SAVED)
        assert again.config == encoder.config
        assert all(map(torch.equal, again.state_dict().values(), encoder.state_dict().values()))
    _open(MaskedLM)


def _open(kind: Any) -> Any:
    try:
        return kind.from_pretrained(_GIVEN)
    except (ConfigError, CheckpointError, FileNotFoundError) as error:
        assert_good_refusal(error, _GIVEN, longest=7000)  # three lists of 20 names
        return None


def _answer(tagger: Tagger) -> Any:
    """The entities of a text; of weights so large that the scores overflow, the error that says so."""
    try:
        return [(entity.start, entity.end, entity.label) for entity in tagger(TEXT)]
    except ValueError as error:
        assert_good_refusal(error, "batch row 0")
        return "not finite"
