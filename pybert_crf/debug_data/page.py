"""An examination as one HTML page that needs nothing else: tables, findings, and pictures in SVG."""

from __future__ import annotations

from collections import Counter

from pybert_crf.debug_data.examination import Examination
from pybert_crf.web_page import BARS, Html, bars, element, length_classes, page, table


def html_page(examination: Examination) -> str:
    """The page."""
    title = " · ".join(part.name for part in examination.parts)
    body = [
        element("h1", title),
        _findings(examination),
        element("h2", "Sizes"),
        _sizes(examination),
    ]
    for part in examination.parts:
        body.append(element("h2", part.name))
        body += [element("p", element("small", note)) for note in part.notes]
        kind = f"{part.unit}s"
        body.append(element("h3", f"Sentences by their number of {kind}"))
        body.append(bars(length_classes(part.lengths), f"sentences by {kind}"))
        if labels := Counter(part.sizes.entities).most_common(BARS):
            body += [element("h3", "Entities by type"), bars(labels, "entities by type")]
    return page(title, body)


def _findings(examination: Examination) -> Html:
    if not examination.findings:
        return element("p", "Nothing was found.")
    items = (
        element("li", element("b", f.level, class_=f.level), f" {f.part}: {f.text}", class_=f.level)
        for f in examination.findings
    )
    return element("ul", *items)


def _sizes(examination: Examination) -> Html:
    parts = examination.parts
    rows = [["scheme", *(part.scheme for part in parts)], ["unit", *(part.unit for part in parts)]]
    rows += [
        [name, *(f"{getattr(part.sizes, name):,}" for part in parts)]
        for name in ("sentences", "tokens", "longest")
    ]
    rows += [
        [f"entities {kind}", *(f"{part.sizes.entities.get(kind, 0):,}" for part in parts)]
        for kind in sorted({kind for part in parts for kind in part.sizes.entities})
    ]
    return table(["", *(part.name for part in parts)], rows)
