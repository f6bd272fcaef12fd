"""The comparison of two commits: what counts as a difference and as a loss, and the calls that it times."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks" / "commits"))

import compare

import pybert_crf
from pybert_crf import backends


def test_a_loss_beyond_the_bound_fails(capsys: pytest.CaptureFixture[str]) -> None:
    fine = compare.Row("viterbi", 1000, 1010, 1.01)
    lost = compare.Row("k_best", 1000, 1011, 1.01)
    assert not fine.lost
    assert lost.lost
    assert compare.report([fine]) == 0
    assert compare.report([fine, lost]) == 1
    printed = capsys.readouterr().out
    assert "LOST: more than 1.01 times" in printed
    assert "1 of 2 figures are beyond their bounds" in printed


def test_results_differ_by_more_than_rounding() -> None:
    nan, inf = float("nan"), float("inf")
    same = array("d", [1.0, nan, -inf, 0.0])
    assert not compare.differ(same, array("d", [1.0 + 1e-7, nan, -inf, 1e-9]))
    for other in ([1.001, nan, -inf, 0.0], [1.0, 0.0, -inf, 0.0], [1.0, nan, inf, 0.0], [1.0, nan, -inf]):
        assert compare.differ(same, array("d", other))


@pytest.mark.slow
def test_the_calls_of_a_tree_are_run_and_timed() -> None:
    if not backends()["native"].usable:
        pytest.skip("the compiled extension is not built")
    tree = Path(pybert_crf.__file__).parents[1]
    first, second = (compare.measured(tree) for _ in range(2))
    assert len(first) == 3
    for name, call in first.items():
        assert len(call["results"]) > 100
        assert not compare.differ(call["results"], second[name]["results"])
        assert call["seconds"] > 0
