"""Tokenizers of every kind: refused by a documented error, or every unit has pieces, also after saving.

An input is a bundle of files: ``vocab.txt``, ``tokenizer.json``, a sentencepiece model … with their options.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator
from itertools import pairwise

from bundle import pack, write
from mutation import mutate_directory as mutate
from refusals import assert_good_refusal, scratch

from pybert_crf import ConfigError
from pybert_crf.text.tokenizer import UnitTokenizer

__all__ = ["check", "mutate", "seeds"]

_PLACE = scratch()
_GIVEN, _SAVED = _PLACE / "given", _PLACE / "saved"

UNITS = [
    "the",
    "The",
    "北",
    "",
    " ",
    "\n",
    "don't",
    "1,000",
    "e\u0301",
    "\u200e",
    "\ud800",
    "[SEP]",
    "##a",
    "▁a",
    "x" * 40,
]
UNITS += ["\U00013000", "</w>", "Élan", "``", "\0"]
_BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_BARE = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<special1>"]
_LETTERS = ["t", "h", "e", "x", "th", "the", "##e", "北", "Ġ", "Ġt", "▁", "▁t", "e</w>", "the</w>"]
_MERGES = "#version: 0.2\nt h\nth e\nĠ t\n"
_OPTIONS = {"do_lower_case": True, "mask_token": {"content": "[MASK]", "lstrip": True}, "unk_token": "[UNK]"}


def seeds() -> Iterator[tuple[str, bytes]]:
    """The own files of each kind of tokenizer, then what we save of them, with ``tokenizer.json``."""
    kinds: dict[str, dict[str, bytes]] = {"bert": {"vocab.txt": "\n".join([*_BERT, *_LETTERS, ""]).encode()}}
    for kind, special in (("roberta", _BARE), ("deberta", _BERT), ("xlm", _BARE)):
        vocab = json.dumps({piece: number for number, piece in enumerate([*special, *_LETTERS])})
        kinds[kind] = {"vocab.json": vocab.encode(), "merges.txt": _MERGES.encode()}
    kinds["xlm-roberta"] = {"sentencepiece.bpe.model": _sentencepiece(["<unk>", "<s>", "</s>"], 1)}
    kinds["albert"] = {
        "spiece.model": _sentencepiece(["<unk>", "<pad>", "[CLS]", "[SEP]"], 1, b"\x08\0\0\0abcdefgh")
    }
    kinds["deberta-v2"] = {"spm.model": _sentencepiece(["[UNK]", "[PAD]", "[CLS]", "[SEP]"], 2)}
    for kind, files in kinds.items():
        config = {"config.json": json.dumps({"model_type": kind}).encode()}
        options = {"tokenizer_config.json": json.dumps(_OPTIONS if "[CLS]" in str(files) else {}).encode()}
        yield kind, pack(files | config | options)
        yield f"{kind}-added", pack(files | config | {"added_tokens.json": b'{"more": 99}'})
        write(_GIVEN, pack(files | config))
        if kind != "xlm":
            tokenizer = UnitTokenizer.from_directory(_GIVEN)
            _save(tokenizer)
            saved = {path.name: path.read_bytes() for path in sorted(_SAVED.iterdir())}
            yield f"{kind}-saved", pack(config | saved)


def _sentencepiece(special: list[str], model_type: int, charsmap: bytes = b"") -> bytes:
    """A sentencepiece model: a protocol buffer of pieces, the trainer's settings and the normaliser's."""
    pieces = [(text, 3 if "unk" in text.lower() else 2, 0.0) for text in special]
    pieces += [(text, 1, -1.0 - number) for number, text in enumerate(_LETTERS)]
    model = b""
    for text, kind, score in pieces:
        inside = _field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([kind])
        model += _field(1, inside)
    return model + _field(2, b"\x18" + bytes([model_type])) + _field(3, _field(2, charsmap))


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def check(data: bytes) -> None:
    """Open one directory, encode units, and do the same with what was saved."""
    if not write(_GIVEN, data):
        return
    try:
        tokenizer = UnitTokenizer.from_directory(_GIVEN, "char")
    except (ConfigError, FileNotFoundError) as error:
        assert_good_refusal(error, _GIVEN)
        return
    try:
        encoded = tokenizer.encode(UNITS)
    except ConfigError as error:
        assert_good_refusal(error, "the tokenizer's rules fail on")
        return
    assert len(encoded.first) == len(UNITS)
    starts = [*encoded.first, len(encoded.ids)]
    assert starts[0] == 0
    assert all(a < b for a, b in pairwise(starts)), starts
    assert all(0 <= index < tokenizer.vocab_size for index in encoded.ids)
    _save(tokenizer)
    again = UnitTokenizer.from_directory(_SAVED, "char")
    assert again.encode(UNITS) == encoded
    assert (again.cls_id, again.sep_id, again.pad_id) == (
        tokenizer.cls_id,
        tokenizer.sep_id,
        tokenizer.pad_id,
    )
    if tokenizer.mask_id is not None:  # else the family's usual mask, if the vocabulary has it, is taken up
        assert again.mask_id == tokenizer.mask_id


def _save(tokenizer: UnitTokenizer) -> None:
    shutil.rmtree(_SAVED, ignore_errors=True)
    _SAVED.mkdir()
    tokenizer.save(_SAVED)
