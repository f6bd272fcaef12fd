"""``pybert-crf predict``: text in, entities out, line by line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from typer import Argument, Option

if TYPE_CHECKING:
    from pybert_crf.entities import Annotation

EXAMPLE = "Example: `echo '王小明在青河市工作。' | pybert-crf predict my-tagger -`"
NEEDS_ARGUMENTS = True


class Format(str, Enum):
    """What is written."""

    jsonl = "jsonl"
    columns = "columns"


def command(
    model: Annotated[str, Argument(help="A saved tagger: directory or hub name.", show_default=False)],
    file: Annotated[str, Argument(help="Text, one per line; - for standard input.")] = "-",
    columns: Annotated[
        bool, Option("--columns", help="FILE is a column file: token first, blank line between sentences.")
    ] = False,
    format: Annotated[
        Format, Option(help="jsonl: text and entities with character offsets; columns: unit, tab, tag.")
    ] = Format.jsonl,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, mps …")] = "cpu",
    batch_tokens: Annotated[int, Option(help="Encoder positions at once.")] = 4096,
) -> None:
    """Tag text with a saved tagger: one answer for every input line, in order, as it comes."""
    from pybert_crf.tagger import LOOK_AHEAD, Tagger
    from pybert_crf.text.columns import read_columns

    if file != "-" and not Path(file).is_file():
        raise FileNotFoundError(f"{file}: no such file")
    tagger = Tagger.from_pretrained(model, device=device)
    interactive = file == "-" and sys.stdin.isatty()
    if columns:
        sentences = read_columns(sys.stdin.buffer if file == "-" else file)
        annotations = tagger.annotate_units(sentences, batch_tokens)
    else:
        look_ahead = 1 if interactive else LOOK_AHEAD
        annotations = tagger.annotate(_lines(file), batch_tokens, look_ahead=look_ahead)
    for annotation in annotations:
        print(_FORMATS[format](annotation), flush=interactive)


def _jsonl(annotation: Annotation) -> str:
    entities = [entity.to_dict() for entity in annotation.entities]
    return json.dumps({"text": annotation.text, "entities": entities}, ensure_ascii=False)


def _columns(annotation: Annotation) -> str:
    return "".join(f"{unit}\t{tag}\n" for unit, tag in zip(annotation.units, annotation.tags, strict=True))


_FORMATS = {Format.jsonl: _jsonl, Format.columns: _columns}


def _lines(file: str) -> Iterator[str]:
    if file != "-":
        with Path(file).open(encoding="utf-8", newline="\n") as stream:
            yield from _strip(stream)
        return
    # Only \n ends a line: U+2028 and friends are characters of the text.
    assert hasattr(sys.stdin, "reconfigure")
    sys.stdin.reconfigure(encoding="utf-8", newline="\n")
    yield from _strip(sys.stdin)


def _strip(stream: TextIO) -> Iterator[str]:
    for line in stream:
        yield line.removesuffix("\n").removesuffix("\r")
