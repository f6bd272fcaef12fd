"""A small grammar that writes a Chinese news corpus in People's Daily style: LOC, PER, ORG; characters; BIO.

Names are coined (`names`) from characters (`lexicon`) and put into sentence frames (`frames`). A place inside
an organisation is part of the organisation, as in People's Daily. The three parts share no name, so a tagger
that memorises names scores nothing: it has to read how names are built and what stands around them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from pybert_crf.demo import frames, lexicon
from pybert_crf.demo.names import PARTS, Dice, Namer
from pybert_crf.text.corpora import Sentence, write_columns

TaggedSentence = tuple[list[str], list[str]]  # characters, BIO tags; equal lengths
Piece = tuple[str, str]  # text, entity type or "O"

MAX_ENTITIES = 4
_SLOT = re.compile(r"\{(\w+)\}")
_MARKED = re.compile(r"\[([^|\]]+)\|(\w+)\]")

# Slot of a frame -> (type, how to coin the name).
ENTITY_SLOTS: dict[str, tuple[str, Callable[[Namer], str]]] = {
    "PER": ("PER", Namer.person),
    "CPER": ("PER", Namer.chinese_person),
    "FPER": ("PER", Namer.foreign_person),
    "LOC": ("LOC", Namer.place),
    "PROV": ("LOC", Namer.province),
    "CITY": ("LOC", Namer.city),
    "MUNI": ("LOC", Namer.municipality),
    "COUNTY": ("LOC", Namer.county),
    "TOWN": ("LOC", Namer.town),
    "NATURE": ("LOC", Namer.scenery),
    "LAND": ("LOC", Namer.land),
    "ORG": ("ORG", Namer.organisation),
    "FIRM": ("ORG", Namer.firm),
    "BANK": ("ORG", Namer.bank),
    "SCHOOL": ("ORG", Namer.school),
    "UNIV": ("ORG", Namer.university),
    "LAB": ("ORG", Namer.lab),
    "HOSPITAL": ("ORG", Namer.hospital),
    "BODY": ("ORG", Namer.body),
    "PRESS": ("ORG", Namer.press),
    "FORG": ("ORG", Namer.foreign_body),
    "TEAM": ("ORG", Namer.team),
}
NUMBER_SLOTS = {
    "d": (2, 9),
    "win": (3, 9),
    "lose": (0, 2),
    "m": (1, 12),
    "mday": (1, 28),
    "age": (61, 98),
    "n": (12, 990),
    "year": (1978, 2008),
}

UNSEEN: tuple[str, ...] = tuple(_MARKED.sub(r"\1", line) for line in frames.UNSEEN_MARKED)
"""Raw sentences to try a trained tagger on; their entities occur in no part, whatever the seed."""

UNSEEN_ENTITIES: tuple[tuple[Piece, ...], ...] = tuple(
    tuple((match[1], match[2]) for match in _MARKED.finditer(line)) for line in frames.UNSEEN_MARKED
)
"""For each sentence of `UNSEEN` its entities in order, as (text, type)."""

# What must not occur in the corpus: not even the start of an unseen name (云岭市 keeps 云岭县 out too).
_HELD_OUT = tuple(text[:2] for entities in UNSEEN_ENTITIES for text, _ in entities)


class DemoCorpus(NamedTuple):
    """The three parts, each a list of (characters, tags)."""

    train: list[TaggedSentence]
    dev: list[TaggedSentence]
    test: list[TaggedSentence]

    def write(self, directory: str | Path) -> tuple[Path, Path, Path]:
        """Write train.txt, dev.txt and test.txt; return their paths.

        The directory is made if missing, and each file appears whole or not at all. Raises OSError if it
        cannot be written.
        """
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        paths = (folder / "train.txt", folder / "dev.txt", folder / "test.txt")
        for path, sentences in zip(paths, self, strict=True):
            write_columns(path, (Sentence(*sentence) for sentence in sentences))
        return paths


def make_corpus(seed: int = 0, sizes: tuple[int, int, int] = (4000, 400, 600)) -> DemoCorpus:
    """Write a corpus of `sizes` = (train, dev, test) sentences.

    The same seed gives the same corpus on every platform and Python version. No sentence occurs twice, in
    one part or in two, and no entity of one part occurs in another. Raises ValueError for a negative size.
    """
    if len(sizes) != len(PARTS) or min(sizes) < 0:
        raise ValueError(f"sizes must be three counts >= 0 (train, dev, test), got {sizes}")
    owner: dict[str, str] = {}  # entity -> the part it occurs in
    written: set[str] = set()  # for membership only: the order of a set differs from run to run
    corpus: list[list[TaggedSentence]] = []
    for part, size in zip(PARTS, sizes, strict=True):
        dice = Dice(Random(f"pybert-crf demo, seed {seed}, {part}"))
        namer = Namer(dice, part)
        sentences: list[TaggedSentence] = []
        while len(sentences) < size:
            pieces = _sentence(dice, namer)
            text = "".join(piece for piece, _ in pieces)
            names = [piece for piece, label in pieces if label != "O"]
            if text in written or len(names) > MAX_ENTITIES or any(start in text for start in _HELD_OUT):
                continue
            # Roots keep the parts apart already; this settles two roots that happen to spell one name.
            if any(owner.setdefault(name, part) != part for name in names):
                continue
            written.add(text)
            sentences.append(_tag(pieces))
        corpus.append(sentences)
    return DemoCorpus(*corpus)


def _sentence(dice: Dice, namer: Namer) -> list[Piece]:
    """One sentence as pieces: perhaps an opener, one frame or two, perhaps a tail."""
    template = dice.pick(frames.OPENERS) if dice.chance(0.3) else ""
    template += dice.pick(frames.PLAIN if dice.chance(0.2) else frames.NEWS)
    if template[-1] not in "？”":
        if dice.chance(0.2):
            template += "，" + dice.pick(frames.TAILS)
        elif dice.chance(0.15):
            template += "；" + dice.pick(frames.PLAIN if dice.chance(0.5) else frames.NEWS)
    if template[-1] not in "？”":
        template += "。"
    return _fill(template, dice, namer)


def _fill(template: str, dice: Dice, namer: Namer) -> list[Piece]:
    """Fill the slots of a template; a word may hold slots of its own ({date} -> {m}月{mday}日)."""
    pieces: list[Piece] = []
    for i, text in enumerate(_SLOT.split(template)):
        if i % 2 == 0:  # re.split with one group: literal, slot, literal, slot, …
            pieces += [(text, "O")] if text else []
        elif text in ENTITY_SLOTS:
            label, coin = ENTITY_SLOTS[text]
            pieces.append((coin(namer), label))
        elif text in NUMBER_SLOTS:
            pieces.append((str(dice.number(*NUMBER_SLOTS[text])), "O"))
        else:
            pieces += _fill(dice.pick(lexicon.WORDS[text]), dice, namer)
    return pieces


def _tag(pieces: Sequence[Piece]) -> TaggedSentence:
    """Pieces to characters and BIO tags."""
    characters: list[str] = []
    tags: list[str] = []
    for text, label in pieces:
        characters += text
        tags += ["O"] * len(text) if label == "O" else [f"B-{label}"] + [f"I-{label}"] * (len(text) - 1)
    return characters, tags
