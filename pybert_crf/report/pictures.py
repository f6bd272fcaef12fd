"""Pictures in SVG: curves over epochs, and a reliability diagram."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    drawn.append(element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in scaled), class_="curve"))
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


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _frame() -> Html:
    return element("path", d=f"M{_LEFT} {_TOP}v{_HEIGHT}h{_WIDTH}", class_="axis")


def _labels(low: float, high: float, first: float, last: float, axis: str) -> list[Html]:
    bottom = _TOP + _HEIGHT
    ends = [(f"{high:.3g}", _TOP + 10), (f"{low:.3g}", bottom)] if high > low else [(f"{low:.3g}", bottom)]
    shown = [element("text", told, x=_LEFT - 6, y=y, text_anchor="end") for told, y in ends]
    shown.append(element("text", f"{first:g}", x=_LEFT, y=bottom + 16))
    if last > first:
        shown.append(element("text", f"{last:g}", x=_LEFT + _WIDTH, y=bottom + 16, text_anchor="end"))
    middle = _LEFT + _WIDTH // 2
    return [*shown, element("text", axis, x=middle, y=bottom + 16, text_anchor="middle")]


def _svg(drawn: Sequence[Html], what: str) -> Html:
    size = f"0 0 {_LEFT + _WIDTH + 12} {_TOP + _HEIGHT + 22}"
    return element("svg", *drawn, viewBox=size, role="img", aria_label=what)
