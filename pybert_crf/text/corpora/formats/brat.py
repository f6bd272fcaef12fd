"""brat: a text in ``name.txt`` and its entities in ``name.ann``, or a folder of such pairs.

Each line of a text becomes a sentence.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pybert_crf.reading import quoted
from pybert_crf.text.corpora.corpus import Sentence
from pybert_crf.text.corpora.formats.spans import (
    CONVENTIONS,
    Entity,
    Record,
    SpanReader,
    find_convention,
    told_changes,
    unit_of,
)
from pybert_crf.text.corpora.habits import Habits
from pybert_crf.text.corpora.lines import CorpusError, numbered_lines, whole_text

_ENTITY = re.compile(r"T[0-9]+\t(\S+) ([0-9]{1,18}) ([0-9]{1,18})((?:;[0-9]+ [0-9]+)*)\t(.*)", re.DOTALL)
_NEWLINE = re.compile(r"\r?\n")


class _Annotated(NamedTuple):
    """An entity of a text, and its line in the file of annotations."""

    entity: Entity
    line: int


def brat_pairs(path: Path) -> list[tuple[Path, Path]]:
    """The texts and annotations that a path names, a folder or one file; empty if there are none."""
    if path.is_dir():
        texts = sorted(path.glob("*.txt"))
    else:
        texts = [path.with_suffix(".txt")] if path.suffix in (".txt", ".ann") else []
    pairs = [(text, text.with_suffix(".ann")) for text in texts]
    return [(text, notes) for text, notes in pairs if text.is_file() and notes.is_file()]


def brat_sentences(path: Path, habits: Habits, say: Callable[[str], None]) -> Iterator[Sentence]:
    """The sentences of a text with annotations, or of a folder of them, document after document.

    Args:
        say: is told in one line what was found out about the files.

    Raises:
        CorpusError: no text with annotations, an annotation that does not fit its text, is in several parts,
            or reaches over the end of a line; by file and line.
    """
    pairs = brat_pairs(path)
    if not pairs:
        raise CorpusError(path, None, "no text with annotations of brat: NAME.txt beside NAME.ann")
    documents = [(text, notes, _records(text, notes, habits)) for text, notes in pairs]
    records = [record for *_, each in documents for record in each]
    unit = unit_of(records, habits)
    readers = []
    for number, (text, notes, each) in enumerate(documents, 1):
        reader = SpanReader(
            str(notes), find_convention(each, str(notes), CONVENTIONS[:1]), unit, habits.overlaps
        )
        readers.append(reader)
        for record in each:
            sentence = reader.sentence(record)
            if sentence.tokens:
                file = notes if record.entities else text
                yield sentence._replace(document=number, file=str(file))
    told = f"{len(pairs)} texts with annotations of brat, a sentence a line, read by {unit}, as BIO"
    say(f"{path}: {'; '.join([told, *told_changes(readers)])}")


def _records(text_file: Path, notes: Path, habits: Habits) -> list[Record]:
    """A record for each line of a text; its line is that of its first annotation, or else of the text."""
    text = whole_text(text_file, habits.encoding)
    lines = _NEWLINE.split(text)
    starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]
    here: list[list[_Annotated]] = [[] for _ in lines]
    for entity, at in _annotations(notes, habits):
        if entity.start >= len(text):
            told = f"the span {entity.start} to {entity.end} is outside {text_file.name}"
            raise CorpusError(notes, at, told)
        index = bisect_right(starts, entity.start) - 1
        start = starts[index]
        if entity.end > start + len(lines[index]):
            told = f"the entity {quoted(entity.surface)} reaches over the end of a line of {text_file.name}"
            raise CorpusError(notes, at, told)
        moved = entity._replace(start=entity.start - start, end=entity.end - start)
        here[index].append(_Annotated(moved, at))
    return [
        Record(line, [entity for entity, _ in each], each[0].line if each else number)
        for number, (line, each) in enumerate(zip(lines, here, strict=True), 1)
    ]


def _annotations(notes: Path, habits: Habits) -> Iterator[tuple[Entity, int]]:
    for number, line in numbered_lines(notes, encoding=habits.encoding):
        if not line.startswith("T"):
            continue  # relations, events, attributes and notes
        match = _ENTITY.fullmatch(line)
        if match is None:
            raise CorpusError(notes, number, f"no annotation of brat: {quoted(line)}")
        if match[4]:
            raise CorpusError(
                notes, number, f"an entity in several parts, which tags cannot hold: {quoted(line)}"
            )
        yield Entity(int(match[2]), int(match[3]), match[1], match[5]), number
