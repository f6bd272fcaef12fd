"""A lost process ends the run of the others with a message; another number of them goes on with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from processes import ended, start

from pybert_crf import TrainOptions, train
from pybert_crf.encoders import read_tensors
from pybert_crf.training import EpochDone, Stepped
from pybert_crf.training.loop.checkpoints import find_checkpoint

Make = Callable[..., TrainOptions]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")

LOST = "another one has died or does not answer"
GO_ON = "the same command with --resume goes on from the last checkpoint"


def command(chosen: TrainOptions, *more: str) -> list[str]:
    """The arguments of Python for a run of the small corpus."""
    parts = [*chosen.files("train"), "--dev", *chosen.files("dev"), "--test", *chosen.files("test")]
    small = ["--model", "tiny", "--batch-tokens", "128", "--min-count", "1", "--patience", "0"]
    own = ["--out", chosen.out, "--epochs", str(chosen.epochs)]
    return ["-m", "pybert_crf", "train", *parts, *small, *own, *more]


def wait_for_epoch(out: str, epoch: int) -> None:
    """Wait for a checkpoint that has this many epochs behind it."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        with suppress(OSError, ValueError):
            progress = json.loads((Path(out) / "checkpoint" / "progress.json").read_text("utf-8"))
            if len(progress["history"]) >= epoch:
                return
        time.sleep(0.05)
    raise AssertionError(f"no checkpoint of epoch {epoch}")


def check_end(found: list[tuple[int, str, str]], lost: int) -> None:
    """All but the lost process end with an error that says so, in one line each."""
    for rank, (status, _, errors) in enumerate(found):
        if rank != lost:
            assert status == 1, (rank, errors)
            lines = [line for line in errors.splitlines() if line.startswith("error: ")]
            assert len(lines) == 1, errors
            assert lines[0].startswith(
                f"error: process {rank} of {len(found)}, counted from 0, ends: {LOST} ("
            )
            assert lines[0].endswith(GO_ON)


@pytest.mark.parametrize(
    "victim", [pytest.param(1, marks=pytest.mark.slow), pytest.param(0, marks=pytest.mark.long)]
)
def test_a_killed_process_ends_all_and_one_process_goes_on(options: Make, victim: int) -> None:
    chosen = options(epochs=40, patience=0)
    run = start(command(chosen), 3)
    wait_for_epoch(chosen.out, 2)
    run[victim].kill()
    check_end(ended(run, timeout=60), victim)
    out = Path(chosen.out)
    read_tensors(out)  # whole
    events: list[Any] = []
    result = train(options(epochs=40, patience=0, resume=True), events.append)
    assert events[0].epoch >= 3
    assert len(result.history) == 40
    steps = [event for event in events if isinstance(event, Stepped)]
    assert steps[0].steps > 2  # of one process: a third as many were an epoch's before
    total, done = 40 * steps[0].steps, (events[0].epoch - 1) * steps[0].steps
    rise = round(0.1 * total)
    factor = (done + 1) / rise if done < rise else (total - done) / (total - rise)
    assert max(steps[0].rates) == pytest.approx(5e-3 * factor)
    assert not [path for path in out.iterdir() if path.is_dir() or path.name.startswith(".")]


@pytest.mark.long
def test_one_process_is_resumed_by_three(options: Make) -> None:
    chosen = options(epochs=6, patience=0)

    def kill(event: object) -> None:
        if isinstance(event, EpochDone) and event.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(chosen, kill)
    found = ended(start(command(chosen, "--resume"), 3))
    assert [status for status, *_ in found] == [0, 0, 0], found
    assert "resumed after epoch 2" in found[0][1]
    metrics = json.loads((Path(chosen.out) / "metrics.json").read_text("utf-8"))
    assert [row["epoch"] for row in metrics["history"]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.long
def test_a_process_that_hangs_is_noticed_after_the_timeout(options: Make) -> None:
    chosen = options(epochs=1000)
    run = start(command(chosen, "--timeout", "10"), 3)
    wait_for_epoch(chosen.out, 2)
    run[2].send_signal(signal.SIGSTOP)
    try:
        check_end([*ended(run[:2], timeout=120), (0, "", "")], 2)
    finally:
        run[2].kill()
        run[2].communicate()


@pytest.mark.long
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_saves_and_ends_them(options: Make, kind: signal.Signals) -> None:
    chosen = options(epochs=1000)
    run = start(command(chosen), 3)
    wait_for_epoch(chosen.out, 1)
    for process in run:
        process.send_signal(kind)
    found = ended(run, timeout=120)
    assert [status for status, *_ in found] == [128 + kind] * 3, found
    assert find_checkpoint(Path(chosen.out)) is not None


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Three network namespaces on one bridge, as hosts with an address each; skips where none can be made."""
    names = [f"pybert-crf-{index}" for index in range(3)]
    bridge = "pybert-crf-br"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def clear() -> None:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True, check=False)

    clear()
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("link", "set", bridge, "up")
        for index, name in enumerate(names):
            ip("netns", "add", name)
            ip("link", "add", f"crf{index}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"crf{index}", "master", bridge, "up")
            ip("-n", name, "addr", "add", f"10.77.0.{index + 1}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "eth0", "up")
    except (OSError, subprocess.CalledProcessError) as error:
        clear()
        pytest.skip(f"network namespaces cannot be made here: {error}")
    yield names
    clear()


@pytest.mark.long
def test_three_hosts_of_which_one_falls_off_the_network(
    options: Make, hosts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process dies and no connection is closed: nothing comes any more from one host."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth0")
    chosen = options(epochs=1000)
    inside = [["ip", "netns", "exec", name] for name in hosts]
    run = start(command(chosen, "--timeout", "10"), 3, address="10.77.0.1", before=inside)
    wait_for_epoch(chosen.out, 2)
    subprocess.run(["ip", "link", "set", "crf2", "down"], check=True)
    found = ended(run[:2], timeout=120)
    run[2].kill()
    run[2].communicate()
    check_end([*found, (0, "", "")], 2)
    found = ended(start(command(options(epochs=8), "--resume"), 1))
    assert "epochs was 1000, is 8" in found[0][2]
