"""The speed of the encoders: every family of ours and transformers' own, side by side.

    python benchmarks/bench_encoders.py --out benchmarks/results/NAME.json

Both sides have the same random weights. It proves for each family that they agree, forwards and backwards,
then times them in turns, and prints a table as Markdown: a forward without gradients, and a training step
(forward with dropout, and backward). transformers attends as it does by default. A family that disagrees
stops the run. Where other work shares the machine, `--threads 1` and the ratio of processor time say most.
On a processor where our linear maps go by oneDNN, `--mkl` leaves them to MKL, as they are on others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from crf_speed.results import machine, versions
from crf_speed.timing import collected_garbage, threads

from pybert_crf.encoders import Encoder, config_from_json
from pybert_crf.encoders import linear as linear_maps
from pybert_crf.encoders.families import FAMILIES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of an import that is not ours
    import transformers

Batch = dict[str, torch.Tensor]

# Layers, width, heads of the encoders; batch and length of what they read.
SIZES = {"tiny": (2, 64, 2), "small": (4, 256, 4), "base": (12, 768, 12)}
SHAPES = ((32, 64), (8, 256))
VOCAB = 8000

DEBERTA = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "max_relative_positions": 512,
    "position_biased_input": False,
}

# What a family's published checkpoints have, where it is not the default of transformers.
SETTINGS: dict[str, dict[str, Any]] = {
    "ernie": {"use_task_id": True},
    "xlm": {"sinusoidal_embeddings": True},
    "deberta": DEBERTA,
    "deberta-v2": {**DEBERTA, "position_buckets": 256, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
}


def loss(hidden: torch.Tensor) -> torch.Tensor:
    """A random weighting: sums and squares of what is normalised do not depend on it."""
    weights = torch.randn(hidden.shape[-1], generator=torch.Generator().manual_seed(1))
    return (hidden @ weights).mean()


class Pair(NamedTuple):
    """The same encoder, ours and transformers'."""

    ours: Encoder
    theirs: Any

    def hidden(self, side: str, batch: Batch) -> torch.Tensor:
        """The last hidden states that one side makes of the batch."""
        states: torch.Tensor = (
            self.ours(**batch) if side == "ours" else self.theirs(**batch).last_hidden_state
        )
        return states

    def forward(self, side: str, batch: Batch) -> Callable[[], None]:
        def call() -> None:
            self.ours.eval(), self.theirs.eval()
            with torch.inference_mode():
                self.hidden(side, batch)

        return call

    def step(self, side: str, batch: Batch) -> Callable[[], None]:
        model = getattr(self, side)

        def call() -> None:
            model.train()
            model.zero_grad()
            loss(self.hidden(side, batch)).backward()

        return call


class Row(NamedTuple):
    """Medians over the turns: seconds a call, ours over theirs, and the same of processor time."""

    family: str
    operation: str
    batch: int
    length: int
    ours: float
    theirs: float
    ratio: float
    processor_ratio: float
    turns: int
    error: float  # of the hidden states, and of the gradient of the word embeddings over its size


def pair(family: str, size: str, length: int) -> Pair:
    """A random encoder of the family, as its checkpoints are but for size and vocabulary."""
    table = FAMILIES[family]
    layers, width, heads = SIZES[size]
    shape = {"vocab_size": VOCAB, "num_layers": layers, "hidden_size": width, "num_heads": heads}
    shape |= {"intermediate_size": 4 * width, "max_positions": length + 2}
    settings = {table.their_key(name): value for name, value in shape.items() if name in table.config_keys}
    kind = getattr(transformers, table.architecture)
    torch.manual_seed(0)
    config = kind.config_class(**settings, **SETTINGS.get(family, {}))
    theirs = kind(config)
    ours = Encoder.from_checkpoint(config_from_json(config.to_dict()), theirs.state_dict())
    return Pair(ours, theirs)


def sentences(rows: int, length: int) -> Batch:
    """Random pieces, the rows between half of the length and all of it long."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.linspace(length // 2, length, rows).long()
    mask = torch.arange(length)[None, :] < lengths[:, None]
    input_ids = torch.randint(5, VOCAB, (rows, length), generator=generator)
    return {"input_ids": torch.where(mask, input_ids, 1), "attention_mask": mask.long()}


def prove(both: Pair, batch: Batch) -> float:
    """The greatest difference of hidden states and of the word embeddings' gradient; no more than 1e-4."""
    kept = batch["attention_mask"].bool()
    hidden, gradients = [], []
    for side in ("ours", "theirs"):
        model = getattr(both, side).eval()
        model.zero_grad()
        states = both.hidden(side, batch)
        loss(states[kept]).backward()
        words = both.ours.embeddings.word if side == "ours" else model.get_input_embeddings()
        hidden.append(states.detach()[kept])
        gradients.append(words.weight.grad)
    scale = float(gradients[1].abs().max())
    error = max(float((a - b).abs().max()) for a, b in (hidden, [g / scale for g in gradients]))
    assert error < 1e-4, f"{both.ours.config.model_type}: ours and theirs differ by {error}"
    return error


def run(families: Sequence[str], size: str, shapes: Sequence[tuple[int, int]], seconds: float) -> list[Row]:
    """Prove, then time, every family at every shape."""
    rows = []
    for family in families:
        for batch_size, length in shapes:
            both = pair(family, size, length)
            batch = sentences(batch_size, length)
            error = prove(both, batch)
            for name, operation in (("forward", both.forward), ("training step", both.step)):
                turns = by_turns([operation(side, batch) for side in ("ours", "theirs")], seconds)
                ours, theirs = (statistics.median(turn[side][0] for turn in turns) for side in (0, 1))
                ratios = (statistics.median(a[clock] / b[clock] for a, b in turns) for clock in (0, 1))
                rows.append(Row(family, name, batch_size, length, ours, theirs, *ratios, len(turns), error))
                print(*rows[-1], file=sys.stderr, flush=True)
    return rows


def by_turns(calls: Sequence[Callable[[], None]], seconds: float) -> list[list[tuple[float, float]]]:
    """Wall and processor seconds of each call of each function, one call a turn; three turns at least."""
    with collected_garbage():
        for call in calls:
            call()
        turns: list[list[tuple[float, float]]] = []
        end = time.perf_counter() + seconds
        while len(turns) < 3 or time.perf_counter() < end:
            turns.append([_once(call) for call in calls])
    return turns


def _once(call: Callable[[], None]) -> tuple[float, float]:
    start, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - processor


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown; milliseconds, and ours over theirs."""
    header = "| family | operation | batch, length | ours | transformers | ratio | ratio of processor time |"
    lines = [header, "| --- " * 7 + "|"]
    for row in rows:
        times = (
            f"{1000 * row.ours:.1f} | {1000 * row.theirs:.1f} | {row.ratio:.2f} | {row.processor_ratio:.2f}"
        )
        lines.append(f"| `{row.family}` | {row.operation} | {row.batch}, {row.length} | {times} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--shapes", nargs="+", type=_shape, default=list(SHAPES), metavar="BATCHxLENGTH")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each operation of both sides")
    parser.add_argument("--mkl", action="store_true", help="no linear maps by oneDNN")
    parser.add_argument("--out", type=Path, help="where the figures go, as JSON")
    options = parser.parse_args(arguments)
    by_onednn = linear_maps.convolution_is_faster() and not options.mkl
    fewest = sys.maxsize if options.mkl else linear_maps.MIN_ROWS
    with threads(options.threads), mock.patch.object(linear_maps, "MIN_ROWS", fewest):
        rows = run(options.families, options.size, options.shapes, options.seconds)
    print(table(rows))
    if options.out:
        figures = {
            "machine": machine(),
            "versions": versions() | {"transformers": transformers.__version__},
            "size": options.size,
            "threads": options.threads,
            "our_linear_maps": "oneDNN" if by_onednn else "MKL",
            "rows": [row._asdict() for row in rows],
        }
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _shape(text: str) -> tuple[int, int]:
    batch, length = text.split("x")
    return int(batch), int(length)


if __name__ == "__main__":
    main()
