"""The report of a run or an evaluation as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pybert_crf.report.analysis import Analysis
from pybert_crf.report.parts import chapters
from pybert_crf.report.pictures import curve
from pybert_crf.report.transitions import Transitions
from pybert_crf.report.words import Words
from pybert_crf.text.corpora.corpus import Statistics
from pybert_crf.web_page import Html, element, page, table

TAGS = 60
"""Tags of the table of transitions at the most."""

_POINTS = 300  # of the curve of a learning rate, at the most
_STYLE = """
.curve { fill: none; stroke: var(--bar); stroke-width: 2; }
.axis { fill: none; stroke: var(--line); } .diagonal { stroke: var(--line); stroke-dasharray: 4; }
.dot { fill: var(--bar); } .best { fill: var(--second); }
.heat td { padding: .15rem; } .heat th { padding: .2rem .4rem; font-weight: normal; }
.cell { display: block; padding: .1rem .4rem; background: rgb(var(--cell) / var(--share)); }
.confusion .wrong { background: rgb(192 57 43 / var(--share)); }
.negative { background: rgb(192 57 43 / var(--share)); }
.lead { display: inline-block; min-width: 5em; color: var(--muted); font-size: smaller; }
.text { margin: 1rem 0; padding-left: .8rem; border-left: 3px solid var(--line); }
bdi { unicode-bidi: isolate; white-space: pre-wrap; }
mark { color: inherit; background: var(--good); border: 1px solid var(--good-line); border-radius: .25rem;
  padding: 0 .2rem; } mark.wrong { background: var(--bad); border: 1px dashed var(--error); }
table.options td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
code { overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Run:
    """What is told of a run besides its parts.

    Attributes:
        name: of the tagger.
        sizes: of each part of the data, by name.
        content: the hash of the examples, by which a resumed run knows them.
        messages: what was found out about files and checkpoint and taken for granted, a line each.
        options: all options by name, and those of them that differ from their defaults.
        epoch, ended: the epoch that is kept, and why the run ended.
        history: a row with ``epoch``, ``loss``, ``dev_f1`` and ``dev_f1_by_type`` for each epoch.
        seconds: of all training steps.
        parameters, device: number of trained weights, and where they are.
        rates: for ``rate`` and ``head_rate``, the learning rate of each step.
    """

    name: str
    sizes: Mapping[str, Statistics]
    content: str
    messages: Sequence[str]
    options: Mapping[str, Any]
    changed: Mapping[str, Any]
    epoch: int
    ended: str
    history: Sequence[Mapping[str, Any]]
    seconds: float
    parameters: int
    device: str
    rates: Mapping[str, Sequence[float]]


def training_page(
    run: Run, parts: Mapping[str, Analysis], transitions: Transitions | None, language: str
) -> str:
    """The report of a run: settings, data and curves, and what the saved tagger does on each part."""
    words = Words(language)
    body = [element("h1", run.name), *_course(run, parts, words), *_curves(run, words)]
    body += [*_data(run, words), *_settings(run, words), *_transitions(transitions, words)]
    return page(run.name, [*body, *_parts(parts, words)], language, _STYLE)


def evaluation_page(
    file: str,
    messages: Sequence[str],
    analysis: Analysis,
    transitions: Transitions | None,
    language: str,
) -> str:
    """The report of an evaluation on `file`."""
    words = Words(language)
    title = words("files_of", file=file)
    body = [element("h1", title), *_messages(messages, words), *chapters(analysis, words)]
    return page(title, [*body, *_transitions(transitions, words)], language, _STYLE)


def _parts(parts: Mapping[str, Analysis], words: Words) -> Iterator[Html]:
    for name, analysis in parts.items():
        yield element("h2", words.name(name))
        yield from chapters(analysis, words)


def _course(run: Run, parts: Mapping[str, Analysis], words: Words) -> Iterator[Html]:
    reached = (f"{words.name(name)} {analysis.report.f1:.4f}" for name, analysis in parts.items())
    yield element("p", element("strong", f"F1: {' · '.join(reached)}"))
    yield element("p", words("kept", epoch=run.epoch, ended=run.ended))
    told = {"parameters": run.parameters, "device": run.device, "seconds": run.seconds}
    yield element("p", words("model", **told))


def _curves(run: Run, words: Words) -> Iterator[Html]:
    yield element("h2", words("curves"))
    for key in ("loss", "dev_f1"):
        points = [(row["epoch"], row[key]) for row in run.history]
        yield element("h3", words(key))
        yield curve(points, words(key), words("epoch"), run.epoch if key == "dev_f1" else None)
    yield from _type_curves(run, words)
    for key, rates in run.rates.items():
        every = -(-len(rates) // _POINTS)
        shown = [(step, rate) for step, rate in enumerate(rates, 1) if (step - 1) % every == 0]
        yield element("h3", words(key))
        yield curve(shown, words(key), words("step"))


def _type_curves(run: Run, words: Words) -> Iterator[Html]:
    """The F1 of each type on dev over the epochs, if there are several; folded, since there may be many."""
    by_epoch = [(row["epoch"], row["dev_f1_by_type"]) for row in run.history if "dev_f1_by_type" in row]
    kinds = sorted({kind for _, types in by_epoch for kind in types})
    if len(kinds) < 2:
        return
    drawn: list[Html] = []
    for kind in kinds:
        points = [(epoch, types.get(kind, 0.0)) for epoch, types in by_epoch]
        drawn += [element("h4", kind), curve(points, f"F1, {kind}", words("epoch"), run.epoch)]
    yield element("details", element("summary", words("dev_f1_by_type")), *drawn)


def _data(run: Run, words: Words) -> Iterator[Html]:
    yield element("h2", words("files"))
    names = ["sentences", "units", "longest", "entities"]
    kinds = sorted({kind for size in run.sizes.values() for kind in size.entities})
    rows = []
    for part, size in run.sizes.items():
        counts = [size.sentences, size.tokens, size.longest, sum(size.entities.values())]
        counts += [size.entities.get(kind, 0) for kind in kinds]
        rows.append([words.name(part), *(f"{count:,}" for count in counts)])
    yield table([words("part"), *map(words, names), *kinds], rows, class_="sizes")
    yield element("p", words("hash"), element("code", run.content))
    yield from _messages(run.messages, words)


def _messages(messages: Sequence[str], words: Words) -> Iterator[Html]:
    if messages:
        yield element("h2", words("messages"))
        yield element("ul", *(element("li", message) for message in messages))


def _settings(run: Run, words: Words) -> Iterator[Html]:
    yield element("h2", words("settings"))
    if run.changed:
        yield element("p", words("changed"))
        yield _options(run.changed)
    else:
        yield element("p", words("none_changed"))
    yield element("details", element("summary", words("all")), _options(run.options))


def _options(options: Mapping[str, Any]) -> Html:
    def told(value: Any) -> str:
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

    rows = [(element("code", name), told(value)) for name, value in options.items()]
    return table([], rows, class_="options")


def _transitions(transitions: Transitions | None, words: Words) -> Iterator[Html]:
    if transitions is None:
        return
    yield element("h2", words("transitions"))
    labels = transitions.labels
    if len(labels) > TAGS:
        yield element("p", words("too_many", count=len(labels)))
        return
    yield element("p", words("transitions_note"))
    rows = [(words("start"), [*transitions.start, None])]
    ends = zip(labels, transitions.table, transitions.end, strict=True)
    rows += [(label, [*row, end]) for label, row, end in ends]
    finite = [abs(score) for _, row in rows for score in row if score is not None]
    most = max(finite, default=1.0) or 1.0
    cells = [[label, *(_score(score, most) for score in row)] for label, row in rows]
    yield table(["", *labels, words("end")], cells, class_="heat transitions")


def _score(score: float | None, most: float) -> Html:
    if score is None:
        return element("span", "×", class_="cell illegal", style="--share: 0")
    name = "cell negative" if score < 0 else "cell"
    shown = f"{score:.2f}".replace("-0.00", "0.00")
    return element("span", shown, class_=name, style=f"--share: {0.75 * abs(score) / most:.2f}")
