"""The inputs from which fuzzing begins are treated rightly; fuzzing itself is ``run.sh``."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import TARGETS, load

KEPT = Path(__file__).parent / "kept"


@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, for odd tensors
@pytest.mark.parametrize("target", TARGETS)
def test_kept_inputs(target: str) -> None:
    check = load(target).check
    inputs = sorted((KEPT / target).iterdir())
    assert {name for name, _ in load(target).seeds()} <= {path.name for path in inputs}
    for path in inputs:
        check(path.read_bytes())


def test_a_fault_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the targets check is not always true."""

    def broken(*arguments: object) -> None:
        raise KeyError("vocab_size")

    target = load("config")
    monkeypatch.setattr(target, "config_from_json", broken)
    with pytest.raises(KeyError):
        target.check(b"{}")


def test_the_kept_inputs_are_small() -> None:
    assert sum(path.stat().st_size for path in KEPT.rglob("*") if path.is_file()) < 300_000
