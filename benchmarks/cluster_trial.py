"""Tag 200,000 sentences on a Ray cluster of two worker nodes, one of which is killed in the middle.

    pip install -c constraints.txt '.[ray]' && python benchmarks/cluster_trial.py FOLDER

The cluster is on this machine: a head without CPUs, and two nodes of one CPU, each with processes of its own.
The second run has an undisturbed cluster. Both are compared, sentence by sentence, with one process of
``pybert-crf predict``, before anything is said about time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch

from pybert_crf import Tagger
from pybert_crf.cluster.manifest import NAME
from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.model import BertCRF
from pybert_crf.text.tokenizer import UnitTokenizer

CHARACTERS = "张三李四王五赵六在北京上海广州工作，他是医生。她住在河边"


def write_inputs(folder: Path, sentences: int, width: int) -> tuple[Path, Path]:
    """A tagger with random weights, and a file of sentences no two of which are alike."""
    model, text = folder / "tagger", folder / "sentences.txt"
    tokenizer = UnitTokenizer.build([list(CHARACTERS + "0123456789")], "char", min_count=1)
    torch.manual_seed(1)
    config = EncoderConfig(tokenizer.vocab_size, width, 2, 2, 2 * width, max_positions=64)
    encoder = Encoder(config)
    built = BertCRF(encoder, ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], "BIO")
    torch.nn.init.normal_(built.linear.weight, std=1.0)
    Tagger(built, tokenizer, "char").save_pretrained(model)
    chance = random.Random(1)
    with text.open("w", encoding="utf-8") as file:
        for number in range(sentences):
            file.write(f"{number}{''.join(chance.choices(CHARACTERS, k=chance.randint(4, 16)))}\n")
    return model, text


def predict(*words: object) -> tuple[float, str]:
    """Seconds that the command took, and its output; what it says on the way is shown."""
    command = [sys.executable, "-m", "pybert_crf", "predict", *map(str, words)]
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.monotonic() - started, done.stdout


def parts_done(out: Path) -> int:
    """How many parts the manifest lists."""
    path = out / NAME
    return int(json.loads(path.read_text("utf-8"))["parts_done"]) if path.exists() else 0


def on_cluster(model: Path, text: Path, out: Path, shard_kb: int, kill_after: int | None) -> float:
    """Seconds that a run on a cluster of two nodes took, one of which is killed after so many parts."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    finished = threading.Event()

    def kill() -> None:
        while kill_after is not None and parts_done(out) < kill_after:
            if finished.wait(0.1):
                return
        if kill_after is not None:
            cluster.remove_node(nodes[1], allow_graceful=False)
            print(f"-- a node was killed after {parts_done(out)} parts", flush=True)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        seconds, _ = predict(
            *("--ray", cluster.address, model, text, out, "--actors", 2, "--shard-kb", shard_kb)
        )
    finally:
        finished.set()
        killer.join()
        cluster.shutdown()
    return seconds


def compare(out: Path, expected: list[Any]) -> None:
    """Every sentence once, in order, with the entities of one process; scores to five decimals."""
    manifest = json.loads((out / NAME).read_text("utf-8"))
    assert manifest["complete"]
    assert manifest["rows"] == len(expected)
    shards = sorted(path for path in out.iterdir() if path.name != NAME)
    assert [path.name for path in shards] == [done["shard"] for done in manifest["done"]]
    rows = [json.loads(line) for path in shards for line in path.read_text("utf-8").splitlines()]
    assert len(rows) == len({row["text"] for row in rows}) == len(expected)
    worst, equal = 0.0, 0
    for row, other in zip(rows, expected, strict=True):
        ours = [(each["start"], each["end"], each["label"], each["text"]) for each in row["entities"]]
        theirs = [(each["start"], each["end"], each["label"], each["text"]) for each in other["entities"]]
        assert (row["text"], ours) == (other["text"], theirs)
        gaps = [abs(a["score"] - b["score"]) for a, b in zip(row["entities"], other["entities"], strict=True)]
        worst = max([worst, *gaps])
        equal += len(ours)
    assert worst < 1e-5
    told = f"{len(rows):,} sentences, each once and in order; {equal:,} entities as in one process"
    print(f"-- {out.name}: {told}")
    print(f"-- greatest difference between scores: {worst:.1e}", flush=True)


def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new folder for all files")
    parser.add_argument("--sentences", type=int, default=200_000)
    parser.add_argument("--width", type=int, default=32, help="of the encoder, which has two layers")
    parser.add_argument("--shard-kb", type=int, default=128)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    model, text = write_inputs(given.folder, given.sentences, given.width)
    seconds, output = predict(model, text)
    expected = [json.loads(line) for line in output.splitlines()]
    parts = -(-text.stat().st_size // (given.shard_kb * 1024))
    print(f"-- {given.sentences:,} sentences, {parts} parts, encoder {given.width} wide", flush=True)
    times = {"one process": seconds}
    killed, whole = given.folder / "killed", given.folder / "whole"
    times["two nodes, one killed"] = on_cluster(model, text, killed, given.shard_kb, parts // 3)
    compare(killed, expected)
    times["two nodes"] = on_cluster(model, text, whole, given.shard_kb, None)
    compare(whole, expected)
    print(f"-- processors: {os.cpu_count()}, load of the machine {os.getloadavg()[2]:.0f}")
    for name, seconds in times.items():
        print(f"-- {name}: {seconds:.1f} s, {given.sentences / seconds:,.0f} sentences/s")


if __name__ == "__main__":
    main()
