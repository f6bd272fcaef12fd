"""Corpora: refused by a CorpusError with file and line, or sentences that are the same when written and read.

Each input is read as a tagged corpus, as the tokens of a column file, and as plain text by both units.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from random import Random

from mutation import Raw, mutate_json, mutate_text
from refusals import assert_good_refusal, scratch

from pybert_crf.text.corpora import CorpusError, read_columns, read_corpus, write_columns
from pybert_crf.text.corpora.passages import read_passages
from pybert_crf.text.tagging.schemes import convert

__all__ = ["check", "mutate", "seeds"]

_PLACE = scratch()
_FILE, _WRITTEN = _PLACE / "given.txt", _PLACE / "written.txt"


def mutate(random: Random, data: bytes, raw: Raw) -> bytes:
    """Change lines of a text, or fields of JSON, in one line or in several."""
    if data[:1] not in (b"{", b"[") or random.random() < 0.3:
        return mutate_text(random, data, raw)
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    lines[at] = mutate_json(random, lines[at], raw)
    return b"\n".join(lines)


def seeds() -> Iterator[tuple[str, bytes]]:
    """Column files in several schemes, with the habits of several sources."""
    yield "bio", "张 B-PER\n三 I-PER\n在 O\n北 B-LOC\n京 I-LOC\n\n天 O\n".encode()
    yield "iob1", b"-DOCSTART- -X- O\n\nEU NNP I-ORG\nrejects VBZ O\nGerman JJ I-MISC\ncall NN B-MISC\n"
    yield "bioes", "\ufeff北\tB-LOC\r\n京\tE-LOC\r\n人\tS-PER\r\n".encode()
    yield "bmes", "中 B\n国 E\n人 S\n民 S\n".encode()
    yield "io", b"a I-X\nb I-X\n\n\n\nc O\n"
    yield "numbered", b"# id = 1\n1\tthe\t_\tB-X\n2\tend\t_\tI-X\n\n1\tof\t_\tO\n"
    yield "gb18030", "张 B-PER\n三 I-PER\n在 O\n".encode("gb18030")
    yield "utf-16", "张 B-PER\n三 I-PER\n".encode("utf-16")
    yield "gzip", gzip.compress(b"a B-X\nb I-X\n", mtime=0)
    text = "张三在北京。"
    entities = [{"start": 0, "end": 2, "label": "PER"}, {"start": 3, "end": 5, "label": "LOC"}]
    for name, value in {
        "spans": {"text": text, "entities": entities},
        "doccano": {"id": 1, "text": text, "label": [[0, 2, "PER"], [3, 5, "LOC"]]},
        "cluener": {"text": text, "label": {"name": {"张三": [[0, 1]]}}},
        "lists": {"tokens": ["EU", "rejects"], "ner_tags": ["B-ORG", "O"]},
        "label-studio": _label_studio(text),
    }.items():
        yield name, json.dumps(value, ensure_ascii=False).encode() + b"\n"
        yield f"{name}-list", json.dumps([value, value]).encode()
    yield "text", "第一行 text\n\n  第二行\u2028 \n".encode()


def _label_studio(text: str) -> dict[str, object]:
    value = {"start": 0, "end": 2, "text": text[:2], "labels": ["PER"]}
    result = [{"value": value, "from_name": "label", "to_name": "text", "type": "labels"}]
    return {"data": {"text": text}, "annotations": [{"result": result}]}


def check(data: bytes) -> None:
    """Read one file in every way."""
    _FILE.write_bytes(data)
    _check_corpus()
    _read(lambda: read_columns(_FILE))
    _read(lambda: read_passages(_FILE, "char"))
    _read(lambda: read_passages(_FILE, "word"))


def _read(read: Callable[[], Iterable[object]]) -> None:
    try:
        list(read())
    except CorpusError as error:
        assert_good_refusal(error, _FILE)


def _check_corpus() -> None:
    try:
        corpus = read_corpus(_FILE)
    except CorpusError as error:
        assert_good_refusal(error, _FILE)
        return
    lines = _FILE.read_bytes().count(b"\n") + 1
    assert all(1 <= line <= lines for line in corpus.illegal_lines)
    assert corpus.statistics.sentences == len(corpus.sentences) > 0
    for sentence in corpus.sentences:
        assert len(sentence.tokens) == len(sentence.tags) > 0
        assert 1 <= sentence.line <= lines
        assert len(convert(sentence.tags, corpus.scheme, corpus.scheme)) == len(sentence.tags)
    written = {each for sentence in corpus.sentences for each in (*sentence.tokens, *sentence.tags)}
    if any(
        " " in each for each in written
    ):  # read from columns separated by tabs; no column file is so written
        return
    write_columns(_WRITTEN, corpus.sentences)
    again = read_corpus(_WRITTEN)
    assert again.scheme == corpus.scheme
    assert [each[:2] for each in again.sentences] == [each[:2] for each in corpus.sentences]
