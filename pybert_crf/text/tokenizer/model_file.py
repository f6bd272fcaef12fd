"""Reader of sentencepiece's ``.model`` files, for the fields that a tokenizer needs.

They are protocol buffers; the numbers of the fields are those of ``sentencepiece_model.proto``
(google/sentencepiece). A quarter of a million pieces take about a second.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pybert_crf.reading import ConfigError, quoted, read_bytes

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Types of pieces."""

UNIGRAM, BPE, WORD, CHAR = range(1, 5)
"""Types of models."""


class Piece(NamedTuple):
    text: str
    score: float
    type: int


@dataclass
class SentencePieceModel:
    """The content of a ``.model`` file.

    Attributes:
        pieces: a piece's id is its index.
        type: `UNIGRAM` (scores are log probabilities), `BPE` (scores are negative ranks), `WORD` or `CHAR`.
        byte_fallback: whether an unknown character becomes the pieces of its bytes.
        charsmap: the compiled normalisation rules; empty if there are none.
    """

    pieces: list[Piece] = field(default_factory=list)
    type: int = UNIGRAM
    byte_fallback: bool = False
    charsmap: bytes = b""

    @property
    def unk_id(self) -> int:
        """The index of the unknown piece; -1 if there is none."""
        return next((index for index, piece in enumerate(self.pieces) if piece.type == UNKNOWN), -1)


def read_model(path: Path) -> SentencePieceModel:
    """Read a ``.model`` file.

    Raises:
        ConfigError: it is not a sentencepiece model.
    """
    model = SentencePieceModel()
    try:
        for number, value in _fields(read_bytes(path)):
            if number == 1:
                model.pieces.append(_piece(_bytes(value)))
            elif number == 2:
                trainer = dict(_fields(_bytes(value)))
                model.type = _number(trainer.get(3, UNIGRAM))
                model.byte_fallback = bool(trainer.get(35, 0))
            elif number == 3:
                model.charsmap = _bytes(dict(_fields(_bytes(value))).get(2, b""))
    except ConfigError:
        raise
    except (ValueError, LookupError, struct.error) as error:
        raise ConfigError(f"{path}: not a sentencepiece model: {error}") from error
    if model.unk_id < 0:
        raise ConfigError(f"{path}: not a sentencepiece model: it has no unknown piece")
    return model


def _piece(message: bytes) -> Piece:
    fields = dict(_fields(message))
    (score,) = struct.unpack("<f", _bytes(fields.get(2, b"\0\0\0\0")))
    text = _bytes(fields[1]).decode("utf-8")
    if not math.isfinite(score):
        raise ValueError(f"the score of the piece {quoted(text)} is {score}")
    return Piece(text, score, _number(fields.get(3, NORMAL)))


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The number and value of each field of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"field {number} is of the unknown kind {kind}")
        if at + size > len(message):
            raise ValueError(f"it ends inside field {number}")
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The integer encoded at `at` in groups of seven bits, lowest first, and the position after it."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("an integer of more than 64 bits")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where text is expected")
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("text where a number is expected")
    return value
