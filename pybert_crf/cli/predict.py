"""``pybert-crf predict``: text in, entities out, line by line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pybert_crf.cli.verb import Verb
from pybert_crf.options import PredictOptions

if TYPE_CHECKING:
    from pybert_crf.entities import Annotation


def work(options: PredictOptions) -> None:
    """Tag text with a saved tagger: one answer for every input line, in order, as it comes."""
    from pybert_crf.tagger import LOOK_AHEAD, Tagger
    from pybert_crf.text.corpora import read_columns

    file = options.file
    if file != "-" and not Path(file).is_file():
        raise FileNotFoundError(f"{file}: no such file")
    tagger = Tagger.from_pretrained(options.model, device=options.device)
    interactive = file == "-" and sys.stdin.isatty()
    if options.columns:
        sentences = read_columns(sys.stdin.buffer if file == "-" else file)
        annotations = tagger.annotate_units(sentences, options.batch_tokens)
    else:
        look_ahead = 1 if interactive else LOOK_AHEAD
        annotations = tagger.annotate(_lines(file), options.batch_tokens, look_ahead=look_ahead)
    write = {"jsonl": _jsonl, "columns": _columns}[options.format]
    for annotation in annotations:
        print(write(annotation), flush=interactive)


def _jsonl(annotation: Annotation) -> str:
    entities = [entity.to_dict() for entity in annotation.entities]
    return json.dumps({"text": annotation.text, "entities": entities}, ensure_ascii=False)


def _columns(annotation: Annotation) -> str:
    return "".join(f"{unit}\t{tag}\n" for unit, tag in zip(annotation.units, annotation.tags, strict=True))


def _lines(file: str) -> Iterator[str]:
    if file != "-":
        with Path(file).open(encoding="utf-8", newline="\n") as stream:
            yield from _strip(stream)
        return
    # Only \n ends a line: U+2028 and the like are characters of the text.
    assert hasattr(sys.stdin, "reconfigure")
    sys.stdin.reconfigure(encoding="utf-8", newline="\n")
    yield from _strip(sys.stdin)


def _strip(stream: TextIO) -> Iterator[str]:
    for line in stream:
        yield line.removesuffix("\n").removesuffix("\r")


VERB = Verb("predict", PredictOptions, work, "echo '王小明在青河市工作。' | pybert-crf predict my-tagger -")
