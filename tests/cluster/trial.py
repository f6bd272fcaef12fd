"""Tag 200,000 sentences on a Ray cluster of two worker nodes, one of which is killed in the middle.

    python tests/cluster/trial.py FOLDER [--sentences 200000]

The cluster is on this machine: a head without CPUs, and two nodes of one CPU, each with processes of its own.
A second run has an undisturbed cluster. Both are compared, sentence by sentence, with one process of
``pybert-crf predict``, before anything is said about time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from cluster_cases import check, save_tagger, state, write_texts

SHARD_KB = 128


def predict(*words: object) -> tuple[float, str]:
    """Seconds that the command took, and its output; what it says on the way is shown."""
    command = [sys.executable, "-m", "pybert_crf", "predict", *map(str, words)]
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.monotonic() - started, done.stdout


def on_cluster(model: Path, text: Path, out: Path, kill_after: float = float("inf")) -> float:
    """Seconds that a run on a cluster of two nodes took, one of which is killed after so many parts."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    finished = threading.Event()

    def kill() -> None:
        while not finished.wait(0.1):
            if state(out)["parts_done"] >= kill_after:
                cluster.remove_node(nodes[1], allow_graceful=False)
                print(f"-- a node was killed after {state(out)['parts_done']} parts", flush=True)
                break

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        options = "--actors", 2, "--shard-kb", SHARD_KB
        return predict("--ray", cluster.address, model, text, out, *options)[0]
    finally:
        finished.set()
        killer.join()
        cluster.shutdown()


def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new folder for all files")
    parser.add_argument("--sentences", type=int, default=200_000)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    model, text, killed, whole = (given.folder / name for name in ("tagger", "in.txt", "killed", "whole"))
    os.environ["OMP_NUM_THREADS"] = "1"
    save_tagger(model, width=32)
    write_texts(text, given.sentences, longest=16)
    seconds, output = predict(model, text)
    expected = [json.loads(line) for line in output.splitlines()]
    parts = -(-text.stat().st_size // (SHARD_KB * 1024))
    print(f"-- {given.sentences:,} sentences, {parts} parts", flush=True)
    times = {"one process": seconds}
    times["two nodes, one killed"] = on_cluster(model, text, killed, parts // 3)
    times["two nodes"] = on_cluster(model, text, whole)
    for out in (killed, whole):
        check(out, expected)
    entities = sum(len(answer["entities"]) for answer in expected)
    print(f"-- both runs: each sentence once and in order, {entities:,} entities as in one process")
    print(f"-- processors: {os.cpu_count()}, load of the machine {os.getloadavg()[2]:.0f}")
    for name, seconds in times.items():
        print(f"-- {name}: {seconds:.1f} s, {given.sentences / seconds:,.0f} sentences/s")


if __name__ == "__main__":
    main()
