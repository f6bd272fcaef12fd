"""An examination as one HTML page that needs nothing else: tables, findings, and pictures in SVG."""

from __future__ import annotations

from collections import Counter
from html import escape

from pybert_crf.debug_data.examination import Examination
from pybert_crf.debug_data.part import Part

_STYLE = """<style>
:root { color-scheme: light dark; --bar: #3b76b0; --line: #8885; --error: #c0392b; --warning: #b7791f; }
@media (prefers-color-scheme: dark) { :root { --bar: #6fa8dc; --error: #ff7b6b; --warning: #e8b14f; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
li.error::marker, b.error { color: var(--error); } li.warning::marker, b.warning { color: var(--warning); }
li { overflow-wrap: anywhere; }
svg { width: 100%; height: auto; max-width: 40rem; } rect { fill: var(--bar); }
text { fill: currentColor; font: 12px system-ui, sans-serif; }
small { color: GrayText; }
</style>"""
_BARS = 24  # bars of a picture at the most


def html_page(examination: Examination) -> str:
    """The page."""
    title = " · ".join(part.name for part in examination.parts)
    body = [f"<h1>{escape(title)}</h1>", _findings(examination), "<h2>Sizes</h2>", _sizes(examination)]
    for part in examination.parts:
        body += [f"<h2>{escape(part.name)}</h2>", *(f"<p><small>{escape(n)}</small></p>" for n in part.notes)]
        kind = f"{part.unit}s"
        lengths = _lengths(part)
        body += [f"<h3>Sentences by their number of {kind}</h3>", _bars(lengths, f"sentences by {kind}")]
        labels = [(name, count) for name, count in Counter(part.sizes.entities).most_common(_BARS)]
        if labels:
            body += ["<h3>Entities by type</h3>", _bars(labels, "entities by type")]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{_STYLE}'
    parts = ["<!doctype html>", f"<html><head>{head}<title>{escape(title)}</title></head><body>", *body]
    return "\n".join([*parts, "</body></html>", ""])


def _findings(examination: Examination) -> str:
    if not examination.findings:
        return "<p>Nothing was found.</p>"
    items = (
        f'<li class="{f.level}"><b class="{f.level}">{f.level}</b> {escape(f.part)}: {escape(f.text)}</li>'
        for f in examination.findings
    )
    return f"<ul>{''.join(items)}</ul>"


def _sizes(examination: Examination) -> str:
    names = ["", *(escape(part.name) for part in examination.parts)]
    rows = [
        ["scheme", *(part.scheme for part in examination.parts)],
        ["unit", *(part.unit for part in examination.parts)],
    ]
    rows += [
        [name, *(f"{getattr(part.sizes, name):,}" for part in examination.parts)]
        for name in ("sentences", "tokens", "longest")
    ]
    kinds = sorted({kind for part in examination.parts for kind in part.sizes.entities})
    for kind in kinds:
        counts = (f"{part.sizes.entities.get(kind, 0):,}" for part in examination.parts)
        rows.append([f"entities {escape(kind)}", *counts])
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _lengths(part: Part) -> list[tuple[str, int]]:
    """Sentences in classes of length of equal width, the last of which holds all longer ones."""
    total, passed = part.lengths.total(), 0
    bound = max(part.lengths, default=1)
    for length in sorted(
        part.lengths
    ):  # 99 % of the sentences, so that one long one does not flatten the rest
        passed += part.lengths[length]
        if passed >= 0.99 * total:
            bound = length
            break
    width = -(-bound // (_BARS - 1)) or 1
    classes: Counter[int] = Counter()
    for length, count in part.lengths.items():
        classes[min(length // width, bound // width + 1)] += count
    last = bound // width + 1
    shown = {i: f"{i * width}" if width == 1 else f"{i * width}–{(i + 1) * width - 1}" for i in range(last)}
    shown[last] = f"{last * width} and more"
    return [
        (shown[i], classes[i]) for i in range(min(classes, default=0), last + 1) if i < last or classes[i]
    ]


def _bars(rows: list[tuple[str, int]], what: str) -> str:
    """Horizontal bars with their names and counts."""
    most = max((count for _, count in rows), default=1) or 1
    height = 18 * len(rows)
    bars = []
    for i, (name, count) in enumerate(rows):
        y = 18 * i
        shown = escape(name if len(name) <= 18 else f"{name[:17]}…")
        bars.append(
            f'<text x="128" y="{y + 13}" text-anchor="end">{shown}</text>'
            f'<rect x="134" y="{y + 2}" width="{360 * count / most:.1f}" height="14"/>'
            f'<text x="{140 + 360 * count / most:.1f}" y="{y + 13}">{count:,}</text>'
        )
    return f'<svg viewBox="0 0 580 {height}" role="img" aria-label="{escape(what)}">{"".join(bars)}</svg>'
