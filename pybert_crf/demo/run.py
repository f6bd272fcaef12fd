"""The demo: the main job on a made-up corpus, offline, in under two minutes on two cores."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pybert_crf.annotation.entities import Entity
from pybert_crf.demo.grammar import UNSEEN, make_corpus
from pybert_crf.options import TrainOptions
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.training import Finished, Observer, train


class DemoResult(NamedTuple):
    """The training run's result, and the entities found in a few sentences that no part contains."""

    finished: Finished[Report]
    tagged: list[tuple[str, list[Entity]]]


def options(out: str | Path) -> TrainOptions:
    """The demo's training options; the corpus is expected in ``out/data``."""
    data = Path(out) / "data"
    return TrainOptions(
        train=str(data / "train.txt"),
        dev=str(data / "dev.txt"),
        test=str(data / "test.txt"),
        out=str(Path(out) / "model"),
        model="tiny",
        epochs=8,
        batch_tokens=1024,
        learning_rate=2e-3,
        head_learning_rate=1e-2,
        patience=0,
        overwrite=True,
    )


def run_demo(out: str | Path, observer: Observer | None = None) -> DemoResult:
    """Write the corpus to ``out/data``, train a tagger into ``out/model``, and try it.

    Raises:
        FileExistsError: `out` exists and is not an earlier demo's.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()) and not (out / "data" / "train.txt").is_file():
        raise FileExistsError(f"{out} exists and holds no earlier demo: choose another --out")
    make_corpus().write(out / "data")
    finished = train(options(out), observer)
    tagger = Tagger.from_pretrained(finished.out)
    return DemoResult(finished, list(zip(UNSEEN, tagger.tag(UNSEEN), strict=True)))
