"""Tokenizer of units (characters or words): every unit gets at least one vocabulary piece.

Each unit is tokenized separately: nothing merges across units ("7", ".", "7" remain three), and a unit that
the rules remove (U+200E, a control character, a lone variation selector) becomes the unknown piece, so that
emissions stay aligned to the original units. A unit equal to a special piece ("[SEP]") gets its id, as in
transformers.

In byte-level and sentencepiece vocabularies the space before a word is part of its piece. A word is read as
if a space preceded it, as in transformers with ``is_split_into_words`` (and ``add_prefix_space``). A
character is not: Chinese text has no such spaces, and they would often become pieces of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pybert_crf.files import write_json
from pybert_crf.reading import ConfigError, listed, quoted
from pybert_crf.text.tokenizer.directory import Around, open_directory
from pybert_crf.text.tokenizer.families import BRACKETED
from pybert_crf.text.tokenizer.pieces import MAX_PIECES, Pieces
from pybert_crf.text.tokenizer.vocabulary import SPECIAL, character_vocabulary, wordpiece_vocabulary
from pybert_crf.text.tokenizer.wordpiece import WordPieces, build_wordpiece
from pybert_crf.text.units import UNITS

_MEMO_LIMIT = 200_000  # distinct units whose pieces are cached; some 40 MB at most


class Encoded(NamedTuple):
    """Piece ids of a text, without special pieces, and the index in `ids` of each unit's first piece."""

    ids: list[int]
    first: list[int]


class UnitTokenizer:
    """Maps units to ids of vocabulary pieces. Create one with `from_directory` or `build`.

    Attributes:
        before, after: ids of the special pieces before and after a text; empty where its template has none.
        cls_id, sep_id: the first and the last of them; None where there is none.
        pad_id, unk_id: ids of the padding and the unknown piece; any valid id stands for one that the
            vocabulary lacks: padding is masked, and a vocabulary of bytes leaves nothing unknown.
        mask_id: id of the mask; None if the vocabulary has none.
        vocab_size: rows required of an embedding table: the highest id plus one.
    """

    def __init__(
        self, pieces: Pieces, names: Mapping[str, str], origin: str = "", around: Around | None = None
    ) -> None:
        """Wrap `pieces`; `names` maps unk, cls, sep, pad, mask to the special pieces, if there are any.

        `around` are the pieces before and after a text, by default cls and sep.

        Raises:
            ConfigError: the vocabulary lacks one of the special pieces named as unk, cls, sep and pad or of
                those around a text, is empty, has an id of `MAX_PIECES` or more, or gives two pieces one id.
        """
        vocab = pieces.vocab()
        needed = [names[name] for name in ("unk", "cls", "sep", "pad") if name in names]
        needed += chain.from_iterable(around or ())
        missing = [piece for piece in dict.fromkeys(needed) if piece not in vocab]
        if not vocab:
            raise ConfigError(f"the vocabulary{origin and f' of {origin}'} is empty")
        if missing:
            raise ConfigError(f"the vocabulary{origin and f' of {origin}'} lacks {listed(missing)}")
        self._names = {name: piece for name, piece in names.items() if piece in vocab}
        self._pieces = pieces
        self._memo: dict[str, list[int]] = {}
        ids = {name: vocab[piece] for name, piece in self._names.items()}
        stand_in = ids.get("eos", ids.get("pad", min(vocab.values())))
        self.unk_id = ids.get("unk", stand_in)
        self.pad_id = ids.get("pad", stand_in)
        self.mask_id = ids.get("mask")
        usual = [[self._names[name]] if name in self._names else [] for name in ("cls", "sep")]
        self.before, self.after = (tuple(vocab[piece] for piece in side) for side in around or usual)
        self.cls_id = self.before[0] if self.before else None
        self.sep_id = self.after[-1] if self.after else None
        self.vocab_size = max(vocab.values()) + 1
        if len(set(vocab.values())) < len(vocab):  # the library would save one of them, now this, now that
            raise ConfigError(f"the vocabulary{origin and f' of {origin}'} has two pieces with the same id")
        if self.vocab_size > MAX_PIECES:
            raise ConfigError(f"the vocabulary{origin and f' of {origin}'} has the id {self.vocab_size - 1}")

    @classmethod
    def from_directory(cls, directory: str | os.PathLike[str], unit: str = "word") -> UnitTokenizer:
        """Open the tokenizer of a Hugging Face checkpoint of any family.

        Reads ``tokenizer.json``, or else the family's own files: WordPiece ``vocab.txt``, ``vocab.json``
        with ``merges.txt``, or a sentencepiece ``.model``; those of other families are read by transformers,
        if it is installed. The family, the special pieces and the options
        come from ``tokenizer_config.json`` and ``config.json`` if they exist, as in transformers.

        Args:
            directory: of the checkpoint.
            unit: ``"char"`` or ``"word"``: units are read without or with a space before them.

        Raises:
            FileNotFoundError: a file is missing.
            ImportError: XLM's rules, or files that transformers reads, need a package that is not installed.
            ConfigError: a file cannot be read, the family cannot be determined, or the vocabulary lacks a
                special piece.
            ValueError: `unit` is neither.
        """
        _check_unit(unit)
        pieces, names, around = open_directory(Path(directory), space_before=unit == "word")
        return cls(pieces, names, str(directory), around)

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
        """Build a vocabulary from the training text: characters for ``unit="char"``, else WordPiece.

        Args:
            token_sequences: the units of each training sentence.
            unit: ``"char"`` or ``"word"``.
            size: greatest number of pieces, including the five special ones.
            min_count: rarer characters become [UNK], which is thereby trained.
            lowercase: lower-case text and strip accents, as uncased BERT does.

        Raises:
            ValueError: `unit` is neither, or `size` is too small.
        """
        _check_unit(unit)
        config = {"do_lower_case": lowercase}
        bare = build_wordpiece({piece: index for index, piece in enumerate(SPECIAL)}, BRACKETED, config)
        make = character_vocabulary if unit == "char" else wordpiece_vocabulary
        pieces = make(bare, token_sequences, size, min_count)
        vocab = {piece: index for index, piece in enumerate(pieces)}
        return cls(WordPieces(build_wordpiece(vocab, BRACKETED, config)), BRACKETED)

    def encode(self, units: Iterable[str]) -> Encoded:
        """The concatenated pieces of all units; U units give U entries in `first`, all distinct.

        Raises:
            ConfigError: the tokenizer's files have rules that fail on a unit.
        """
        pieces_of = self._memo.get
        ids: list[int] = []
        first: list[int] = []
        for unit in units:
            first.append(len(ids))
            ids += pieces_of(unit) or self._remember(unit)
        return Encoded(ids, first)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the tokenizer's files, from which transformers' ``AutoTokenizer`` gives the same ids.

        That holds for lists of units with ``is_split_into_words``. The files are ``tokenizer.json`` (XLM's:
        ``vocab.json`` and ``merges.txt``), ``tokenizer_config.json`` and, for WordPiece, ``vocab.txt``.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {f"{name}_token": spelling for name, spelling in self._names.items()}
        write_json(directory / "tokenizer_config.json", config | self._pieces.save(directory))

    def _remember(self, unit: str) -> list[int]:
        """The pieces of a unit, which are cached from now on."""
        # One by one: encode_batch would start the library's threads, after which forked data loaders could
        # not use the library.
        pieces = self._pieces.ids(unit) or [self.unk_id]
        if len(self._memo) >= _MEMO_LIMIT:
            self._memo.clear()
        self._memo[unit] = pieces
        return pieces


def _check_unit(unit: str) -> None:
    if unit not in UNITS:
        raise ValueError(f"unit must be 'char' or 'word', got {quoted(unit)}")
