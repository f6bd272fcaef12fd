"""What turns one unit into pieces: the rules of a tokenizer, as `UnitTokenizer` sees them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer, models

from pybert_crf.files import write_text

SPACE = "▁"
"""How sentencepiece spells a space."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class Pieces(Protocol):
    """A vocabulary and the rules that lead to it."""

    def vocab(self) -> dict[str, int]:
        """All pieces with their ids, special and added ones too."""

    def ids(self, unit: str) -> list[int]:
        """The pieces of one unit; empty where the rules leave nothing of it."""

    def save(self, directory: Path) -> dict[str, Any]:
        """Write the files that hold the rules; return what ``tokenizer_config.json`` must say about them."""


class LibraryPieces:
    """The rules of a tokenizer of the `tokenizers` library, whose file is ``tokenizer.json``."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()  # a tokenizer.json may bring both, and would cut units without a word
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        # A unit of which only sentencepiece's space is left is a unit of which nothing is left.
        space = tokenizer.token_to_id(SPACE)
        spelt = isinstance(tokenizer.model, models.Unigram | models.BPE) and space is not None
        self._nothing = [space] if spelt else []

    def vocab(self) -> dict[str, int]:
        vocab: dict[str, int] = self.tokenizer.get_vocab(with_added_tokens=True)
        return vocab

    def ids(self, unit: str) -> list[int]:
        # A lone surrogate is no text to the library.
        ids: list[int] = self.tokenizer.encode(_SURROGATES.sub("\ufffd", unit), add_special_tokens=False).ids
        return [] if ids == self._nothing else ids

    def save(self, directory: Path) -> dict[str, Any]:
        write_text(directory / "tokenizer.json", self.tokenizer.to_str(pretty=True))
        # The generic class takes tokenizer.json at its word; a family's own class would rebuild its rules.
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": ["input_ids", "attention_mask"],
        }


def set_space_before(pre_tokenizer: dict[str, Any] | None, before: bool) -> None:
    """Make a ``tokenizer.json``'s pre-tokenizer read every text as if a space stood before it, or none."""
    if pre_tokenizer is None:
        return
    for inner in pre_tokenizer.get("pretokenizers", ()):
        set_space_before(inner, before)
    if pre_tokenizer.get("type") == "ByteLevel":
        pre_tokenizer["add_prefix_space"] = before
    elif pre_tokenizer.get("type") == "Metaspace":
        pre_tokenizer.pop("add_prefix_space", None)  # as older files say it
        pre_tokenizer["prepend_scheme"] = "always" if before else "never"


def read_tokenizer_json(path: Path) -> dict[str, Any]:
    """The content of a ``tokenizer.json``.

    Raises:
        ValueError: it is not a JSON object.
    """
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return state


def library_tokenizer(state: dict[str, Any], path: Path) -> Tokenizer:
    """The tokenizer that the content of the ``tokenizer.json`` at `path` describes.

    Raises:
        ValueError: it describes none.
    """
    try:
        return Tokenizer.from_str(json.dumps(state, ensure_ascii=False))
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{path}: not a tokenizer that the tokenizers library reads: {error}") from error
