"""Several processes: the gradient and the weights of one, shares of the data, one that writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import ended, start

from pybert_crf import TrainOptions, train
from pybert_crf.encoders import read_tensors
from pybert_crf.text.corpora import Sentence
from pybert_crf.training import tagging
from pybert_crf.training.shares import borders

Make = Callable[..., TrainOptions]

WORLD = 3
GROUP = [[[0, 1], [2]], [[0]], [[5, 3, 4]]]  # examples of each process's share in its batches of a step

SCRIPT = """
import dataclasses, hashlib, json, os, sys
from pybert_crf import TrainOptions, train
from pybert_crf.encoders import write_tensors
from pybert_crf.training import Stepped, tagging

rank = int(os.environ["RANK"])
options = TrainOptions(**json.loads(sys.argv[1]))
group = json.loads(sys.argv[2])[rank]
tasks = []

class Task(tagging.TaggingTask):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        tasks.append(self)

tagging.TaggingTask = Task
told = []
plain = dataclasses.replace(options, dropout=0.0, clip=0.0)
task = tagging._task(plain, told.append, tagging.build_accelerator(plain))
task.model.train()
task.tagger.model.encoder.eval()
task.optimizer.step = task.optimizer.zero_grad = task.scheduler.step = lambda: None
task._step(group, 1)
write_tensors(".", {name: p.grad for name, p in task.tagger.model.named_parameters()})
result = train(options, told.append)
weights = b"".join(p.detach().numpy().tobytes() for p in tasks[-1].tagger.model.parameters())
print(json.dumps({
    "weights": hashlib.sha256(weights).hexdigest(), "examples": len(tasks[-1].examples),
    "whole": len(tasks[-1].held_out["dev"].sentences), "dev": len(tasks[-1].share.dev.sentences),
    "test_f1": result.test.f1, "history": result.history, "events": len(told),
    "names": [task.name_example(0), task.name_example(19)],
}))
"""


@pytest.fixture(scope="module")
def three(
    tmp_path_factory: pytest.TempPathFactory, corpus: Path
) -> tuple[list[Any], list[Path], TrainOptions]:
    """What three processes say, each in a folder of its own, and the options of their run."""
    folders = [tmp_path_factory.mktemp(f"host{rank}") for rank in range(WORLD)]
    parts = {name: str(corpus / f"{name}.txt") for name in ("train", "dev", "test")}
    learning = {"model": "tiny", "epochs": 8, "batch_tokens": 48, "min_count": 1, "learning_rate": 2e-3}
    options = TrainOptions(**parts, **learning, out="out", patience=0)
    script = folders[0] / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    arguments = [str(script), json.dumps(options.to_dict()), json.dumps(GROUP)]
    found = ended(start(arguments, WORLD, folders=folders))
    assert [status for status, *_ in found] == [0] * WORLD, found[0][2] + found[1][2]
    return [json.loads(output.splitlines()[-1]) for _, output, _ in found], folders, options


def test_all_processes_have_the_same_weights_and_history(three: Any) -> None:
    said, _, options = three
    assert len({each["weights"] for each in said}) == 1
    assert all(each["history"] == said[0]["history"] for each in said)
    assert len(said[0]["history"]) == options.epochs


def test_they_learn_what_one_process_learns(three: Any, tmp_path: Path) -> None:
    said, _, options = three
    alone = train(TrainOptions(**{**options.to_dict(), "out": str(tmp_path), "batch_tokens": 3 * 48}))
    assert alone.test is not None
    assert said[0]["test_f1"] > 0.8
    assert said[0]["test_f1"] == pytest.approx(alone.test.f1, abs=0.15)


def test_the_gradient_is_that_of_one_process_with_all_batches(three: Any, tmp_path: Path) -> None:
    _, folders, options = three
    chosen = TrainOptions(**{**options.to_dict(), "out": str(tmp_path), "dropout": 0.0, "clip": 0.0})
    data = tagging.read_corpora(chosen)
    accelerator = tagging.build_accelerator(chosen)
    task = tagging.TaggingTask(chosen, None, data, accelerator, tagging.build_tagger(data, chosen))
    task.model.train()
    task.tagger.model.encoder.eval()
    task.optimizer.step = task.optimizer.zero_grad = task.scheduler.step = lambda: None  # type: ignore
    task._step([[i * WORLD + rank for i in rows] for rank, group in enumerate(GROUP) for rows in group], 1)
    for folder in folders:
        theirs = read_tensors(folder)
        for name, parameter in task.tagger.model.named_parameters():
            assert parameter.grad is not None
            torch.testing.assert_close(theirs[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_each_has_its_share_and_the_first_alone_reads_and_writes(three: Any) -> None:
    said, folders, _ = three
    assert [each["examples"] for each in said] == [20, 20, 20]
    assert [each["dev"] for each in said] == [4, 4, 4]
    assert [each["whole"] for each in said] == [12, 0, 0]
    assert said[0]["events"] > 0 == said[1]["events"] == said[2]["events"]
    assert [each["names"][0] for each in said] == ["train.txt:1", "train.txt:6", "train.txt:12"]
    assert {path.name for path in (folders[0] / "out").iterdir()} > {"metrics.json", "model.safetensors"}
    assert not any((folder / "out").exists() for folder in folders[1:])


@pytest.mark.parametrize(
    ("documents", "world", "cuts"),
    [
        ([0] * 7, 3, [0, 2, 4, 7]),
        ([1, 1, 1, 2, 2, 3], 2, [0, 3, 6]),
        ([1, 1, 1, 1, 2, 2], 3, [0, 4, 4, 6]),
        ([1, 1, 1], 2, [0, 3, 3]),
        ([0], 3, [0, 0, 0, 1]),
    ],
)
def test_dev_is_cut_between_documents(documents: list[int], world: int, cuts: list[int]) -> None:
    assert borders([Sentence(["a"], ["O"], document=each) for each in documents], world) == cuts


def test_an_error_of_the_first_ends_all(options: Make, tmp_path: Path) -> None:
    """Here a file that is missing; the others say that the first could not go on."""
    chosen = options(train=str(tmp_path / "missing.txt"))
    arguments = ["-m", "pybert_crf", "train", *chosen.files("train"), "--dev", *chosen.files("dev")]
    first, second = ended(start([*arguments, "--out", chosen.out], 2))
    assert (first[0], second[0]) == (1, 1)
    assert first[2].startswith("error: ")
    assert "missing.txt" in first[2]
    assert second[2].startswith("error: process 1 ends, because process 0 could not go on: ")
