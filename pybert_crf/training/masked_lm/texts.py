"""The text of a run, encoded and cut into windows of pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from pybert_crf.annotation.examples import WindowLayout
from pybert_crf.text.corpora.passages import Passage
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.text.windows import split_evenly
from pybert_crf.training.masked_lm.masking import Ids

_KNOWN_ENOUGH = 0.01  # share of unknown pieces that is not worth a note


class TextCounts(NamedTuple):
    """How large an encoded part is, or all shares of it.

    Attributes:
        lines: how many passages it was made of.
        pieces, windows: of them.
        split: how many lines were longer than a window.
        unmaskable: how many windows are left out since all their pieces are special or unknown.
        unknown: how many pieces are the unknown one.
    """

    lines: int
    pieces: int
    windows: int
    split: int
    unmaskable: int
    unknown: int

    @classmethod
    def of(cls, shares: Iterable[TextCounts]) -> TextCounts:
        """The counts of all shares together."""
        return cls(*map(sum, zip(*shares, strict=True)))


@dataclass(frozen=True)
class EncodedText:
    """An encoded part of a run: all its pieces in one array, at 8 bytes a piece in all.

    Attributes:
        ids: (pieces,) int32.
        groups: (pieces,) int32, which pieces are masked together; -1 for those never masked.
        windows: half-open ranges of pieces, each with something to mask.
        counts: how much that is.
    """

    ids: Ids
    groups: Ids
    windows: list[tuple[int, int]]
    counts: TextCounts

    @property
    def lengths(self) -> list[int]:
        """Encoder positions of each window, [CLS] and [SEP] included."""
        return [stop - start + 2 for start, stop in self.windows]


def encode_text(
    passages: Iterable[Passage], tokenizer: UnitTokenizer, mask_unit: str, layout: WindowLayout
) -> EncodedText:
    """Encode passages and cut them into windows that begin with a group if possible."""
    parts: list[Ids] = []
    grouped: list[Ids] = []
    windows: list[tuple[int, int]] = []
    special = _special(tokenizer)
    end = lines = split = unmaskable = unknown = 0
    for passage in passages:
        ids, groups = _encode(passage, tokenizer, mask_unit)
        starts = np.flatnonzero(np.diff(groups, prepend=-1)).tolist()
        plan = split_evenly(len(ids), starts, layout.capacity)
        groups[np.isin(ids, special)] = -1
        filled = [(start + end, stop + end) for start, stop in plan if (groups[start:stop] >= 0).any()]
        windows += filled
        lines += 1
        split += len(plan) > 1
        unmaskable += len(plan) - len(filled)
        unknown += int((ids == tokenizer.unk_id).sum())
        end += len(ids)
        parts.append(ids)
        grouped.append(groups)
    empty = np.empty(0, np.int32)
    ids, groups = np.concatenate([*parts, empty]), np.concatenate([*grouped, empty])
    counts = TextCounts(lines, len(ids), len(windows), split, unmaskable, unknown)
    return EncodedText(ids, groups, windows, counts)


def _encode(passage: Passage, tokenizer: UnitTokenizer, mask_unit: str) -> tuple[Ids, Ids]:
    """The pieces of a passage, and the number of each piece's group."""
    encoded = tokenizer.encode(passage.units)
    ids = np.array(encoded.ids, np.int32)
    if mask_unit == "piece":
        return ids, np.arange(len(ids), dtype=np.int32)
    pieces = np.diff(encoded.first, append=len(ids))
    numbers = passage.words if mask_unit == "word" else range(len(passage.units))
    return ids, np.repeat(np.array(numbers, np.int32), pieces)


def hash_text(passages: Iterable[Passage]) -> str:
    """A hash of the text itself, in which characters differ that are unknown to the vocabulary."""
    digest = sha256()
    for passage in passages:
        digest.update("\x1f".join(passage.units).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def hash_windows(text: EncodedText) -> int:
    """A hash of the pieces of each window, as they are masked; those of several shares are to be added."""
    total = 0
    for start, stop in text.windows:
        window = text.ids[start:stop].tobytes() + text.groups[start:stop].tobytes()
        total += int.from_bytes(sha256(window).digest(), "big")
    return total


def _special(tokenizer: UnitTokenizer) -> list[int]:
    around = (*tokenizer.before, *tokenizer.after)
    known = (tokenizer.unk_id, *around, tokenizer.pad_id, tokenizer.mask_id)
    return [number for number in known if number is not None]


def ordinary_ids(tokenizer: UnitTokenizer) -> Ids:
    """All pieces but the special ones."""
    return np.setdiff1d(np.arange(tokenizer.vocab_size, dtype=np.int32), _special(tokenizer))


def text_notes(name: str, text: TextCounts, layout: WindowLayout) -> Iterator[str]:
    """What the user should know about an encoded part before waiting for the result."""
    if text.split:
        told = f"{text.split:,} lines of {name} are longer than {layout.capacity} pieces"
        yield f"{told}, and are split into windows"
    if text.unmaskable:
        told = f"{text.unmaskable:,} windows of {name} hold only unknown or special pieces, which are never"
        yield f"{told} masked; they are left out"
    share = text.unknown / max(1, text.pieces)
    if share > _KNOWN_ENOUGH:
        yield f"{share:.1%} of the pieces of {name} are unknown to the vocabulary; they are never masked"


def check_text(name: str, text: TextCounts) -> None:
    """Raise ``ValueError`` if nothing of a part can be masked."""
    if not text.windows:
        raise ValueError(f"the {name} part holds nothing to predict: the vocabulary knows none of its pieces")
