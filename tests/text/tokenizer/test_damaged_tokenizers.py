"""Damaged files of every kind of tokenizer: refused by an error that names the directory, or opened."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from damages import field_damages, file_damages
from layouts import Make

from pybert_crf.reading import ConfigError
from pybert_crf.text.tokenizer import UnitTokenizer

KINDS = ["bert", "roberta", "xlm", "xlm-roberta", "albert", "deberta-v2"]
CONFIG = {
    "do_lower_case": True,
    "keep_accents": True,
    "mask_token": {"content": "[MASK]", "lstrip": True},
    "added_tokens_decoder": {"0": {"content": "[PAD]", "special": True}},
}


def _fault(directory: Path) -> str:
    """What is wrong about the error of opening a directory; nothing if it names the directory."""
    try:
        UnitTokenizer.from_directory(directory).encode(["the", "北", "\U00013000"])
    except (ConfigError, FileNotFoundError) as error:
        return "" if str(directory) in str(error) and len(str(error)) < 1000 else f"{error}"
    except Exception as error:
        return repr(error)
    return ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whole", [False, True], ids=["own files", "tokenizer.json"])
def test_damaged_files(kind: str, whole: bool, make_checkpoint: Make, tmp_path: Path) -> None:
    source = make_checkpoint(kind)
    if whole:
        tokenizer = UnitTokenizer.from_directory(source)
        shutil.rmtree(source)
        tokenizer.save(source)
    faults = {}
    for name, damage in file_damages(source):
        directory = tmp_path / "damaged"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(source, directory)
        damage(directory)
        faults[name] = _fault(directory)
    assert {name: fault for name, fault in faults.items() if fault} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_options(kind: str, make_checkpoint: Make, tmp_path: Path) -> None:
    """Every field of the JSON files with a tokenizer's options, special pieces and added pieces."""
    source = make_checkpoint(kind, **CONFIG)
    (source / "special_tokens_map.json").write_text(json.dumps({"unk_token": "<unk>", "sep_token": "x"}))
    (source / "added_tokens.json").write_text(json.dumps({"more": 300}))
    faults = {}
    for file in ("config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        for name, damage in field_damages(source, file):
            directory = tmp_path / "damaged"
            shutil.rmtree(directory, ignore_errors=True)
            shutil.copytree(source, directory)
            if file in ("special_tokens_map.json", "added_tokens.json"):  # both are read only without it
                (directory / "tokenizer_config.json").unlink()
            damage(directory)
            faults[name] = _fault(directory)
    assert {name: fault for name, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ({"<s>": -1}, "the id of '<s>' is -1"),
        ({"<s>": True}, "the id of '<s>' is True"),
        ({"<s>": 10**9}, "the id of '<s>' is 1000000000"),
        ({"<s>": 0, "</s>": 0}, "two pieces have the same id"),
    ],
)
def test_ids(vocab: dict[str, int], message: str, make_checkpoint: Make) -> None:
    directory = make_checkpoint("roberta")
    (directory / "vocab.json").write_text(json.dumps(vocab))
    with pytest.raises(ConfigError, match=rf"vocab\.json: {message}"):
        UnitTokenizer.from_directory(directory)


def test_a_huge_id_in_tokenizer_json(vocabulary_files: Callable[[str], Path], tmp_path: Path) -> None:
    """It would need an embedding, and a line of vocab.txt, for every id below it."""
    directory = tmp_path / "saved"
    shutil.copytree(vocabulary_files("bert"), directory)
    UnitTokenizer.from_directory(directory).save(directory)
    content = json.loads((directory / "tokenizer.json").read_text())
    content["model"]["vocab"]["the"] = 10**9
    (directory / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="has the id 1000000000"):
        UnitTokenizer.from_directory(directory)


def _charsmap(directory: Path) -> None:
    """Give a sentencepiece model normalisation rules that point outside their table."""
    path = directory / "spiece.model"
    rules = b"\x08\0\0\0abcdefgh"
    path.write_bytes(
        path.read_bytes() + b"\x1a" + bytes([len(rules) + 2]) + b"\x12" + bytes([len(rules)]) + rules
    )


def test_rules_on_which_the_library_panics(make_checkpoint: Make, capfd: pytest.CaptureFixture[str]) -> None:
    """Rust's panics are no Exceptions."""
    directory = make_checkpoint("albert")
    _charsmap(directory)
    (directory / "added_tokens.json").write_text('{"more": 400}')
    with pytest.raises(ConfigError, match=r"added_tokens\.json: index out of bounds"):
        UnitTokenizer.from_directory(directory)
    (directory / "added_tokens.json").unlink()
    tokenizer = UnitTokenizer.from_directory(directory)
    with pytest.raises(ConfigError, match="the tokenizer's rules fail on 'the': index out of bounds"):
        tokenizer.encode(["the"])


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite(score: float, make_checkpoint: Make) -> None:
    """It could be read, but not be written back: JSON has no such number."""
    directory = make_checkpoint("albert")
    path = directory / "spiece.model"
    piece = b"\x0a\x01q\x15" + struct.pack("<f", score)
    path.write_bytes(path.read_bytes() + b"\x0a" + bytes([len(piece)]) + piece)
    with pytest.raises(ConfigError, match=f"the score of the piece 'q' is {score}"):
        UnitTokenizer.from_directory(directory)


def test_two_pieces_with_one_id(vocabulary_files: Callable[[str], Path], tmp_path: Path) -> None:
    """The library would save one of them, at random."""
    directory = tmp_path / "saved"
    shutil.copytree(vocabulary_files("bert"), directory)
    UnitTokenizer.from_directory(directory).save(directory)
    content = json.loads((directory / "tokenizer.json").read_text())
    content["model"]["vocab"]["more"] = content["model"]["vocab"]["the"]
    (directory / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="has two pieces with the same id"):
        UnitTokenizer.from_directory(directory)


def test_a_special_piece_without_text_is_the_usual_one(make_checkpoint: Make) -> None:
    tokenizer = UnitTokenizer.from_directory(make_checkpoint("bert", mask_token={"content": ""}))
    assert tokenizer.mask_id == tokenizer.encode(["[MASK]"]).ids[0]


def test_replacements_of_replacements(vocabulary_files: Callable[[str], Path], tmp_path: Path) -> None:
    """Forty doublings would make one letter fill all memory."""
    directory = tmp_path / "saved"
    shutil.copytree(vocabulary_files("bert"), directory)
    UnitTokenizer.from_directory(directory).save(directory)
    content = json.loads((directory / "tokenizer.json").read_text())
    doubling = {"type": "Replace", "pattern": {"String": "t"}, "content": "tt"}
    for count, good in ((10, True), (40, False)):
        content["normalizer"] = {"type": "Sequence", "normalizers": [doubling] * count}
        (directory / "tokenizer.json").write_text(json.dumps(content))
        if good:
            UnitTokenizer.from_directory(directory).encode(["t"])
        else:
            with pytest.raises(ConfigError, match="its replacements may make a text more than 10,000 times"):
                UnitTokenizer.from_directory(directory)


def test_a_type_of_any_length_is_shortened(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "xlm" * 2000}))
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(ValueError, match="tokenizer") as error:
        UnitTokenizer.from_directory(tmp_path, "char")
    assert len(str(error.value)) < 1000
