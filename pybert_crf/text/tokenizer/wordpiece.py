"""WordPiece of BERT (Devlin et al., 2019), DistilBERT, ELECTRA and ERNIE: ``vocab.txt`` and three options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from pybert_crf.files import write_text
from pybert_crf.reading import ConfigError, quoted, read_text
from pybert_crf.text.tokenizer.pieces import LibraryPieces

OPTIONS = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
"""Options in ``tokenizer_config.json`` and their defaults; `strip_accents` None means as `do_lower_case`."""

_NORMALIZER_KEYS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


class WordPieces(LibraryPieces):
    """The rules of WordPiece, saved for the family's class in transformers."""

    def __init__(self, tokenizer: Tokenizer, tokenizer_class: str = "BertTokenizer") -> None:
        super().__init__(tokenizer)
        self._class = tokenizer_class

    def save(self, directory: Path) -> dict[str, Any]:
        super().save(directory)
        pieces = {index: piece for piece, index in self.vocab().items()}
        # A piece listed twice in an old vocab.txt leaves an id unused; the other ids must not change.
        lines = [pieces.get(index, f"[gap{index}]") for index in range(max(pieces) + 1)]
        write_text(directory / "vocab.txt", "".join(f"{piece}\n" for piece in lines))
        rules = json.loads(self.tokenizer.to_str())["normalizer"] or {}
        options = {option: rules[key] for option, key in _NORMALIZER_KEYS.items() if key in rules}
        return {"tokenizer_class": self._class, **options}


def build_wordpiece(vocab: dict[str, int], names: Mapping[str, str], config: Mapping[str, Any]) -> Tokenizer:
    """BERT's tokenizer, composed as in transformers.

    Args:
        vocab: ids of the pieces.
        names: the special pieces unk, cls, sep, pad, mask.
        config: ``tokenizer_config.json``, whose values override the defaults in `OPTIONS`.

    Raises:
        ConfigError: an option has an invalid value.
    """
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=names["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer(clean_text=True, **_rules(config))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([piece for piece in names.values() if piece in vocab])
    if names["cls"] in vocab and names["sep"] in vocab:
        tokenizer.post_processor = processors.BertProcessing(
            (names["sep"], vocab[names["sep"]]), (names["cls"], vocab[names["cls"]])
        )
    return tokenizer


def set_options(normalizer: object, config: Mapping[str, Any]) -> None:
    """Set the options of a ``tokenizer.json``'s normaliser to those in `config`, else `OPTIONS`."""
    if isinstance(normalizer, dict) and normalizer.get("type") == "BertNormalizer":
        normalizer |= _rules(config)


def _rules(config: Mapping[str, Any]) -> dict[str, Any]:
    """The normaliser's keys with the options' values.

    Raises:
        ConfigError: an option is not true or false (or null, for `strip_accents`).
    """
    rules = {}
    for option, key in _NORMALIZER_KEYS.items():
        value = config.get(option, OPTIONS[option])
        if not isinstance(value, bool) and not (value is None and option == "strip_accents"):
            raise ConfigError(f"tokenizer_config.json: {option} must be true or false, got {quoted(value)}")
        rules[key] = value
    return rules


def read_vocab(path: Path) -> dict[str, int]:
    """Read a ``vocab.txt``: one piece per line, whose id is the line's number from 0.

    A repeated piece has its last id, as in transformers.

    Raises:
        ConfigError: the file is not UTF-8.
    """
    text = read_text(path)
    # Only \n ends a line: U+2028 and U+0085 occur in real vocabularies.
    return {line.removesuffix("\r"): index for index, line in enumerate(text.removesuffix("\n").split("\n"))}
