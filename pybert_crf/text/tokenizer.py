"""Units (characters or words) in, vocabulary pieces out, every unit with at least one piece of its own.

The pieces are those of the `tokenizers` library, one unit at a time: nothing merges across units ("7", ".",
"7" stay three), and a unit that the normaliser swallows (U+200E, a control character, a lone variation
selector) becomes [UNK], so that emissions stay aligned to the original units. A unit spelled like a special
piece ("[SEP]") gets that piece's id, as in transformers.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from pybert_crf.files import write_json, write_text
from pybert_crf.text.vocabulary import SPECIAL, character_vocabulary, wordpiece_vocabulary

_NAMES = ("unk", "cls", "sep", "pad", "mask")
_DEFAULT_NAMES = {name: f"[{name.upper()}]" for name in _NAMES}
_SURROGATES = re.compile("[\ud800-\udfff]")
_MEMO_LIMIT = 200_000  # distinct units remembered; some 40 MB at most


class Encoded(NamedTuple):
    """Piece ids of a text, no special pieces, and for each unit the index of its first piece in `ids`."""

    ids: list[int]
    first: list[int]


class UnitTokenizer:
    """A piece vocabulary and the rules that lead to it. Make one with `from_directory` or `build`.

    Attributes:
        cls_id, sep_id, pad_id, unk_id: ids of the special pieces.
        vocab_size: rows that an embedding table needs: the highest id, plus one.
    """

    def __init__(self, tokenizer: Tokenizer, names: dict[str, str] | None = None, origin: str = "") -> None:
        """Wrap `tokenizer`; `names` maps unk, cls, sep, pad, mask to the special pieces' spelling.

        Raises:
            ValueError: the vocabulary lacks the unknown, [CLS], [SEP] or [PAD] piece.
        """
        vocab = tokenizer.get_vocab(with_added_tokens=True)
        self._names = {**_DEFAULT_NAMES, **(names or {})}
        if self._names["mask"] not in vocab:  # the one that nothing here needs
            del self._names["mask"]
        missing = [
            self._names[name] for name in ("unk", "cls", "sep", "pad") if self._names[name] not in vocab
        ]
        if missing:
            raise ValueError(f"the vocabulary{origin and f' of {origin}'} lacks {', '.join(missing)}")
        tokenizer.no_truncation()  # a tokenizer.json may bring both, and would cut units without a word
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._memo: dict[str, list[int]] = {}
        self.unk_id = vocab[self._names["unk"]]
        self.cls_id = vocab[self._names["cls"]]
        self.sep_id = vocab[self._names["sep"]]
        self.pad_id = vocab[self._names["pad"]]
        self.vocab_size = max(vocab.values()) + 1

    @classmethod
    def from_directory(cls, directory: str | os.PathLike[str]) -> UnitTokenizer:
        """Open a Hugging Face tokenizer directory: ``tokenizer.json``, or else a BERT ``vocab.txt``.

        ``tokenizer_config.json``, where there is one, gives the special pieces' names and, for ``vocab.txt``,
        ``do_lower_case`` (default true), ``strip_accents`` and ``tokenize_chinese_chars``.

        Raises:
            FileNotFoundError: neither file is there.
            ValueError: a file cannot be read, or the vocabulary lacks a special piece.
        """
        directory = Path(directory)
        config = _read_config(directory / "tokenizer_config.json")
        names = {name: _spelling(config[f"{name}_token"]) for name in _NAMES if config.get(f"{name}_token")}
        whole, vocab = directory / "tokenizer.json", directory / "vocab.txt"
        if whole.is_file():
            try:
                tokenizer = Tokenizer.from_str(whole.read_text(encoding="utf-8"))
            except Exception as error:  # the library raises bare Exception
                raise ValueError(
                    f"{whole}: not a tokenizer that the tokenizers library reads: {error}"
                ) from error
        elif vocab.is_file():
            options = {key: config[key] for key in _BERT_OPTIONS if key in config}
            tokenizer = _bert(_read_vocab(vocab), {**_DEFAULT_NAMES, **names}, **options)
        else:
            raise FileNotFoundError(f"no tokenizer in {directory}: looked for tokenizer.json and vocab.txt")
        return cls(tokenizer, names, str(directory))

    @classmethod
    def build(
        cls,
        token_sequences: Iterable[Sequence[str]],
        unit: str,
        *,
        size: int = 30_000,
        min_count: int = 2,
        lowercase: bool = False,
    ) -> UnitTokenizer:
        """A vocabulary made from the training text: characters for ``unit="char"``, else WordPiece.

        Args:
            token_sequences: the units of each training sentence.
            unit: ``"char"`` or ``"word"``.
            size: at most so many pieces, the five special ones included.
            min_count: a rarer character becomes [UNK], which so gets trained.
            lowercase: lower-case, and strip accents, as uncased BERT does.

        Raises:
            ValueError: `unit` is neither, or `size` leaves no room.
        """
        if unit not in ("char", "word"):
            raise ValueError(f"unit must be 'char' or 'word', got {unit!r}")
        bare = _bert({piece: index for index, piece in enumerate(SPECIAL)}, _DEFAULT_NAMES, lowercase)
        make = character_vocabulary if unit == "char" else wordpiece_vocabulary
        pieces = make(bare, token_sequences, size, min_count)
        return cls(_bert({piece: index for index, piece in enumerate(pieces)}, _DEFAULT_NAMES, lowercase))

    def encode(self, units: Sequence[str]) -> Encoded:
        """The pieces of each unit, one after the other; U units give U entries in `first`, all distinct."""
        memo = self._memo
        if not all(map(memo.__contains__, units)):
            memo = self._remember(set(units))
        ids: list[int] = []
        first: list[int] = []
        for unit in units:
            first.append(len(ids))
            ids += memo[unit]
        return Encoded(ids, first)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write ``tokenizer.json``, ``tokenizer_config.json`` and, for WordPiece, ``vocab.txt``, which
        transformers' ``BertTokenizerFast`` opens to the same ids."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        write_text(directory / "tokenizer.json", self._tokenizer.to_str(pretty=True))
        config: dict[str, Any] = {f"{name}_token": spelling for name, spelling in self._names.items()}
        if isinstance(self._tokenizer.model, models.WordPiece):
            config = {"tokenizer_class": "BertTokenizer", **_bert_options(self._tokenizer), **config}
            pieces = {index: piece for piece, index in self._tokenizer.get_vocab().items()}
            # A piece listed twice in an old vocab.txt leaves a hole; ids must not move up.
            lines = [pieces.get(index, f"[gap{index}]") for index in range(self.vocab_size)]
            write_text(directory / "vocab.txt", "".join(f"{piece}\n" for piece in lines))
        write_json(directory / "tokenizer_config.json", config)

    def _remember(self, units: set[str]) -> dict[str, list[int]]:
        """A memo that holds all of `units`."""
        if len(self._memo) + len(units) > _MEMO_LIMIT:
            self._memo = {}  # not clear(): another thread may be reading the old one
        memo = self._memo
        for unit in units.difference(memo):
            # One by one: encode_batch would start threads, after which forked data loaders must not use it.
            # A lone surrogate is no text to the library; U+FFFD is what BERT drops, so it becomes [UNK].
            encoding = self._tokenizer.encode(_SURROGATES.sub("\ufffd", unit), add_special_tokens=False)
            memo[unit] = encoding.ids or [self.unk_id]
        return memo


_BERT_OPTIONS = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")


def _bert(
    vocab: dict[str, int],
    names: dict[str, str],
    do_lower_case: bool = True,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool = True,
) -> Tokenizer:
    """BERT's tokenizer (Devlin et al., 2019), put together as transformers does."""
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=names["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=tokenize_chinese_chars,
        strip_accents=strip_accents,
        lowercase=do_lower_case,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([names[name] for name in _NAMES if names[name] in vocab])
    if names["cls"] in vocab and names["sep"] in vocab:
        tokenizer.post_processor = processors.BertProcessing(
            (names["sep"], vocab[names["sep"]]), (names["cls"], vocab[names["cls"]])
        )
    return tokenizer


def _bert_options(tokenizer: Tokenizer) -> dict[str, Any]:
    """What `_bert` was given, read back from the normaliser."""
    rules = json.loads(tokenizer.to_str())["normalizer"] or {}
    keys = ("lowercase", "strip_accents", "handle_chinese_chars")
    return {option: rules[key] for option, key in zip(_BERT_OPTIONS, keys, strict=True) if key in rules}


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return config


def _spelling(token: str | dict[str, Any]) -> str:
    """A special piece in a tokenizer_config.json is a string, or an object that holds one."""
    return token if isinstance(token, str) else str(token["content"])


def _read_vocab(path: Path) -> dict[str, int]:
    """One piece a line, its id the line's number from 0; of a repeated piece the last, as in transformers."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8: {error}") from error
    # Only \n ends a line: U+2028 and U+0085 are pieces of real vocabularies.
    return {line.removesuffix("\r"): index for index, line in enumerate(text.removesuffix("\n").split("\n"))}
