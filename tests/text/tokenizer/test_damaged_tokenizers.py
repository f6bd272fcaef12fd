"""Damaged files of every kind of tokenizer: refused by an error that names the directory, or opened."""

from __future__ import annotations

import json
import shutil
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
