"""The history of the measurements: the page is what the data say, and a benchmark's JSON gives its rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import history

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_made_of_the_data(language: str) -> None:
    assert history.PAGES[language].read_text("utf-8") == history.page(history.read(), language)


def test_the_chart_is_made_of_the_data() -> None:
    written = history.CHART.read_text("utf-8")
    assert written == history.chart(history.read())
    names = [element.tag.rpartition("}")[2] for element in ElementTree.fromstring(written)]
    assert names.count("circle") == len(history.read())
    assert names.count("polyline") == len({row["metric"] for row in history.read()})


def test_the_newest_results_are_in_the_history() -> None:
    """A result that is committed is entered too."""
    kept = {(row["date"], row["metric"], row["ratio"]) for row in history.read()}
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        figures = json.loads(path.read_text("utf-8"))
        try:
            found = history.ratios(figures)
        except (KeyError, ValueError):  # of another benchmark
            continue
        assert {(figures["date"], name, float(f"{ratio:.3g}")) for name, ratio in found} <= kept, path.name


def measured(ours: float, theirs: float) -> dict[str, Any]:
    rows = [
        {"group": "decode, 2 threads", "shape": [16, 256, 7], "contender": name, "median": median}
        for name, median in (("native", ours), ("pytorch-crf", theirs))
    ]
    return {"date": "2027-01-02", "machine": {"cpu": "X", "cores": 2}, "benchmarks": rows}


def test_a_benchmark_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "DATA", tmp_path / "history.jsonl")
    monkeypatch.setattr(history, "PAGES", {"en": tmp_path / "history.md"})
    (tmp_path / "history.md").write_text("# What is said above\n\n## an old table\n", "utf-8")
    monkeypatch.setattr(history, "CHART", tmp_path / "history.svg")
    result = tmp_path / "crf.json"
    for ours in (0.5, 0.25):
        result.write_text(json.dumps(measured(ours, 50.0)), "utf-8")
        history.main([str(result), "--commit", "abc1234"])
    rows = history.read()
    assert [row["ratio"] for row in rows] == [100.0, 200.0]
    assert set(rows[0]) == {"date", "commit", "machine", "metric", "ratio"}
    written = (tmp_path / "history.md").read_text("utf-8")
    assert written.startswith("# What is said above\n\n## decode")
    assert "old" not in written
    assert "| 2027-01-02 | `abc1234` | X, 2 cores | 200 |" in written


def test_what_cannot_be_entered_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of the ratios"):
        history.ratios({"benchmarks": []})
    with pytest.raises(SystemExit):
        history.main([str(tmp_path / "crf.json")])
