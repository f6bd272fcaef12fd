"""Fine-tune the same small encoder from random weights and after pretraining: F1 and time, in one table.

    python benchmarks/compare_pretraining.py --data DIRECTORY_OF_CORPORA --out results.json

One encoder is pretrained, without tags, on the text of all corpora but for the parts that are judged on below
(dev or test): no line of those is in it. Then each Chinese corpus trains a tagger from each start, with the
same options and epochs:

- ``scratch``: random weights, vocabulary of the corpus's own training part;
- ``pretrained``: the pretrained encoder with its vocabulary;
- ``vocabulary``: random weights under the pretrained encoder's vocabulary, to tell it from the weights.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import torch

import pybert_crf
from pybert_crf import Encoder, PretrainOptions, TrainOptions, pretrain, pretraining, train
from pybert_crf.files import write_json
from pybert_crf.options import PRECISIONS
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training import EpochDone, Event, Stepped

SIZE = "small"
TEXT = (  # nothing that is judged on below
    "resume/train.char.bmes",
    "peoples_daily/example.test",
    "wnut17/train.conll",
    "wnut17/dev.conll",
    "wnut17/test.conll",
)
TASKS: dict[str, dict[str, Any]] = {
    "resume": {
        "train": "resume/train.char.bmes",
        "dev": "resume/dev.char.bmes",
        "test": "resume/test.char.bmes",
        "batch_tokens": 512,
    },
    "peoples_daily": {
        "train": "peoples_daily/example.test",
        "dev": "peoples_daily/example.dev",
        "batch_tokens": 768,
    },
}
STARTS = ("scratch", "pretrained", "vocabulary")
RATES = {"learning_rate": 5e-4, "head_learning_rate": 5e-3}  # from every start the same


def pretrained(data: Path, work: Path, epochs: int, batch_tokens: int, precision: str) -> dict[str, Any]:
    """Pretrain into ``work/encoder``, going on with a killed run there, and tell how it went.

    A finished run there is taken as it is.
    """
    encoder = work / "encoder"
    if not (encoder / "metrics.json").is_file():
        options = PretrainOptions(
            text=tuple(str(data / name) for name in TEXT),
            out=str(encoder),
            columns=True,
            model=SIZE,
            epochs=epochs,
            batch_tokens=batch_tokens,
            precision=precision,
            resume=True,
        )
        pretrain(options, show)
    told: dict[str, Any] = json.loads((encoder / "metrics.json").read_text(encoding="utf-8"))
    told["options"] = {k: v for k, v in told["options"].items() if k not in ("text", "out", "resume")}
    return {"text": list(TEXT)} | told


def show(event: pretraining.Event) -> None:
    """Print how pretraining goes."""
    if isinstance(event, pretraining.Started):
        print(event, flush=True)
    elif isinstance(event, Stepped) and event.step % 100 == 0:
        print(f"pretraining epoch {event.epoch}, step {event.step} of {event.steps}", flush=True)
    elif isinstance(event, pretraining.EpochDone):
        figures = f"perplexity {event.dev.perplexity:.2f}  accuracy {event.dev.accuracy:.4f}"
        print(f"pretraining epoch {event.epoch}  {figures}  {event.seconds:.0f} s", flush=True)


def start_of(name: str, work: Path, seed: int) -> str:
    """What ``--model`` is for a start."""
    if name == "scratch":
        return SIZE
    if name == "pretrained":
        return str(work / "encoder")
    tokenizer = UnitTokenizer.from_directory(work / "encoder")
    torch.manual_seed(seed)
    encoder = Encoder.from_size(SIZE, vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id)
    encoder.save_pretrained(work / f"random{seed}")
    tokenizer.save(work / f"random{seed}")
    return str(work / f"random{seed}")


def fine_tuned(
    task: str, start: str, data: Path, work: Path, seed: int, epochs: int, precision: str
) -> dict[str, Any]:
    """Train one tagger, and tell how it went."""
    parts = {name: str(data / file) for name, file in TASKS[task].items() if name != "batch_tokens"}
    options = TrainOptions(
        **parts,
        **RATES,
        out=str(work / f"{task}-{start}-{seed}"),
        model=start_of(start, work, seed),
        batch_tokens=TASKS[task]["batch_tokens"],
        epochs=epochs,
        precision=precision,
        patience=0,
        seed=seed,
        overwrite=True,
    )

    def tell(event: Event) -> None:
        if isinstance(event, EpochDone):
            figures = f"loss {event.loss:.4f}  dev F1 {event.dev.f1:.4f}  {event.seconds:.0f} s"
            print(f"{task}, {start}, seed {seed}: epoch {event.epoch}  {figures}", flush=True)

    done = train(options, tell)
    return {
        "task": task,
        "start": start,
        "seed": seed,
        "best_epoch": done.best_epoch,
        "dev_f1": done.dev.f1,
        "test_f1": done.test.f1 if done.test else None,
        "seconds": done.seconds,
        "history": done.history,
    }


def table(results: dict[str, Any]) -> str:
    """The runs as Markdown."""
    lines = ["| corpus | start | seed | dev F1 (best epoch) | test F1 | seconds |", "|" + " --- |" * 6]
    for run in results["runs"]:
        test = f"{run['test_f1']:.3f}" if run["test_f1"] is not None else ""
        dev = f"{run['dev_f1']:.3f} ({run['best_epoch']})"
        lines.append(
            f"| {run['task']} | {run['start']} | {run['seed']} | {dev} | {test} | {run['seconds']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("PYBERT_CRF_DATA", "../shared/data"))
    )
    parser.add_argument(
        "--work", type=Path, help="directory for encoder and taggers (default: a temporary one)"
    )
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=6, help="of fine-tuning")
    parser.add_argument("--pretraining-epochs", type=int, default=12)
    parser.add_argument("--pretraining-batch-tokens", type=int, default=1024)
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="no", help="of pretraining and fine-tuning"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    work = args.work or Path(tempfile.mkdtemp(prefix="pybert-crf-"))
    results: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "versions": {"torch": torch.__version__, "pybert_crf": pybert_crf.__version__},
        "pretraining": pretrained(
            args.data, work, args.pretraining_epochs, args.pretraining_batch_tokens, args.precision
        ),
        "fine_tuning": {"model": SIZE, "epochs": args.epochs, "precision": args.precision, **RATES},
        "runs": [],
    }
    for seed in args.seeds:
        for task in args.tasks:
            for start in args.starts:
                results["runs"].append(
                    fine_tuned(task, start, args.data, work, seed, args.epochs, args.precision)
                )
                if args.out:
                    write_json(args.out, results)
    print(table(results))


if __name__ == "__main__":
    main()
