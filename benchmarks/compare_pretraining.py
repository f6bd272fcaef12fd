"""Fine-tune the same small encoder from random weights and after pretraining: F1 and time.

    python benchmarks/compare_pretraining.py --data DIRECTORY_OF_CORPORA --out results.json

One encoder is pretrained, without tags, on the text of all corpora except the parts that are judged on below
(dev or test). Then each Chinese corpus trains a tagger from each start, with the same options and epochs:

- ``scratch``: random weights, vocabulary of the corpus's own training part;
- ``pretrained``: the pretrained encoder with its vocabulary.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from compare_training import TASKS, options_of
from machine import provenance, threads
from report import markdown

from pybert_crf import PretrainOptions, pretrain, train
from pybert_crf.files import write_json

SIZE = "small"
WNUT = TASKS["wnut17"]
TEXT = (TASKS["resume"].train, TASKS["peoples_daily"].train, WNUT.train, WNUT.dev, WNUT.test)
NAMES = ("resume", "peoples_daily")
STARTS = ("scratch", "pretrained")
RATES = {"learning_rate": 5e-4, "head_learning_rate": 5e-3}  # the same from every start


def pretrained(data: Path, encoder: Path, epochs: int, batch_tokens: int) -> dict[str, Any]:
    """Pretrain into `encoder`, or resume or use the run that is there; returns its metrics."""
    if not (encoder / "metrics.json").is_file():
        text = tuple(str(data / name) for name in TEXT if name)
        sizes = {"model": SIZE, "epochs": epochs, "batch_tokens": batch_tokens}
        pretrain(PretrainOptions(text=text, out=str(encoder), format="columns", resume=True, **sizes), _show)
    metrics: dict[str, Any] = json.loads((encoder / "metrics.json").read_text(encoding="utf-8"))
    for name in ("text", "out", "resume"):
        metrics["options"].pop(name)
    return metrics


def fine_tuned(name: str, start: str, data: Path, work: Path, seed: int, epochs: int) -> dict[str, Any]:
    """Train one tagger; its figures."""
    model = SIZE if start == "scratch" else str(work / "encoder")
    out = str(work / f"{name}-{start}-{seed}")
    options = options_of(TASKS[name], data, out=out, model=model, epochs=epochs, seed=seed, **RATES)
    done = train(options, _show)
    figures = {"best_epoch": done.epoch, "dev_f1": done.dev.f1, "seconds": done.seconds}
    figures |= {"test_f1": done.test.f1 if done.test else None, "history": done.history}
    return {"task": name, "start": start, "seed": seed, **figures}


def _show(event: object) -> None:
    """Print the end of each epoch."""
    if type(event).__name__ == "EpochDone":
        print(event, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """The command; `words` are its arguments."""
    corpora = Path(os.environ.get("PYBERT_CRF_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=corpora)
    parser.add_argument("--work", type=Path, help="for encoder and taggers (default: a temporary directory)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=6, help="of fine-tuning")
    parser.add_argument("--pretraining-epochs", type=int, default=12)
    parser.add_argument("--pretraining-batch-tokens", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="write the figures as JSON, after each tagger")
    given = parser.parse_args(words)

    work = given.work or Path(tempfile.mkdtemp(prefix="pybert-crf-"))
    runs: list[dict[str, Any]] = []
    results: dict[str, Any] = {**provenance(), "threads": given.threads, "epochs": given.epochs, **RATES}
    with threads(given.threads):
        results["pretraining"] = pretrained(
            given.data, work / "encoder", given.pretraining_epochs, given.pretraining_batch_tokens
        )
        for seed, name, start in product(given.seeds, NAMES, STARTS):
            runs.append(fine_tuned(name, start, given.data, work, seed, given.epochs))
            if given.out:
                write_json(given.out, {**results, "runs": runs})
    columns = ("task", "start", "seed", "dev_f1", "best_epoch", "test_f1")
    print(markdown(columns, [[str(run[column]) for column in columns] for run in runs]))


if __name__ == "__main__":
    main()
