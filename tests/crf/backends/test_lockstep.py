"""The GPU's algorithms in checked lanes on the host, through the tests of the compiled backend.

Only CI builds these lanes (``PYBERT_CRF_LOCKSTEP=ON``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOM = Path(__file__).parents[1]
# Every operation on every kind of problem; left out are files about one CPU matter (threads, workers, NumPy).
FILES = (
    "test_constraints.py",
    "backends/test_native.py",
    "backends/test_native_bound.py",
    "posterior/test_objectives.py",
    "posterior/test_posterior.py",
    "values/test_accuracy.py",
    "values/test_enumeration.py",
    "values/test_gradients.py",
    "values/test_hostile.py",
    "values/test_masks.py",
)
LOCKSTEP = os.environ | {"PYBERT_CRF_ISA": "lockstep"}


@pytest.fixture(scope="module", autouse=True)
def is_built() -> None:
    """Skip if the extension has no lockstep lanes."""
    pytest.importorskip("pybert_crf._native")
    asked = "from pybert_crf import _native; print(_native.instruction_set())"
    answer = subprocess.run(
        [sys.executable, "-c", asked], env=LOCKSTEP, capture_output=True, text=True, timeout=120
    )
    if answer.returncode != 0:
        assert "is not an instruction set" in answer.stderr
        pytest.skip("the extension was built without PYBERT_CRF_LOCKSTEP")
    assert answer.stdout.strip() == "lockstep"


@pytest.mark.slow
def test_the_compiled_backends_tests(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    words = ["-q", "-k", "native or Native", "-p", "no:cacheprovider", f"--junitxml={report}"]
    words += ["-c", str(ROOM.parents[1] / "pyproject.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *(str(ROOM / name) for name in FILES)],
        env=LOCKSTEP,
        capture_output=True,
        text=True,
        timeout=900,
        cwd=tmp_path,  # not where the source tree would shadow the installed package
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    suite = ElementTree.parse(report).getroot()[0].attrib
    assert int(suite["tests"]) - int(suite["skipped"]) >= 150, done.stdout[-1000:]
