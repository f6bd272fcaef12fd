"""What is to be done: how input is read and answers are written, and what identifies the whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_ASIDE = ("metrics.json", "README.md", "report.html")  # what tells of a model and changes no answer
_PIECE = 1 << 20


class Piece(NamedTuple):
    """A stretch of an input file: bytes of text and JSON lines, whose lines begin there; rows of Parquet.

    Attributes:
        file: its name, relative to the folder of the input.
        start, end: half open.
        size, modified: of the whole file, when the parts were laid out (see `places.State`).
    """

    file: str
    start: int
    end: int
    size: int
    modified: str | None


class Part(NamedTuple):
    """Pieces that one worker reads in their order, and writes as one shard."""

    number: int
    pieces: tuple[Piece, ...]

    def shard(self, ending: str) -> str:
        """The name of its file; names are in the order of the input."""
        return f"part-{self.number:06d}.{ending}"


@dataclass(frozen=True)
class Job:
    """One input, one output, and all that answers depend on beside the model.

    Attributes:
        folder: of the input files; a path that is the same on all machines, or an address.
        out: the folder of shards and manifest.
        kind: of the input files: ``"text"``, ``"json"`` (lines) or ``"parquet"``.
        to: of the shards: ``"jsonl"`` or ``"parquet"``.
        column: the column or field that holds the text; None: what `json_text` finds (JSON), or no columns.
        answers: the name of the column or field of the entities.
        encoding: of text files; None is UTF-8.
        skip: whether a line that cannot be read gets its error for an answer; otherwise it ends the run.
        most: characters that a text may have.
        batch_tokens: positions encoded at once.
        model: the tagger's name, and its identity (`model_digest`).
        digest: of the model that all workers must have.
        version: of this package, which all workers must have.
    """

    folder: str
    out: str
    kind: str
    to: str
    column: str | None
    answers: str
    encoding: str | None
    skip: bool
    most: int
    batch_tokens: int
    model: str
    digest: str
    version: str


@dataclass(frozen=True)
class Done:
    """A part whose shard is written, as the manifest lists it.

    Attributes:
        number, shard: its number and the name of its file.
        rows: lines or rows read: as many as the shard has.
        entities: that were found.
        errors: of the rows, those that have an error for an answer.
        size: of the shard in bytes.
    """

    number: int
    shard: str
    rows: int
    entities: int
    errors: int
    size: int


def model_digest(place: Path) -> str:
    """SHA-256 over the files of a saved or exported tagger, with their names: what identifies the model.

    Args:
        place: its directory, or the file of an exported tagger, whose directory holds the tokenizer too.

    Raises:
        FileNotFoundError: it is not there.
    """
    folder = place if place.is_dir() else place.parent
    if not place.exists():
        raise FileNotFoundError(f"{place}: no such directory or file")
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in _ASIDE and not path.name.startswith("."):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
    return digest.hexdigest()
