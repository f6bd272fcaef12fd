"""Resuming: only the same run, from undamaged files, no code of which is run; one run at a time."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybert_crf import PretrainOptions, TrainOptions, pretrain, train
from pybert_crf.encoders import CheckpointError, read_tensors
from pybert_crf.training import Stepped
from pybert_crf.training.loop.checkpoints import checksum, find_checkpoint, remove_checkpoint
from pybert_crf.training.loop.directory import reserve

Make = Callable[..., TrainOptions]


class _Killed(BaseException):
    pass


def kill_in_epoch_2(event: object) -> None:
    if isinstance(event, Stepped) and event.epoch == 2:
        raise _Killed


@pytest.fixture
def killed(options: Make, corpus: Path, tmp_path: Path) -> TrainOptions:
    """The options of a run that was killed in its second epoch, on a corpus of its own."""
    copy = tmp_path / "train.txt"
    copy.write_bytes((corpus / "train.txt").read_bytes())
    chosen = options(train=str(copy))
    with pytest.raises(_Killed):
        train(chosen, kill_in_epoch_2)
    return options(train=str(copy), resume=True)


def test_a_type_that_was_renamed_is_seen(killed: TrainOptions) -> None:
    """Texts, lengths and number of tags are the same."""
    path = Path(killed.files("train")[0])
    path.write_text(path.read_text(encoding="utf-8").replace("PER", "XXX"), encoding="utf-8")
    with pytest.raises(ValueError, match="data are not what they were"):
        train(killed)


def test_the_text_of_pretraining_is_known_by_its_characters(tmp_path: Path) -> None:
    """The numbers of the pieces are the same: the vocabulary is built from the text."""
    text = tmp_path / "text.txt"
    text.write_text("甲乙丙丁\n" * 20, encoding="utf-8")
    chosen = {"model": "tiny", "min_count": 1, "out": str(tmp_path / "out"), "epochs": 3}
    with pytest.raises(_Killed):
        pretrain(PretrainOptions(str(text), **chosen), kill_in_epoch_2)
    text.write_text("戊乙丙丁\n" * 20, encoding="utf-8")
    with pytest.raises(ValueError, match="data are not what they were"):
        pretrain(PretrainOptions(str(text), **chosen, resume=True))


def test_a_damaged_file_is_named(killed: TrainOptions) -> None:
    checkpoint = Path(killed.out) / "checkpoint"
    for path in sorted(checkpoint.rglob("*")):
        if path.is_dir():
            continue
        content = path.read_bytes()
        for damaged in (content[:-9], content[:50] + b"\0" + content[51:]):
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=f"{path.name} is damaged"):
                train(killed)
        path.write_bytes(content)
    train(killed)


def test_a_changed_number_is_damage(killed: TrainOptions) -> None:
    path = Path(killed.out) / "checkpoint" / "progress.json"
    text = path.read_text()
    path.write_text(text.replace('"steps": ', '"steps": 1', 1))
    assert path.read_text() != text
    with pytest.raises(CheckpointError, match=r"progress\.json is damaged"):
        train(killed)


def test_no_code_of_the_checkpoint_runs(killed: TrainOptions, tmp_path: Path) -> None:
    """Wherever a pickle is put, with checksums that fit or none at all."""

    class Malice:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "harm"),)

    checkpoint = Path(killed.out) / "checkpoint"
    assert {path.suffix for path in checkpoint.rglob("*") if path.is_file()} == {".json", ".safetensors"}
    progress = json.loads((checkpoint / "progress.json").read_text())
    progress["files"] = {}
    progress["sum"] = checksum({name: value for name, value in progress.items() if name != "sum"})
    (checkpoint / "progress.json").write_text(json.dumps(progress))
    for path in list(checkpoint.rglob("*.safetensors")):
        path.with_name("pytorch_model.bin").write_bytes(pickle.dumps(Malice(), 2))
        path.unlink()
    for name in ("custom_checkpoint_0.pkl", "scheduler.bin", "random_states_0.pkl", "optimizer.bin"):
        (checkpoint / name).write_bytes(pickle.dumps(Malice(), 2))
    with pytest.raises(CheckpointError, match="checkpoint does not fit this run"):
        train(killed)
    assert not (tmp_path / "harm").exists()


def test_a_kill_between_two_renames_leaves_a_checkpoint(killed: TrainOptions) -> None:
    out = Path(killed.out)
    (out / "checkpoint").rename(out / "checkpoint.old")
    (out / "checkpoint.new").mkdir()
    (out / ".writing-0123.tmp").write_text("half")
    assert len(train(killed).history) == 3
    assert not [path for path in out.iterdir() if path.is_dir() or path.name.startswith(".")]


def test_a_kill_while_the_checkpoint_is_deleted_leaves_none(
    killed: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any, **more: Any) -> None:
        raise _Killed

    monkeypatch.setattr("shutil.rmtree", stop)
    with pytest.raises(_Killed):
        remove_checkpoint(Path(killed.out))
    assert find_checkpoint(Path(killed.out)) is None


def test_the_second_run_into_a_directory_is_refused(options: Make) -> None:
    out = Path(options().out)
    code = (
        "import sys, time, pathlib\n"
        "from pybert_crf.training.loop.directory import reserve\n"
        f"with reserve(pathlib.Path({str(out)!r})):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(FileExistsError, match="another run is writing into"):
        train(options(overwrite=True))
    other.kill()  # its lock goes with it, its file stays
    other.wait()
    other.stdout.close()
    assert (out / ".run.lock").exists()
    train(options(epochs=1))
    assert not (out / ".run.lock").exists()


def test_a_reservation_leaves_no_empty_directory(tmp_path: Path) -> None:
    with reserve(tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="must name a directory"), reserve(tmp_path / "file"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to a process")
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_the_run(options: Make, tmp_path: Path, kind: signal.Signals) -> None:
    """Within the first epoch, with no checkpoint asked for; resumed, it has the weights of a whole run."""
    sent = []

    def send(event: object) -> None:
        if isinstance(event, Stepped) and (event.epoch, event.step) == (1, 2) and not sent:
            sent.append(event)
            os.kill(os.getpid(), kind)

    before = signal.getsignal(kind)
    with pytest.raises(KeyboardInterrupt):
        train(options(), send)
    assert signal.getsignal(kind) is before
    resumed: list[Any] = []
    result = train(options(resume=True), resumed.append)
    assert resumed[1].step == 3
    whole = read_tensors(train(options(out=str(tmp_path / "whole"))).out)
    assert all(value.equal(whole[name]) for name, value in read_tensors(result.out).items())


SIGNALLED = """
import json, os, signal, sys
from pybert_crf import TrainOptions, train
from pybert_crf.training import Stepped

def send(event):
    if isinstance(event, Stepped) and event.step == 2:
        os.kill(os.getpid(), signal.SIGTERM)

try:
    train(TrainOptions(**json.loads(sys.argv[1])), send)
except KeyboardInterrupt as interrupted:
    sys.stdout.write(f"ended by signal {interrupted.signal}\\n")  # at once: two processes share the pipe
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_a_signal_to_one_process_ends_all_after_the_same_step(options: Make, tmp_path: Path) -> None:
    """Only the first process gets it. The other would wait for it without end, or save another step."""
    script = tmp_path / "signalled.py"
    script.write_text(SIGNALLED, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += [str(script), json.dumps(options(batch_tokens=32).to_dict())]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"ended by signal {int(signal.SIGTERM)}") == 2
    checkpoint = find_checkpoint(Path(options().out))
    assert checkpoint is not None
    assert json.loads((checkpoint / "progress.json").read_text("utf-8"))["position"]["step"] == 2
    assert {path.name for path in checkpoint.glob("random-*")} == {"random-0", "random-1"}
    with pytest.raises(ValueError, match="begun by 2 processes"):
        train(options(batch_tokens=32, resume=True))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_the_command_exits_as_the_signal_says(options: Make) -> None:
    chosen = options()
    command = [sys.executable, "-m", "pybert_crf", "train", *chosen.files("train")]
    command += ["--dev", *chosen.files("dev")]
    command += ["--out", chosen.out, "--model", "tiny", "--epochs", "1000", "--patience", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while not (Path(chosen.out) / "checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    run.terminate()
    _, error = run.communicate(timeout=240)
    assert run.returncode == 128 + signal.SIGTERM
    assert "with --resume goes on from the last checkpoint" in error
    assert find_checkpoint(Path(chosen.out)) is not None
