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

SURROGATES = re.compile("[\ud800-\udfff]")
"""Lone surrogates, which libraries refuse."""


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
            text = SURROGATES.sub("\ufffd", unit)
            ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [] if ids == self._nothing else ids

    def around(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The special pieces that the tokenizer's template puts before and after a text, in order."""
        with library_errors("the tokenizer's template fails"):
            encoding = self.tokenizer.encode("a", add_special_tokens=True)
        special = [bool(each) for each in encoding.special_tokens_mask]
        if not special or all(special):
            return (), ()
        first, last = special.index(False), len(special) - special[::-1].index(False)
        return tuple(encoding.tokens[:first]), tuple(encoding.tokens[last:])

    def special(self) -> list[str]:
        """The added pieces that are marked as special, by their ids."""
        added: dict[int, Any] = self.tokenizer.get_added_tokens_decoder()
        return [each.content for _, each in sorted(added.items()) if each.special]

    def save(self, directory: Path) -> dict[str, Any]:
        write_text(directory / "tokenizer.json", self.tokenizer.to_str(pretty=True))
        # The generic class applies tokenizer.json unchanged; a family's own class would rebuild its rules.
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": ["input_ids", "attention_mask"],
        }


def set_space_before(state: dict[str, Any], before: bool) -> None:
    """Make the rules of a ``tokenizer.json`` read texts as if a space preceded them, or none.

    The space stands in the normaliser if the pre-tokenizer has split the text before it comes to spaces, as
    Qwen's does, or if there is none, as in Llama 2.
    """
    kinds = _set_in_pre_tokenizer(state.get("pre_tokenizer"), before)
    steps = _steps(state.get("normalizer"))
    spaces = [each for each in steps if each.get("type") == "Prepend" and each.get("prepend") in (" ", SPACE)]
    if before and kinds[:1] == ["Split"] and kinds[-1:] == ["ByteLevel"] and not spaces:
        _set_normalizer(state, [*steps, {"type": "Prepend", "prepend": " "}])
    elif before and not kinds and not spaces and any(each.get("content") == SPACE for each in steps):
        _set_normalizer(state, [{"type": "Prepend", "prepend": SPACE}, *steps])
    elif not before and spaces:
        _set_normalizer(state, [each for each in steps if each not in spaces])


def _set_in_pre_tokenizer(pre_tokenizer: object, before: bool) -> list[str]:
    """Set the options for the space in a pre-tokenizer; the types of its steps."""
    if not isinstance(pre_tokenizer, dict):  # no pre-tokenizer, or none that the library reads
        return []
    inside = pre_tokenizer.get("pretokenizers")
    if isinstance(inside, list):
        kinds = [kind for inner in inside for kind in _set_in_pre_tokenizer(inner, before)]
        if kinds[:1] == ["Split"] and isinstance(inside[-1], dict) and inside[-1].get("type") == "ByteLevel":
            inside[-1]["add_prefix_space"] = False  # it would put a space before each part of a text
        return kinds
    if pre_tokenizer.get("type") == "ByteLevel":
        pre_tokenizer["add_prefix_space"] = before
    elif pre_tokenizer.get("type") == "Metaspace":
        pre_tokenizer.pop("add_prefix_space", None)  # the same option in older files
        pre_tokenizer["prepend_scheme"] = "always" if before else "never"
    return [str(pre_tokenizer.get("type"))]


def _steps(normalizer: object) -> list[dict[str, Any]]:
    """The steps of a normaliser."""
    if not isinstance(normalizer, dict):
        return []
    inside = normalizer.get("normalizers")
    return [each for each in inside if isinstance(each, dict)] if isinstance(inside, list) else [normalizer]


def _set_normalizer(state: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    state["normalizer"] = {"type": "Sequence", "normalizers": steps} if steps else None


def library_tokenizer(state: dict[str, Any], path: Path) -> Tokenizer:
    """The tokenizer described by `state`, the content of the ``tokenizer.json`` at `path`.

    Raises:
        ConfigError: the library cannot read it.
    """
    with library_errors(f"{path}: not a tokenizer that the tokenizers library reads"):
        tokenizer = Tokenizer.from_str(json.dumps(state, ensure_ascii=False))
        tokenizer.encode(_RARE)  # fails if the vocabulary lacks the model's unknown piece
    return tokenizer
