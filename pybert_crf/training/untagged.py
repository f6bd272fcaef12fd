"""The untagged texts that a student learns from its teacher on, and what of a corpus must fit the teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pybert_crf.annotation.annotator import Annotator
from pybert_crf.options import TrainOptions
from pybert_crf.reading import listed
from pybert_crf.text.corpora import Corpus, CorpusError, Habits, converted, numbered_lines
from pybert_crf.text.corpora.passages import FORMAT_NAMES, mistaken_format, read_passages


class Untagged(NamedTuple):
    """The units of a text, the name of its file, and its number there, from 1, blank lines not counted."""

    units: list[str]
    file: str
    number: int


@dataclass(frozen=True)
class Texts:
    """Texts without tags, and what the user should know about their files."""

    texts: list[Untagged]
    notes: tuple[str, ...] = ()


NO_TEXTS = Texts([])


def read_untagged(options: TrainOptions, unit: str) -> Texts:
    """The texts of `options.text`, cut into units.

    Raises:
        CorpusError: a file that cannot be read in its format, or without text.
        FileNotFoundError: a file is missing.
    """
    habits = replace(
        Habits.of(options), format=options.text_format, unit=unit, documents="none", document_column=None
    )
    texts: list[Untagged] = []
    notes = []
    for path in options.files("text"):
        units = [passage.units for passage in read_passages(path, unit, habits) if passage.units]
        if not units:
            raise CorpusError(path, None, "no text in this file")
        texts += [Untagged(each, Path(path).name, number) for number, each in enumerate(units, 1)]
        looks = ""
        if habits.format == "auto":
            looks = mistaken_format(line for _, line in numbered_lines(path, encoding=habits.encoding))
        if looks:
            told = f"looks like {FORMAT_NAMES[looks]} but is read as plain text, including its tags"
            notes.append(f"{path} {told}: see --text-format {looks}")
    return Texts(texts, tuple(notes))


def check_taught(train: Corpus, unit: str, teacher: Annotator, options: TrainOptions) -> None:
    """Check that a student of `teacher` can learn from `train`, which may be empty, and by this unit.

    Raises:
        CorpusError: the tags cannot be converted to the teacher's scheme; by the line.
        ValueError: another unit, or tags that the teacher does not have; by name.
    """
    if unit != teacher.unit:
        raise ValueError(
            f"the teacher {options.teacher} tags each {teacher.unit}, but the data are read by {unit}: "
            "see --unit"
        )
    if not train.sentences:
        return
    unknown = sorted(set(converted(train, teacher.scheme).labels) - set(teacher.labels))
    if unknown:
        raise ValueError(
            f"train has tags that the teacher {options.teacher} does not have, and its student takes the "
            f"teacher's: {listed(unknown)}"
        )
