"""Options of the benchmarks, and their JSON: medians, with the machine and the versions."""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

import pytest

# GCC's OpenMP, which comes with torch, reads this when torch is imported: how long a waiting thread looks for
# work before it sleeps. The default (up to 20 ms) lets the threads of a contender take a core from the next.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from machine import provenance

BEGUN = time.perf_counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of all `bench_*.py`."""
    group = parser.getgroup("benchmarks")
    group.addoption("--device", default="cpu", help="cpu or cuda")
    group.addoption("--threads", type=int, nargs="+", default=[2, 1], help="on the CPU")
    group.addoption("--quick", action="store_true", help="tiny shapes, to try the benchmarks out")
    group.addoption("--base", action="store_true", help="encoders of the sizes that were published")
    group.addoption(
        "--limit",
        type=float,
        default=float("inf"),
        help="skip cases that have not begun after so many seconds",
    )


@pytest.fixture(autouse=True)
def _in_time(request: pytest.FixtureRequest) -> None:
    limit = request.config.getoption("--limit")
    if time.perf_counter() - BEGUN > limit:
        pytest.skip(f"not begun after {limit:.0f} seconds")


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Remove what identifies the machine."""
    machine_info.clear()


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Write one row for each contender in each group, over all its turns, instead of every time."""
    turns: dict[str, list[dict[str, Any]]] = {}
    for each in output_json["benchmarks"]:
        turns.setdefault(f"{each['group']}/{each['extra_info']}", []).append(each)
    rows = [
        {
            "group": of_one[0]["group"],
            **of_one[0]["extra_info"],
            "median": statistics.median(each["stats"]["median"] for each in of_one),
            "fastest": min(each["stats"]["min"] for each in of_one),
            "calls": sum(each["stats"]["rounds"] * each["stats"]["iterations"] for each in of_one),
        }
        for of_one in turns.values()
    ]
    output_json.clear()
    output_json.update(**provenance(), benchmarks=rows)
