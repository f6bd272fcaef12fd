"""The page ``tuning.html``: the best trial, all of them as a table, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pybert_crf.report.pictures import Dot, courses, scatter
from pybert_crf.training.tuning.outcome import DONE, Trial, Tuned, shown
from pybert_crf.training.tuning.space import Dimension
from pybert_crf.web_page import Html, bars, element, page, table

_WORDS = {
    "best": (
        "Trial {number} is the best: F1 on dev {f1:.4f}. Of {count} trials {pruned} were stopped early.",
        "第 {number} 次试验最好：开发集 F1 {f1:.4f}；共 {count} 次试验，其中 {pruned} 次提前停止。",
    ),
    "honest": (
        "It was chosen by this F1, which is therefore a little too high: judge the tagger on test.",
        "它是按这个 F1 选出的，因此略微偏高：请在测试集上评判。",
    ),
    "command": ("Train with its options:", "用它的选项训练："),
    "trials": ("Trials", "试验"),
    "history": ("F1 on dev, trial by trial", "各次试验的开发集 F1"),
    "history_note": (
        "The line is the best so far; hollow dots are trials that were stopped early.",
        "折线是到该次为止最好的；空心点是提前停止的试验。",
    ),
    "courses": ("F1 on dev, epoch by epoch", "各轮的开发集 F1"),
    "courses_note": ("A line for each trial, the best one thick.", "每次试验一条线，最好的为粗线。"),
    "options": ("Each option against F1 on dev", "各选项与开发集 F1"),
    "importance": ("Importance of the options, in %", "各选项的重要性（%）"),
    "importance_note": (
        "How much of the difference between better and worse trials goes with an option (PED-ANOVA, Watanabe "
        "et al., 2023); few trials say little.",
        "较好与较差试验之间的差别有多少与某选项有关（PED-ANOVA，Watanabe 等，2023）；试验少时说明不了什么。",
    ),
    "trial": ("trial", "试验"),
    "epoch": ("epoch", "轮"),
    "epochs": ("epochs", "轮数"),
    "state": ("state", "状态"),
    "done": ("done", "完成"),
    "pruned": ("stopped early", "提前停止"),
    "diverged": ("diverged", "发散"),
    "f1": ("F1 on dev", "开发集 F1"),
    "title": ("Tuning: {name}", "调参：{name}"),
}

_STYLE = """
.axis { fill: none; stroke: var(--line); } .dot { fill: var(--bar); }
.dot.pruned { fill: none; stroke: var(--bar); }
.dot.best { fill: var(--second); } .course { fill: none; stroke: var(--bar); stroke-opacity: .35; }
.course.best { stroke: var(--second); stroke-width: 3; stroke-opacity: 1; }
.curve { fill: none; stroke: var(--muted); }
"""


def tuning_page(tuned: Tuned, space: Sequence[Dimension], language: str) -> str:
    """The page, in a language (``"en"`` or ``"zh"``)."""

    def words(key: str, **values: Any) -> str:
        return _WORDS[key][language == "zh"].format(**values)

    title = words("title", name=Path(tuned.out).resolve().name)
    return page(title, _body(tuned, space, title, words), language, _STYLE)


def _body(tuned: Tuned, space: Sequence[Dimension], title: str, words: Any) -> Iterator[Html]:
    best, pruned = tuned.best, sum(trial.state == "pruned" for trial in tuned.trials)
    yield element("h1", title)
    told = {"number": best.number, "f1": best.f1, "count": len(tuned.trials), "pruned": pruned}
    yield element("p", element("strong", words("best", **told)))
    yield element("p", words("honest"))
    command = f"pybert-crf train --options {tuned.options} --out my-tagger"
    yield element("p", words("command"), " ", element("code", command))
    yield element("h2", words("trials"))
    names = [dimension.name.replace("_", "-") for dimension in space]
    rows = [_row(trial, space, trial is best, words) for trial in tuned.ranked()]
    yield table([words("trial"), words("f1"), words("epochs"), words("state"), *names], rows)
    yield from _pictures(tuned, space, words)


def _row(trial: Trial, space: Sequence[Dimension], best: bool, words: Any) -> list[object]:
    f1 = "–" if trial.f1 is None else f"{trial.f1:.4f}"
    values = [shown(trial.values.get(dimension.name, "–")) for dimension in space]
    cells: list[object] = [trial.number, f1, len(trial.course), words(trial.state), *values]
    return [element("strong", cell) for cell in cells] if best else cells


def _pictures(tuned: Tuned, space: Sequence[Dimension], words: Any) -> Iterator[Html]:
    measured = [trial for trial in tuned.trials if trial.f1 is not None]
    yield element("h2", words("history"))
    yield element("p", words("history_note"))
    so_far, highest = [], 0.0
    for trial in measured:
        highest = max(highest, trial.f1 or 0.0) if trial.state == DONE else highest
        so_far.append((float(trial.number), highest))
    dots = [_dot(trial, trial.number, tuned.best, words) for trial in measured]
    yield scatter(dots, words("history"), words("trial"), line=so_far)
    lines = [
        ([(epoch, f1) for epoch, f1 in enumerate(trial.course, 1)], trial.number == tuned.best.number)
        for trial in measured
    ]
    if any(len(points) > 1 for points, _ in lines):
        yield element("h2", words("courses"))
        yield element("p", words("courses_note"))
        yield courses(lines, words("courses"), words("epoch"))
    yield element("h2", words("options"))
    for dimension in space:
        name = dimension.name.replace("_", "-")
        yield element("h3", name)
        chosen = dimension.choices
        dots = [
            _dot(trial, chosen.index(value) if chosen else float(value), tuned.best, words)
            for trial in measured
            if (value := trial.values.get(dimension.name)) is not None
        ]
        axis = f"{name} (log)" if dimension.logarithmic else name
        yield scatter(
            dots, name, axis, logarithmic=dimension.logarithmic, names=[shown(each) for each in chosen]
        )
    if tuned.importance:
        yield element("h2", words("importance"))
        yield element("p", words("importance_note"))
        rows = [(name.replace("_", "-"), round(100 * part)) for name, part in tuned.importance.items()]
        yield bars(rows, words("importance"))


def _dot(trial: Trial, x: float, best: Trial, words: Any) -> Dot:
    told = ", ".join(f"{name} {shown(value)}" for name, value in trial.values.items())
    kind = "best" if trial.number == best.number else trial.state
    return Dot(x, trial.f1 or 0.0, f"{words('trial')} {trial.number}: {trial.f1:.4f} ({told})", kind)
