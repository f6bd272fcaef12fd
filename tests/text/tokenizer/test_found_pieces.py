"""Vocabularies without [CLS], [SEP], padding or an unknown piece: what is taken instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from adapter_cases import write_tokenizer

from pybert_crf.annotation.examples import WindowLayout, make_example
from pybert_crf.batches import collate
from pybert_crf.reading import ConfigError
from pybert_crf.text.tokenizer import UnitTokenizer

TEXTS = ["王甲在京。", "the cat sat on the mat", "的陈丁津"] * 3
UNITS = ["王", "\u200e", "", "甲", "𓀀", "<|end|>", "</s>", " "]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [("bytes", None, None), ("first", "<|begin|>", None), ("last", None, "</s>"), ("both", "<s>", "</s>")],
)
@pytest.mark.parametrize("unit", ["char", "word"])
def test_the_template_says_what_stands_around(
    kind: str, before: str | None, after: str | None, unit: str, tmp_path: Path
) -> None:
    write_tokenizer(tmp_path, kind, TEXTS)
    tokenizer = UnitTokenizer.from_directory(tmp_path, unit)
    vocab = json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"]
    ids = vocab if isinstance(vocab, dict) else {piece: index for index, (piece, _) in enumerate(vocab)}
    assert tokenizer.cls_id == (None if before is None else ids[before])
    assert tokenizer.sep_id == (None if after is None else ids[after])
    assert tokenizer.mask_id == ids.get("<mask>")
    assert tokenizer.pad_id == ids.get("<pad>", 0)
    assert tokenizer.unk_id == ids.get("<unk>", 0)

    encoded = tokenizer.encode(UNITS)
    assert len(encoded.first) == len(UNITS) == len(set(encoded.first))
    assert max(encoded.ids) < tokenizer.vocab_size
    layout = WindowLayout(tokenizer.before, tokenizer.after, tokenizer.pad_id, 9)
    batch = collate([make_example(encoded, layout), make_example(tokenizer.encode(["王"]), layout)], layout)
    around = [each for each in (tokenizer.cls_id, tokenizer.sep_id) if each is not None]
    assert layout.capacity == 9 - len(around)
    found = batch.input_ids.flatten()[batch.first]
    assert found[0].tolist() == [encoded.ids[each] for each in encoded.first]
    assert batch.attention_mask.flatten()[batch.first[batch.mask]].all()

    tokenizer.save(tmp_path / "saved")
    again = UnitTokenizer.from_directory(tmp_path / "saved", unit)
    assert again.encode(UNITS) == encoded
    for name in ("cls_id", "sep_id", "pad_id", "unk_id"):
        assert getattr(again, name) == getattr(tokenizer, name)


def test_the_padding_that_the_model_states_and_the_end_of_a_text(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, "bytes", TEXTS)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>"}))
    assert UnitTokenizer.from_directory(tmp_path).pad_id == 1
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3", "pad_token_id": 7}))
    tokenizer = UnitTokenizer.from_directory(tmp_path)
    assert (tokenizer.pad_id, tokenizer.unk_id) == (7, 1)


def test_pieces_that_a_file_states_must_be_there(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, "bytes", TEXTS)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"sep_token": "[SEP]", "pad_token": "<none>"}))
    with pytest.raises(ConfigError, match=r"lacks \[SEP\], <none>"):
        UnitTokenizer.from_directory(tmp_path)


def test_pieces_of_the_template_must_be_there(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, "first", TEXTS)
    path = tmp_path / "tokenizer.json"
    stored = json.loads(path.read_text("utf-8"))
    stored["post_processor"]["special_tokens"]["<|begin|>"]["tokens"] = ["<nowhere>"]
    path.write_text(json.dumps(stored), "utf-8")
    with pytest.raises(ConfigError, match="lacks <nowhere>"):
        UnitTokenizer.from_directory(tmp_path)
