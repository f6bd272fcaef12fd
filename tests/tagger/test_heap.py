"""Freed memory stays with the process, until it is given back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import re, sys
from pathlib import Path
import numpy as np
from pybert_crf.taggers.heap import keep_memory, return_memory

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10

if sys.argv[1] == "keep":
    keep_memory()
before = resident()
blocks = [np.ones(2 << 20) for _ in range(10)]  # 16 MB each
held = resident()
del blocks
freed = resident()
return_memory()
print(held - before, freed - before, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
@pytest.mark.parametrize("told", ["keep", "leave"])
def test_freed_blocks_are_kept_until_they_are_given_back(told: str) -> None:
    command = [sys.executable, "-c", PROGRAM, told]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    held, freed, returned = map(int, run.stdout.split())  # MB
    assert held > 150
    assert (freed > 150) == (told == "keep")
    assert returned < 20
