"""The commands of docs/several-machines.md run: of one machine, of two at once, and a script for Slurm."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from pages import blocks
from processes import free_port

from pybert_crf import Tagger
from pybert_crf.demo.grammar import make_corpus

PAGE = "docs/several-machines.md"

pytestmark = pytest.mark.long


def lines() -> list[str]:
    """The commands of the page, on this machine, small and quick."""
    found = [line for block in blocks(PAGE, "sh") for line in block.replace("\\\n", "").splitlines()]
    return [f"{line} --model tiny --epochs 1" for line in found]


def begin(command: str, folder: Path) -> subprocess.Popen[str]:
    scripts = f"{folder}{os.pathsep}{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    slurm = {"SLURM_JOB_NODELIST": "here", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_ID": "7"}
    environment = os.environ | slurm | {"OMP_NUM_THREADS": "1", "PATH": scripts}
    return subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def check(runs: list[subprocess.Popen[str]], out: Path) -> None:
    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert run.returncode == 0, output
    assert "O" in Tagger.from_pretrained(out).labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with train.txt and dev.txt."""
    make_corpus(sizes=(60, 20, 20)).write(tmp_path)
    return tmp_path


@pytest.mark.parametrize("number", [0, 1])
def test_one_machine(folder: Path, number: int) -> None:
    command = lines()[number]
    check([begin(command, folder)], folder / re.findall(r"--out (\S+)", command)[0])


def test_two_machines(folder: Path) -> None:
    port = str(free_port())
    pair = [line.replace("HOST", "127.0.0.1").replace("29500", port) for line in lines()[2:]]
    assert len(pair) == 2
    check([begin(line, folder) for line in pair], folder / "entities-3")


def test_the_script_for_slurm(folder: Path) -> None:
    """With programs that stand for Slurm's: one node, on which srun runs its command once."""
    for name, body in (("scontrol", "echo 127.0.0.1"), ("srun", '"$@"')):
        (folder / name).write_text(f"#!/bin/bash\n{body}\n", "utf-8")
        (folder / name).chmod(0o755)
    (script,) = blocks(PAGE, "bash")
    script = script.replace("--nproc_per_node=4", "--nproc_per_node=2").replace("29500", str(free_port()))
    check([begin(f"{script.rstrip()} --model tiny --epochs 1", folder)], folder / "entities")
