"""Corpora: refused by a CorpusError with file and line, or sentences that are the same when written and read.

Each input is read as a tagged corpus of a format that is found out and of every format, as the tokens of a
column file, and as plain text by both units; what was read is converted to every format.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from random import Random

from conversions import answered, check_habits
from mutation import Raw, mutate_json, mutate_text
from refusals import scratch

from pybert_crf.text.corpora import Habits, read_columns
from pybert_crf.text.corpora.passages import read_passages

__all__ = ["check", "mutate", "seeds"]

_FILE = scratch() / "given.txt"
HABITS = [
    Habits(),
    Habits(map_tags=True),
    Habits(unit="word"),
    Habits(encoding="utf-16", space_tokens="keep", labels="O,B-X,I-X"),
    *(Habits(format=each) for each in ("columns", "json", "csv", "words")),
]


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
    yield from _with_a_header()
    yield "words", "林小雨 在 青河市 工作 。\n今天 休息\n".encode()
    yield "words-tagged", "今天/t 林小雨/nr 休息/v 。/w\n在/p 北京/ns\n".encode()
    yield "plain", b"the DET\nend NOUN\n# PUNCT\n\nit PRON\n"
    yield "underscores", b"a B_PER\nb I_PER\nc O\n"
    yield "behind", b"a PER-B\nb PER-I\nc o\n"
    yield "names", b"a PER\nb LOC\nc O\n"
    conllu = "# newdoc id = 1\n# text = To do\n1-2\tTodo\t_\t_\t_\t_\t_\t_\t_\t_\n"
    conllu += "1\tTo\tto\tADP\t_\t_\t2\tcase\t_\t_\n"
    conllu += "2\tdo\tdo\tVERB\t_\t_\t0\troot\t_\t_\n2.1\tit\tit\tPRON\t_\t_\t_\t_\t0:x\t_\n\n# newdoc\n"
    yield "conllu", f"{conllu}1\tAh\tah\tINTJ\t_\t_\t0\troot\t_\t_\n".encode()
    yield "documents", b"-DOCSTART- O\n\na B-X\n\nb O\n\n-DOCSTART- O\n\nc O\n"
    yield "text", "第一行 text\n\n  第二行\u2028 \n".encode()


def _with_a_header() -> Iterator[tuple[str, bytes]]:
    yield "csv", b'Sentence #,Word,POS,Tag\nSentence: 1,"a,""b",NN,B-X\n,c,NN,I-X\nSentence: 2,d,NN,O\n'
    yield "csv-lines", b"token;label\na;B-X\n\nb;O\n"
    yield "tsv", 'sentence_id\tword\tner\n1\t"张\tB-PER\n1\t三\tI-PER\n2\t在\tO\n'.encode()


def _label_studio(text: str) -> dict[str, object]:
    value = {"start": 0, "end": 2, "text": text[:2], "labels": ["PER"]}
    result = [{"value": value, "from_name": "label", "to_name": "text", "type": "labels"}]
    return {"data": {"text": text}, "annotations": [{"result": result}]}


def check(data: bytes) -> None:
    """Read one file in every way, and write what is read in every format."""
    _FILE.write_bytes(data)
    check_habits(_FILE, HABITS, _FILE)
    for read in (
        lambda: list(read_columns(_FILE)),
        lambda: list(read_passages(_FILE, "char")),
        lambda: list(read_passages(_FILE, "word")),
    ):
        answered(read, _FILE)
