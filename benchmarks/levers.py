"""What the levers of training bring: each on several corpora and seeds, in one table.

    python benchmarks/levers.py runs.jsonl --tasks resume wnut17 --seeds 0 1 2
    python benchmarks/levers.py runs.jsonl --table

Each finished run is one line of the file, and is not run again: a broken measurement goes on where it was.
Figures are entity F1 of the weights of the best dev epoch, differences those from the plain run of the same
corpus and seed. First a plain run is repeated: its weights must be the same, or differences would not be the
levers'.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compare_training import TASKS, Task, options_of
from machine import provenance, threads

from pybert_crf import train
from pybert_crf.encoders import read_tensors

PLAIN = "plain"
LEVERS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "transitions counts": {"transitions": "counts"},
    "transitions frozen": {"transitions": "frozen"},
    "layer decay 0.9": {"layer_decay": 0.9},
    "average 0.99": {"average": 0.99},
    "average 0.999": {"average": 0.999},
    "class weight inverse": {"class_weight": "inverse"},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "focal 1": {"focal": 1.0},
    "rdrop 1": {"rdrop": 1.0},
    "fgm": {"adversarial": "fgm"},
    "pgd": {"adversarial": "pgd"},
}
PRETRAINED: dict[str, dict[str, Any]] = {
    "freeze embeddings": {"freeze": "embeddings"},
    "freeze encoder for 1 epoch": {"freeze": "encoder", "frozen_epochs": 1},
    "lora 8": {"lora_rank": 8},
    "lora 32": {"lora_rank": 32},
}
"""Levers of an encoder that knows something already."""


def wanted(
    tasks: Sequence[str], levers: Sequence[str], seeds: Sequence[int]
) -> Iterator[tuple[str, str, int]]:
    """Task, lever and seed of each run: all levers of one seed first, so that a part is a table too."""
    for seed in seeds:
        for task in tasks:
            for lever in levers:
                if lever in LEVERS or not options_of(TASKS[task], Path(), out="x").from_scratch:
                    yield task, lever, seed


def prove_repeatable(task: Task, data: Path) -> None:
    """Raise ``AssertionError`` unless a short plain run, repeated, writes the same weights."""
    short = replace(task, train=task.dev, test=None)
    with tempfile.TemporaryDirectory() as out:
        runs = [
            read_tensors(train(options_of(short, data, out=f"{out}/{name}", model="tiny", epochs=1)).out)
            for name in "ab"
        ]
    assert all(runs[0][name].equal(runs[1][name]) for name in runs[0]), "a run is not repeatable here"


def run(task: str, lever: str, seed: int, data: Path, epochs: int | None) -> dict[str, Any]:
    """Figures of one run."""
    chosen = (LEVERS | PRETRAINED)[lever] | {"epochs": epochs or TASKS[task].epochs, "seed": seed}
    with tempfile.TemporaryDirectory() as out:
        result = train(options_of(TASKS[task], data, out=out, **chosen))
    figures = {"dev": result.dev.f1, "test": None if result.test is None else result.test.f1}
    own = {"task": task, "lever": lever, "seed": seed, "epochs": chosen["epochs"]}
    return {**own, **figures, "best_epoch": result.epoch, "seconds": result.seconds, **provenance()}


def finished(path: Path) -> list[dict[str, Any]]:
    """The runs in a file; a last line that a killed run left half-written is cut off."""
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        with path.open("rb+") as stream:
            stream.truncate(sum(map(len, lines[:-1])))
        lines.pop()
    return [json.loads(line) for line in lines]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A row for each task and lever: mean F1 and its deviation, difference from plain, time beside plain."""
    lines = ["| corpus | lever | seeds | dev F1 | Δ dev | test F1 | Δ test | time |", "|" + " --- |" * 8]
    plain = {(row["task"], row["seed"], row["epochs"]): row for row in rows if row["lever"] == PLAIN}
    for task in dict.fromkeys(row["task"] for row in rows):
        for lever in dict.fromkeys(row["lever"] for row in rows if row["task"] == task):
            own = [row for row in rows if (row["task"], row["lever"]) == (task, lever)]
            pairs = [
                (row, base)
                for row in own
                if (base := plain.get((task, row["seed"], row["epochs"]))) is not None
            ]
            cells = [task, lever, str(len(own))]
            for part in ("dev", "test"):
                cells.append(_spread([row[part] for row in own if row[part] is not None], "{:.4f}"))
                cells.append(
                    _spread(
                        [row[part] - base[part] for row, base in pairs if row[part] is not None], "{:+.4f}"
                    )
                )
            times = [row["seconds"] / base["seconds"] for row, base in pairs]
            cells.append(f"× {statistics.median(times):.2f}" if times else "")
            lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines)


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, help="JSON lines of finished runs")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--levers", nargs="+", choices=[*LEVERS, *PRETRAINED], default=[*LEVERS, *PRETRAINED])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="instead of each task's own")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("PYBERT_CRF_DATA", "../shared/data"))
    )
    parser.add_argument("--table", action="store_true", help="only print the table of what is finished")
    chosen = parser.parse_args(arguments)
    rows = finished(chosen.runs)
    done = {(row["task"], row["lever"], row["seed"], row["epochs"]) for row in rows}
    with threads(chosen.threads):
        if not chosen.table:
            prove_repeatable(TASKS[chosen.tasks[0]], chosen.data)
        for task, lever, seed in [] if chosen.table else wanted(chosen.tasks, chosen.levers, chosen.seeds):
            if (task, lever, seed, chosen.epochs or TASKS[task].epochs) not in done:
                rows.append(run(task, lever, seed, chosen.data, chosen.epochs))
                with chosen.runs.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(rows[-1]) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
