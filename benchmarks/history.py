"""The history of what was measured: one line of JSON for each ratio, and the page that shows them.

    python benchmarks/history.py crf.json --commit 1a2b3c4  # appends the ratios of a benchmark's JSON
    python benchmarks/history.py                            # writes the tables of the page, and its chart

A ratio says how many times faster ours is than the contender beside it in the same run.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA = ROOT / "benchmarks" / "results" / "history.jsonl"
PAGES = {"en": ROOT / "docs" / "history.md", "zh": ROOT / "docs" / "history.zh-CN.md"}
CHART = ROOT / "docs" / "images" / "history.svg"
FOLLOWED = {  # group of a benchmark, shape, ours -> the other
    ("loss_backward, 2 threads", (16, 256, 7), "native"): "pytorch-crf",
    ("decode, 2 threads", (16, 256, 7), "native"): "pytorch-crf",
    ("forward, 2 threads", ("bert", 8, 128), "ours"): "transformers",
    ("step, 2 threads", ("bert", 8, 128), "ours"): "transformers",
}
COLOURS = ("#3949ab", "#00897b", "#e65100", "#8e24aa", "#6d4c41", "#c62828", "#546e7a")
HEADS = {
    "en": ("date", "commit", "machine", "times as fast"),
    "zh": ("日期", "提交", "机器", "快多少倍"),
}
Row = dict[str, Any]


def ratios(figures: Row) -> list[tuple[str, float]]:
    """What is followed of a benchmark's JSON: the name of each ratio, and the ratio.

    Raises ValueError if there is nothing.
    """
    medians = {(r["group"], tuple(r["shape"]), r["contender"]): r["median"] for r in figures["benchmarks"]}
    found = []
    for (group, shape, ours), other in FOLLOWED.items():
        theirs, own = (medians.get((group, shape, name)) for name in (other, ours))
        if theirs and own:
            found.append((f"{group} ({', '.join(map(str, shape))}): {ours} against {other}", theirs / own))
    if not found:
        raise ValueError("this JSON has none of the ratios that are followed")
    return found


def rows_of(figures: Row, commit: str) -> list[Row]:
    """A row of the history for each ratio."""
    machine = f"{figures['machine']['cpu']}, {figures['machine']['cores']} cores"
    head = {"date": figures["date"], "commit": commit, "machine": machine}
    return [{**head, "metric": name, "ratio": float(f"{ratio:.3g}")} for name, ratio in ratios(figures)]


def page(rows: Sequence[Row], language: str) -> str:
    """The page with its tables anew: one for each ratio, the oldest row first."""
    parts = [PAGES[language].read_text("utf-8").partition("\n## ")[0]]
    for metric in dict.fromkeys(row["metric"] for row in rows):
        lines = [f"| {' | '.join(HEADS[language])} |", "| --- | --- | --- | --- |"]
        own = sorted((row for row in rows if row["metric"] == metric), key=lambda row: row["date"])
        lines += [f"| {r['date']} | `{r['commit']}` | {r['machine']} | {r['ratio']:g} |" for r in own]
        parts.append(f"## {metric}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def chart(rows: Sequence[Row]) -> str:
    """A line for each ratio over the dates, on a logarithmic scale, as SVG."""
    dates, metrics = (list(dict.fromkeys(sorted(r[key] for r in rows))) for key in ("date", "metric"))
    top, width, height = 3, 640, 260  # the scale ends at 10**top
    x = {date: 60 + (width - 100) * i / max(1, len(dates) - 1) for i, date in enumerate(dates)}

    def y(ratio: float) -> float:
        return round(20 + height * (1 - math.log10(max(ratio, 1)) / top), 1)

    parts = [f'<text x="{x[d]:.0f}" y="{height + 40}" text-anchor="middle">{d}</text>' for d in dates]
    for power in range(top + 1):
        parts.append(f'<text x="45" y="{y(10**power) + 4}" text-anchor="end">{10**power}×</text>')
        parts.append(f'<path d="M50 {y(10**power)}H{width}" stroke="#8888" fill="none"/>')
    for i, metric in enumerate(metrics):
        own = sorted((r["date"], r["ratio"]) for r in rows if r["metric"] == metric)
        points = " ".join(f"{x[date]:.0f},{y(ratio)}" for date, ratio in own)
        colour = COLOURS[i % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x[d]:.0f}" cy="{y(ratio)}" r="3" fill="{colour}"/>' for d, ratio in own]
        parts.append(f'<text x="60" y="{height + 65 + 18 * i}" fill="{colour}">{escape(metric)}</text>')
    size = f'viewBox="0 0 {width + 20} {height + 70 + 18 * len(metrics)}"'
    style = 'font-family="sans-serif" font-size="12" fill="#777"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(parts) + "\n</svg>\n"


def read() -> list[Row]:
    """The rows of the history."""
    return [json.loads(line) for line in DATA.read_text("utf-8").splitlines()]


def main(words: Sequence[str] | None = None) -> None:
    """The command; `words` are its arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json", type=Path, nargs="*", help="what benchmarks wrote")
    parser.add_argument("--commit", help="that was measured; needed with JSON")
    given = parser.parse_args(words)
    if given.json and not given.commit:
        parser.error("--commit must name the commit that was measured")
    new = [row for each in given.json for row in rows_of(json.loads(each.read_text("utf-8")), given.commit)]
    with DATA.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in new)
    for language, path in PAGES.items():
        path.write_text(page(read(), language), encoding="utf-8")
    CHART.write_text(chart(read()), encoding="utf-8")


if __name__ == "__main__":
    main()
