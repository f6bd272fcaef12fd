"""XLM's tokenizer (Lample and Conneau, 2019): Moses' rules, lower case, byte-pair encoding with ``</w>``.

Moses' rules for English (punctuation, words, abbreviations), transformers' default, come from the package
`sacremoses`, which only this family needs. No segmenter for Chinese, Japanese or Thai is applied, as units
are segmented already.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import models

from pybert_crf.files import write_json, write_text

EXTRA = tuple(f"<special{number}>" for number in range(10))
"""Additional special pieces of XLM vocabularies; the mask is one of them."""

_KEPT = ("do_lowercase_and_remove_accent", "lang2id", "id2lang")
_END = "</w>"


class XlmPieces:
    """The rules of an XLM checkpoint.

    Raises:
        ImportError: `sacremoses` is not installed.
    """

    def __init__(
        self,
        vocab: dict[str, int],
        merges: list[tuple[str, str]],
        names: Mapping[str, str],
        config: Mapping[str, Any],
    ) -> None:
        try:
            import sacremoses
        except ImportError as error:
            raise ImportError(
                "XLM's tokenizer needs the package sacremoses: pip install 'pybert-crf[xlm]'"
            ) from error
        self._vocab = vocab
        self._merges = merges
        self._unk_id = vocab.get(names["unk"], -1)
        self._names = dict(names)
        self._kept = {key: config[key] for key in _KEPT if key in config}
        self._lower = bool(config.get("do_lowercase_and_remove_accent", True))
        self._normalizer = sacremoses.MosesPunctNormalizer(lang="en", pre_replace_unicode_punct=True)
        self._words = sacremoses.MosesTokenizer(lang="en")
        specials = {piece for piece in (*names.values(), *EXTRA) if piece in vocab}
        self._special = re.compile("|".join(map(re.escape, sorted(specials, key=len, reverse=True))))
        self._model = _model(vocab, merges, names["unk"])

    def vocab(self) -> dict[str, int]:
        return self._vocab

    def ids(self, unit: str) -> list[int]:
        ids: list[int] = []
        at = 0
        for special in self._special.finditer(unit):
            ids += [*self._text_ids(unit[at : special.start()]), self._vocab[special[0]]]
            at = special.end()
        return ids + self._text_ids(unit[at:])

    def _text_ids(self, text: str) -> list[int]:
        text = self._normalizer.normalize(text)
        text = "".join(character for character in text if unicodedata.category(character)[0] != "C")
        words = self._words.tokenize(text, return_str=False, escape=False)
        if self._lower:
            words = _lower_without_accents(" ".join(words)).split(" ")
        ids = [token.id for word in words if word for token in self._model.tokenize(word)]
        # The intermediate results of merges need not be pieces of the vocabulary.
        return [index if index < len(self._vocab) else self._unk_id for index in ids]

    def save(self, directory: Path) -> dict[str, Any]:
        write_json(directory / "vocab.json", self._vocab)
        write_text(directory / "merges.txt", "".join(f"{left} {right}\n" for left, right in self._merges))
        special = {f"{name}_token": piece for name, piece in self._names.items() if name != "eos"}
        return {"tokenizer_class": "XLMTokenizer", **special, **self._kept}


def _lower_without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn").lower()


def _model(vocab: dict[str, int], merges: list[tuple[str, str]], unk: str) -> models.BPE:
    """Byte-pair encoding in which the last symbol of a word ends in ``</w>``.

    The library requires the parts and results of all merges as pieces. Those that are missing in XLM's
    vocabularies get ids from ``len(vocab)`` on.
    """
    if sorted(vocab.values()) != list(range(len(vocab))):
        raise ValueError("its ids do not run from 0 without gaps")
    whole = dict(vocab)
    for left, right in merges:
        for piece in (left, right, left + right):
            whole.setdefault(piece, len(whole))
    return models.BPE(whole, merges, unk_token=unk, end_of_word_suffix=_END, fuse_unk=False)
