"""The chapters of a report about one part of the data: figures, errors, calibration, sentences, lengths."""

from __future__ import annotations

from collections.abc import Iterator

from pybert_crf.report.analysis import Analysis
from pybert_crf.report.calibration import calibration_error
from pybert_crf.report.confusion import KINDS
from pybert_crf.report.pictures import reliability
from pybert_crf.report.sentences import sentence
from pybert_crf.report.words import Words
from pybert_crf.text.tagging.metrics import Report
from pybert_crf.text.tagging.schemes import PLAIN
from pybert_crf.web_page import Html, bars, element, length_classes, table

TYPES = 20
"""Types in the table of confusion at the most."""


def chapters(analysis: Analysis, words: Words) -> Iterator[Html]:
    """The chapters, each with its heading."""
    yield element("h3", words("figures"))
    yield figures(analysis.report, words)
    if (unseen := analysis.report.unseen) is not None:
        recall = analysis.report.unseen_recall
        yield element("p", words("unseen", count=unseen[0], recall=recall))
    yield element("h3", words("errors"))
    kinds = analysis.confusion.kinds
    rows = [(words(f"k_{kind}"), f"{kinds[kind]:,}") for kind in KINDS]
    yield table([words("kind"), words("count")], rows, id="kinds")
    yield from _confusion(analysis, words)
    yield from _calibration(analysis, words)
    yield from _sentences(analysis, words)
    yield element("h3", words("lengths"))
    yield bars(length_classes(analysis.lengths, words("more")), words("lengths"))
    several = sum(count for windows, count in analysis.windows.items() if windows > 1)
    yield element("p", words("windows", count=several, most=max(analysis.windows, default=0)))


def figures(report: Report, words: Words) -> Html:
    """The table of figures by type, under conlleval's reading, with the strict F1."""
    plain = report.scheme == PLAIN
    names = ["tag" if plain else "type", "precision", "recall", "F1", "strict_f1"]
    strict = dict(report.strict.rows())
    rows = []
    for name, row in report.conlleval.rows():
        shown = name if name in report.conlleval.types else words(_average(name, report))
        other = f"{strict[name].f1:.4f}" if name in strict else "–"
        measured = [f"{value:.4f}" for value in (row.precision, row.recall, row.f1)]
        counts = [f"{value:,}" for value in (row.support, row.predicted, row.correct)]
        rows.append([shown, *measured, other, *counts])
    names += ["support", "predicted", "correct"]
    return table(["F1" if name == "F1" else words(name) for name in names], rows, class_="figures")


def _average(name: str, report: Report) -> str:
    return report.average_name if name == "micro" else name


def _confusion(analysis: Analysis, words: Words) -> Iterator[Html]:
    cells = analysis.confusion.cells
    known = analysis.confusion.types()
    types: list[str | None] = [*known[:TYPES]]
    most = max(cells.values(), default=1)

    def cell(gold: str | None, predicted: str | None) -> Html | str:
        count = cells[gold, predicted]
        if gold is None and predicted is None:
            return ""
        name = "right" if gold == predicted else "wrong"
        share = 0.0 if count == 0 else 0.1 + 0.6 * count / most
        return element("span", f"{count:,}", class_=f"cell {name}", style=f"--share: {share:.2f}")

    rows = [
        [gold if gold is not None else words("spurious"), *(cell(gold, each) for each in [*types, None])]
        for gold in [*types, None]
    ]
    yield element("h3", words("confusion"))
    yield element("p", words("confusion_note"))
    yield table(["", *known[:TYPES], words("missed")], rows, class_="heat confusion")
    if len(known) > TYPES:
        yield element("p", words("left_out", shown=TYPES, count=len(known)))


def _calibration(analysis: Analysis, words: Words) -> Iterator[Html]:
    yield element("h3", words("calibration"))
    error = calibration_error(analysis.bins)
    if error is None:
        yield element("p", words("no_entities"))
        return
    count = sum(each.size for each in analysis.bins)
    yield element("p", words("ece", count=count, error=error))
    before = calibration_error(analysis.uncalibrated or [])
    if before is not None:
        yield element("p", words("uncalibrated", error=before))
    yield element("p", element("small", words("reliability_note")))
    yield reliability(analysis.bins, words("reliability"), words("mean"), words("share"))
    rows = [
        (f"{each.low:.1f}–{each.high:.1f}", f"{each.size:,}", f"{each.mean:.4f}", f"{each.share:.4f}")
        for each in analysis.bins
    ]
    yield table([words("score"), words("count"), words("mean"), words("share")], rows, class_="calibration")


def _sentences(analysis: Analysis, words: Words) -> Iterator[Html]:
    yield element("h3", words("worst"))
    if analysis.wrong:
        yield element("p", words("worst_note", shown=len(analysis.wrong), count=analysis.wrong_in_all))
        yield from (sentence(each, words) for each in analysis.wrong)
    else:
        yield element("p", words("no_errors"))
    if analysis.uncertain:
        yield element("h3", words("uncertain"))
        yield from (sentence(each, words) for each in analysis.uncertain)
