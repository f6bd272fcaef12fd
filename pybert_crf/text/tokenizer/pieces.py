"""Rules that split one unit into pieces: the protocol that `UnitTokenizer` uses, and the library's rules."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer, models

from pybert_crf.files import write_text
from pybert_crf.reading import ConfigError, quoted

MAX_PIECES = 1 << 24
"""An id is below this; the largest vocabularies have some 500,000 pieces."""

MAX_GROWTH = 10_000
"""Of a text, by replacements; those of known tokenizers make it shorter, or at most three times as long."""

SPACE = "▁"
"""Sentencepiece's symbol for a space."""

_RARE = "\U00013000"
"""A letter that no vocabulary is expected to have, an Egyptian hieroglyph."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class Pieces(Protocol):
    """A vocabulary and the rules that split a unit into its pieces."""

    def vocab(self) -> dict[str, int]:
        """All pieces with their ids, including special and added ones."""

    def ids(self, unit: str) -> list[int]:
        """The ids of the pieces of one unit; empty if the rules remove all of it."""

    def save(self, directory: Path) -> dict[str, Any]:
        """Write the files of the rules; return their entries in ``tokenizer_config.json``."""


@contextmanager
def library_errors(told: str) -> Iterator[None]:
    """Turn what the library raises for hostile files into a ``ConfigError``.

    It raises ``ValueError``, bare ``Exception``, and a ``BaseException`` of its own where Rust panics.
    """
    try:
        yield
    except ConfigError:
        raise
    except BaseException as error:
        panic = type(error).__name__ == "PanicException"
        if not (panic or isinstance(error, ValueError) or type(error) is Exception):
            raise
        raise ConfigError(f"{told}: {str(error)[:200]}") from error


def _growth(normalizer: Any) -> int:
    """How many times as long a text may become, at most, by the replacements of a ``tokenizer.json``."""
    if normalizer["type"] == "Sequence":
        return math.prod(_growth(each) for each in normalizer["normalizers"])
    if normalizer["type"] == "Replace":
        return max(1, len(normalizer["content"]))
    return 1


class LibraryPieces:
    """The rules of a tokenizer of the `tokenizers` library, saved as ``tokenizer.json``.

    Raises:
        ConfigError: its replacements, applied to each other's result, may make a text very long.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        state = json.loads(tokenizer.normalizer.__getstate__()) if tokenizer.normalizer else None
        if state is not None and _growth(state) > MAX_GROWTH:
            raise ConfigError(f"its replacements may make a text more than {MAX_GROWTH:,} times as long")
        tokenizer.no_truncation()  # a tokenizer.json may enable both, which would change units silently
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        # If only sentencepiece's space remains of a unit, nothing remains of it.
        space = tokenizer.token_to_id(SPACE)
        has_space = isinstance(tokenizer.model, models.Unigram | models.BPE) and space is not None
        self._nothing = [space] if has_space else []

    def vocab(self) -> dict[str, int]:
        vocab: dict[str, int] = self.tokenizer.get_vocab(with_added_tokens=True)
        return vocab

    def survives_saving(self) -> bool:
        """Whether a saved tokenizer has the same ids; the library changes those added above gaps."""
        vocab = self.vocab()
        if max(vocab.values(), default=-1) < len(vocab):
            return True
        again = Tokenizer.from_str(self.tokenizer.to_str())
        return bool(again.get_vocab(with_added_tokens=True) == vocab)

    def ids(self, unit: str) -> list[int]:
        with library_errors(f"the tokenizer's rules fail on {quoted(unit)}"):
            # The library refuses lone surrogates.
            text = _SURROGATES.sub("\ufffd", unit)
            ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [] if ids == self._nothing else ids

    def around(self) -> tuple[str | None, str | None]:
        """The special pieces that the tokenizer's template puts first and last; None where there is none."""
        with library_errors("the tokenizer's template fails"):
            encoding = self.tokenizer.encode("a", add_special_tokens=True)
        special = [bool(each) for each in encoding.special_tokens_mask]
        if not special or all(special):
            return None, None
        tokens: list[str] = encoding.tokens
        return tokens[0] if special[0] else None, tokens[-1] if special[-1] else None

    def save(self, directory: Path) -> dict[str, Any]:
        write_text(directory / "tokenizer.json", self.tokenizer.to_str(pretty=True))
        # The generic class applies tokenizer.json unchanged; a family's own class would rebuild its rules.
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": ["input_ids", "attention_mask"],
        }


def set_space_before(pre_tokenizer: object, before: bool) -> None:
    """Make the pre-tokenizer of a ``tokenizer.json`` read texts as if a space preceded them, or none."""
    if not isinstance(pre_tokenizer, dict):  # no pre-tokenizer, or none that the library reads
        return
    inside = pre_tokenizer.get("pretokenizers")
    for inner in inside if isinstance(inside, list) else ():
        set_space_before(inner, before)
    if pre_tokenizer.get("type") == "ByteLevel":
        pre_tokenizer["add_prefix_space"] = before
    elif pre_tokenizer.get("type") == "Metaspace":
        pre_tokenizer.pop("add_prefix_space", None)  # the same option in older files
        pre_tokenizer["prepend_scheme"] = "always" if before else "never"


def library_tokenizer(state: dict[str, Any], path: Path) -> Tokenizer:
    """The tokenizer described by `state`, the content of the ``tokenizer.json`` at `path`.

    Raises:
        ConfigError: the library cannot read it.
    """
    with library_errors(f"{path}: not a tokenizer that the tokenizers library reads"):
        tokenizer = Tokenizer.from_str(json.dumps(state, ensure_ascii=False))
        tokenizer.encode(_RARE)  # fails if the vocabulary lacks the model's unknown piece
    return tokenizer
