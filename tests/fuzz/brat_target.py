"""brat's texts with annotations: refused by file and line, or the same when written in any format and read.

An input is a bundle of texts and annotations, which are read as a folder and, if there is one pair, by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from bundle import pack, unpack, write
from conversions import check_habits
from mutation import Raw, mutate_text
from refusals import scratch

from pybert_crf.text.corpora import Habits
from pybert_crf.text.corpora.formats.brat import brat_pairs

__all__ = ["check", "mutate", "seeds"]

_GIVEN = scratch() / "given"
_NAMES = ["a.txt", "a.ann", "b.txt", "b.ann", "c.md"]


def seeds() -> Iterator[tuple[str, bytes]]:
    """Texts of one line and of several, with all that brat writes beside entities."""
    notes = "T1\tPER 0 2\t张三\nT2\tLOC 3 5\t北京\nR1\tlives Arg1:T1 Arg2:T2\nA1\tSure T1\n#1\tNote T1\tso\n"
    files = {"a.txt": "张三在北京。\n".encode(), "a.ann": notes.encode()}
    yield "one", pack(files)
    text = "Ada left.\r\n\r\nShe saw Rome\n"
    notes = f"T1\tPER 0 3\tAda\nT2\tLOC {text.index('Rome')} {text.index('Rome') + 4}\tRome\n"
    yield "two", pack(files | {"b.txt": text.encode(), "b.ann": notes.encode()})
    yield "parts", pack({"a.txt": b"New big York", "a.ann": b"T1\tLOC 0 3;8 12\tNew York\n"})
    notes = "T1\tLOC 0 8\tNew York\nT2\tORG 0 14\tNew York Times\n"
    yield "overlap", pack({"a.txt": b"New York Times", "a.ann": notes.encode()})
    yield "none", pack({"a.txt": "\ufeff北京\n".encode(), "a.ann": b""})


def mutate(random: Random, data: bytes, raw: Raw) -> bytes:
    """Change lines of a file, or an offset, or remove, rename or copy the file."""
    files = unpack(data)
    if not files or random.random() < 0.02:
        return raw(data)
    name = random.choice(list(files))
    kind = random.random()
    if kind < 0.02:
        del files[name]
    elif kind < 0.05:
        files[random.choice(_NAMES)] = files[name]
    elif kind < 0.35:
        files[name] = _moved(random, files[name])
    else:
        files[name] = mutate_text(random, files[name], raw)
    return pack(files)


def _moved(random: Random, notes: bytes) -> bytes:
    """The annotations with one number changed a little, or much."""
    words = notes.split(b" ")
    at = random.randrange(len(words))
    number, tab, rest = words[at].partition(b"\t")
    if number.isdigit() and len(number) < 100:
        changed = random.choice([int(number) + 1, max(0, int(number) - 1), random.randrange(40), 10**30])
        words[at] = str(changed).encode() + tab + rest
    return b" ".join(words)


def check(data: bytes) -> None:
    """Read one folder in every way, and write what is read in every format."""
    if not write(_GIVEN, data):
        return
    habits = [Habits(format="brat", unit=unit, overlaps=how) for unit, how in _WAYS]
    check_habits(_GIVEN, habits, _GIVEN)
    for pair in brat_pairs(_GIVEN)[:1]:
        check_habits(pair[0], [Habits(), Habits(overlaps="first")], pair[0].with_suffix(""))


_WAYS = [("auto", "refuse"), ("word", "longest"), ("char", "first")]
