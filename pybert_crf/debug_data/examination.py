"""The examination of a corpus: its parts' facts and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybert_crf.debug_data.findings import ERROR, Finding, findings, worst
from pybert_crf.debug_data.part import SAMPLE, Part
from pybert_crf.debug_data.pieces import Pieces, count_pieces
from pybert_crf.text.corpora import Corpus, CorpusError, CorpusStream, Habits, open_corpus

if TYPE_CHECKING:
    from pybert_crf.text.tokenizer import UnitTokenizer


@dataclass(frozen=True)
class Examination:
    """The parts of a corpus, of which the first is trained on, and what was found.

    Attributes:
        pieces: by the parts' names, what a model's tokenizer makes of their first sentences.
    """

    parts: list[Part]
    pieces: dict[str, Pieces]
    findings: list[Finding]

    @property
    def is_good(self) -> bool:
        """Whether nothing was found that training would go wrong with."""
        return worst(self.findings) != ERROR

    def to_dict(self) -> dict[str, Any]:
        """Dicts, lists and numbers for JSON."""
        parts = []
        for part in self.parts:
            lengths = sorted(part.lengths.elements()) if part.sizes.sentences <= SAMPLE else []
            parts.append(
                {
                    "name": part.name,
                    "file": str(part.path),
                    "notes": list(part.notes),
                    "scheme": part.scheme,
                    "unit": part.unit,
                    **asdict(part.sizes),
                    "tags": dict(part.tags.most_common()),
                    "lengths": {str(length): part.lengths[length] for length in sorted(part.lengths)},
                    "median_length": lengths[len(lengths) // 2] if lengths else None,
                    "illegal_tags": asdict(part.faults),
                    "repeated": asdict(part.repeated),
                    "contradictory": asdict(part.contradictory),
                    "several_characters": asdict(part.several),
                    "cut_alike": part.cut_alike,
                    "pieces": asdict(self.pieces[part.name]) if part.name in self.pieces else None,
                }
            )
        return {"good": self.is_good, "findings": [f._asdict() for f in self.findings], "parts": parts}


def examine(files: Sequence[str], habits: Habits, model: str | None = None) -> Examination:
    """Examine files of a corpus, the first of which is to be trained on, each in a stream.

    A file that cannot be read, or converted to the first one's scheme, is a finding.

    Args:
        model: whose tokenizer is held against the files: a directory or hub name.

    Raises:
        CorpusError: the first file cannot be read.
        OSError: a file cannot be read, or the model is missing.
    """
    train = open_corpus(files[0], habits=habits)
    names = _names(files)
    parts = [Part.of(names[0], train, train.scheme, habits.unit)]
    # Texts with spans are cut as those of the first file are; tokens of a file show their unit themselves.
    others = replace(habits, unit=parts[0].unit)
    streams: list[CorpusStream] = [train]
    refused: list[Finding] = []
    for name, file in zip(names[1:], files[1:], strict=True):
        try:
            stream = open_corpus(file, train.scheme, others)
            parts.append(Part.of(name, stream, train.scheme, habits.unit))
            streams.append(stream)
        except CorpusError as error:  # noqa: PERF203 (each file has its own)
            refused.append(Finding(ERROR, name, str(error)))
    pieces = {}
    if model is not None:
        tokenizer, positions = _tokenizer(model, parts[0].unit)
        for part, stream in zip(parts, streams, strict=True):
            sample = islice(stream.sentences, SAMPLE)
            pieces[part.name] = count_pieces(sample, stream.scheme, tokenizer, positions)
    return Examination(parts, pieces, refused + findings(parts, pieces))


def examine_corpora(corpora: Mapping[str, Corpus], unit: str) -> list[Finding]:
    """The findings about parts that are held, in one scheme, the first of which is trained on."""
    parts = [Part.of(name, corpus, corpus.scheme, unit) for name, corpus in corpora.items()]
    return findings(parts, {})


def _tokenizer(model: str, unit: str) -> tuple[UnitTokenizer, int]:
    """The tokenizer of a model, and the positions of its encoder."""
    from pybert_crf.encoders import longest_input, naming, read_config, resolve
    from pybert_crf.text.tokenizer import UnitTokenizer

    directory = resolve(model)
    with naming(directory):
        positions = longest_input(read_config(directory))
    return UnitTokenizer.from_directory(directory, unit), positions


def _names(files: Sequence[str]) -> list[str]:
    """Short names of the files, all different."""
    short = [Path(file).name for file in files]
    return [str(file) if short.count(name) > 1 else name for file, name in zip(files, short, strict=True)]
