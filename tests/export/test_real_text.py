"""1,000 sentences, Chinese and English: an exported tagger finds what the tagger finds in each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from export_cases import BIO, check_equal

from pybert_crf.demo.grammar import make_corpus
from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.export import export_tagger
from pybert_crf.model import BertCRF
from pybert_crf.onnx_tagger import OnnxTagger
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.corpora import read_corpus
from pybert_crf.text.tokenizer import UnitTokenizer

pytest.importorskip("onnxscript", reason="the package onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

CORPORA = {"char": "peoples_daily/example.dev", "word": "wnut17/test.conll"}


def sentences(unit: str, folder: Path) -> list[tuple[str, ...]]:
    """500 sentences of a real corpus, else of the demo's grammar (of which the words are characters)."""
    named = os.environ.get("PYBERT_CRF_DATA")
    path = Path(named) / CORPORA[unit] if named else folder / "none"
    if not path.is_file():
        make_corpus(sizes=(500, 20, 20)).write(folder)
        path = folder / "train.txt"
    return [tuple(sentence.tokens) for sentence in read_corpus(path).sentences[:500]]


@pytest.mark.slow
@pytest.mark.parametrize("unit", CORPORA)
def test_real_sentences(unit: str, tmp_path: Path) -> None:
    tokens = sentences(unit, tmp_path)
    tokenizer = UnitTokenizer.build(tokens, unit, size=2000)
    torch.manual_seed(4)
    encoder = Encoder(EncoderConfig(tokenizer.vocab_size, 48, 2, 4, 96, max_positions=64))
    model = BertCRF(encoder, BIO, "BIO")
    torch.nn.init.normal_(model.linear.weight, std=1.0)
    tagger = Tagger(model, tokenizer, unit)
    export_tagger(tagger, tmp_path / "exported")
    glue = " " if unit == "word" else ""
    texts = [glue.join(each) for each in tokens]
    assert max(map(len, tokens)) > 30
    assert check_equal(tagger, OnnxTagger(tmp_path / "exported"), texts) > 1000
