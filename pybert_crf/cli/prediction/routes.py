"""Where `predict` reads, and where it writes: standard streams, a file, or all files of a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from pybert_crf.files import replacing
from pybert_crf.options import PredictOptions

_ENDINGS = {"columns": "conll", "words": "seg", "inline": "txt", "label-studio": "json", "doccano": "jsonl"}
_FOLDERS = ("brat", "datasets", "spacy")  # formats of which a folder may be one corpus


class Route(NamedTuple):
    """A file to read, ``-`` for standard input, and the one to write; None for standard output."""

    file: str
    out: Path | None


def routes(options: PredictOptions) -> list[Route]:
    """The files that are read, in order, and those that are written.

    Of a folder they are all files in it and its folders but those whose names begin with a dot, and the
    folder OUT gets the same folders; the answers to ``a.txt`` are in ``a.txt.jsonl``, a table keeps its name.

    Raises:
        FileNotFoundError: there is no such file, or no file in the folder.
        ValueError: a folder without OUT, or one into which its own answers would go.
    """
    out = None if options.out is None else Path(options.out)
    source = Path(options.file)
    if options.file != "-" and not source.exists():
        raise FileNotFoundError(f"{source}: no such file")
    if not source.is_dir() or options.file == "-" or options.format in _FOLDERS:
        if out is not None and out.is_dir():
            raise ValueError(f"{out} is a folder: OUT must be a file, as FILE is")
        return [Route(options.file, out)]
    if out is None:
        raise ValueError(f"{source} is a folder: the answers need one, too: predict MODEL {source} OUT")
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{out} is within {source}, whose files are read: name another folder")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: OUT must be a folder, as FILE is")
    files = sorted(each for each in source.rglob("*") if each.is_file() and not _hidden(each, source))
    if not files:
        raise FileNotFoundError(f"{source}: there is no file in this folder")
    ending = "" if options.writes_tables else f".{_ENDINGS.get(options.to or 'jsonl', options.to or 'jsonl')}"
    return [Route(str(each), out / f"{each.relative_to(source)}{ending}") for each in files]


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


@contextmanager
def opened(out: Path | None) -> Iterator[TextIO]:
    """What answers are written to: standard output, or a file that appears whole or, after an error, not."""
    if out is None:
        yield sys.stdout
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream
