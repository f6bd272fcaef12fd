"""Pictures in SVG: curves over epochs, a reliability diagram, and dots."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pybert_crf.report.calibration import Bin
from pybert_crf.web_page import Html, element

Point = tuple[float, float]

_LEFT, _TOP, _WIDTH, _HEIGHT = 56, 10, 500, 180  # of the area within the axes


def curve(points: Sequence[Point], what: str, axis: str, marked: float | None = None) -> Html:
    """A line through points in order of x, each with its figures as a tooltip; `marked` is the x of the best.

    The axis of y begins at 0, or below if there are negative values.
    """
    low, high = min(0.0, *(y for _, y in points)), max(y for _, y in points)
    first, last = points[0][0], points[-1][0]
    scaled = [
        (_LEFT + _share(x, first, last) * _WIDTH, _TOP + (1 - _share(y, low, high)) * _HEIGHT)
        for x, y in points
    ]
    drawn = [_frame(), *_labels(low, high, first, last, axis)]
    drawn.append(_polyline(scaled, "curve"))
    if len(points) <= 200:
        for (x, y), (at, value) in zip(scaled, points, strict=True):
            name = "dot best" if at == marked else "dot"
            tip = element("title", f"{axis} {at:g}: {value:.4g}")
            drawn.append(
                element("circle", tip, cx=f"{x:.1f}", cy=f"{y:.1f}", r=6 if at == marked else 3, class_=name)
            )
    return _svg(drawn, what)


def reliability(bins: Iterable[Bin], what: str, across: str, up: str) -> Html:
    """Shares of right entities over their mean scores, with the diagonal on which they would be equal."""
    drawn = [_frame(), *_labels(0, 1, 0, 1, across)]
    drawn.append(element("line", x1=_LEFT, y1=_TOP + _HEIGHT, x2=_LEFT + _WIDTH, y2=_TOP, class_="diagonal"))
    most = max((each.size for each in bins), default=1)
    for each in bins:
        tip = element("title", f"{across} {each.mean:.3f}, {up} {each.share:.3f} ({each.size:,})")
        drawn.append(
            element(
                "circle",
                tip,
                cx=f"{_LEFT + each.mean * _WIDTH:.1f}",
                cy=f"{_TOP + (1 - each.share) * _HEIGHT:.1f}",
                r=f"{3 + 7 * (each.size / most) ** 0.5:.1f}",
                class_="dot",
            )
        )
    return _svg(drawn, what)


class Dot(NamedTuple):
    """A point of a picture, what it tells when pointed at, and its kind, a class of the page's style."""

    x: float
    y: float
    tip: str
    kind: str = ""


def scatter(
    dots: Sequence[Dot],
    what: str,
    axis: str,
    *,
    logarithmic: bool = False,
    names: Sequence[str] = (),
    line: Sequence[Point] = (),
) -> Html:
    """Dots, and a line through other points behind them; the axis of y has their range.

    Args:
        logarithmic: whether the axis of x is.
        names: of x = 0, 1, …, instead of numbers.
    """
    heights = [dot.y for dot in dots] + [y for _, y in line]
    low, high = min(heights), max(heights)
    first, last = (-0.5, len(names) - 0.5) if names else (min(d.x for d in dots), max(d.x for d in dots))

    def place(x: float, y: float) -> Point:
        ends = map(math.log, (x, first, last)) if logarithmic else (x, first, last)
        return _LEFT + _share(*ends) * _WIDTH, _TOP + (1 - _share(y, low, high)) * _HEIGHT

    drawn = [_frame(), *_heights(low, high)]
    if names:
        bottom = _TOP + _HEIGHT + 16
        drawn += [
            element("text", name, x=f"{place(i, low)[0]:.1f}", y=bottom, text_anchor="middle")
            for i, name in enumerate(names)
        ]
    else:
        drawn += _widths(first, last, axis)
    if line:
        drawn.append(_polyline([place(*point) for point in line], "curve"))
    for dot in dots:
        x, y = place(dot.x, dot.y)
        tip = element("title", dot.tip)
        size = 6 if dot.kind == "best" else 4
        drawn.append(
            element("circle", tip, cx=f"{x:.1f}", cy=f"{y:.1f}", r=size, class_=f"dot {dot.kind}".strip())
        )
    return _svg(drawn, what)


def courses(lines: Sequence[tuple[Sequence[Point], bool]], what: str, axis: str) -> Html:
    """Several lines, each with whether it is the best, which is drawn last; the axis of y has their range."""
    points = [point for line, _ in lines for point in line]
    low, high = min(y for _, y in points), max(y for _, y in points)
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    drawn = [_frame(), *_heights(low, high), *_widths(first, last, axis)]
    for line, best in sorted(lines, key=lambda each: each[1]):
        placed = [
            (_LEFT + _share(x, first, last) * _WIDTH, _TOP + (1 - _share(y, low, high)) * _HEIGHT)
            for x, y in line
        ]
        name = "course best" if best else "course"
        if len(placed) == 1:  # stopped after one epoch
            (x, y), radius = placed[0], 4 if best else 3
            drawn.append(element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=radius, class_=name))
        else:
            drawn.append(_polyline(placed, name))
    return _svg(drawn, what)


def _polyline(points: Sequence[Point], name: str) -> Html:
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=name)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _frame() -> Html:
    return element("path", d=f"M{_LEFT} {_TOP}v{_HEIGHT}h{_WIDTH}", class_="axis")


def _labels(low: float, high: float, first: float, last: float, axis: str) -> list[Html]:
    return [*_heights(low, high), *_widths(first, last, axis)]


def _heights(low: float, high: float) -> list[Html]:
    bottom = _TOP + _HEIGHT
    ends = [(f"{high:.3g}", _TOP + 10), (f"{low:.3g}", bottom)] if high > low else [(f"{low:.3g}", bottom)]
    return [element("text", told, x=_LEFT - 6, y=y, text_anchor="end") for told, y in ends]


def _widths(first: float, last: float, axis: str) -> list[Html]:
    y = _TOP + _HEIGHT + 16
    shown = [element("text", _number(first), x=_LEFT, y=y)]
    if last > first:
        shown.append(element("text", _number(last), x=_LEFT + _WIDTH, y=y, text_anchor="end"))
    return [*shown, element("text", axis, x=_LEFT + _WIDTH // 2, y=y, text_anchor="middle")]


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _svg(drawn: Sequence[Html], what: str) -> Html:
    size = f"0 0 {_LEFT + _WIDTH + 12} {_TOP + _HEIGHT + 22}"
    return element("svg", *drawn, viewBox=size, role="img", aria_label=what)
