"""Drawings of a report, as SVG inside the page: colours come from its style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragline.retrieval.evaluation.markup import Html, el
from ragline.retrieval.evaluation.metrics import CURVE
from ragline.retrieval.evaluation.results import Figure

Say = Callable[[float], str]

WIDE = 560
LABEL = 150
VALUE = 64
LINE = 26


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar with its interval; `kind` is its colour in the style sheet."""

    label: str
    kind: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Line:
    """A line of recall@k over CURVE."""

    label: str
    kind: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a trend with its interval."""

    label: str
    figure: Figure


def bars(given: Sequence[Bar], say: Say, tick: Say, *, title: str) -> Html:
    """Draw bars from 0 to 1, one below the other; `say` writes their values, `tick` those of the axis."""
    room = WIDE - LABEL - VALUE
    bottom = LINE * len(given) + 6
    parts = [
        *(
            el("line", x1=LABEL + room * tenth / 10, x2=LABEL + room * tenth / 10, y1=2, y2=bottom, class_="grid")
            for tenth in (0, 2, 4, 6, 8, 10)
        ),
        *(
            text(LABEL + room * tenth / 10, bottom + 14, tick(tenth / 10), anchor="middle", kind="tick")
            for tenth in (0, 2, 4, 6, 8, 10)
        ),
    ]
    for number, bar in enumerate(given):
        middle = LINE * number + LINE / 2 + 2
        low, high = (LABEL + room * max(0.0, min(1.0, end)) for end in (bar.figure.low, bar.figure.high))
        length = max(0.5, room * bar.figure.mean)
        parts += [
            text(LABEL - 8, middle + 4, bar.label, anchor="end"),
            el("rect", x=LABEL, y=middle - 8, width=f"{length:.1f}", height=16, rx=2, class_=f"fill {bar.kind}"),
            whisker(low, high, middle),
            text(WIDE - 4, middle + 4, say(bar.figure.mean), anchor="end", kind="value"),
        ]
    return drawing(WIDE, bottom + 20, parts, title)


def curve(lines: Sequence[Line], say: Say, *, title: str) -> Html:
    """Draw recall@k: k at equal distances, the lowest value at the bottom."""
    tall, left, right, top, below = 220, 44, 12, 10, 26
    values = [value for line in lines for value in line.values]
    floor = max(0.0, math.floor(min(values, default=0.0) * 10) / 10)
    floor = min(floor, 0.9)

    def x(at: int) -> float:
        return left + (WIDE - left - right) * at / (len(CURVE) - 1)

    def y(value: float) -> float:
        return top + (tall - top - below) * (1 - (value - floor) / (1 - floor))

    steps = [floor + (1 - floor) * step / 5 for step in range(6)]
    parts = [
        el("line", x1=left, x2=WIDE - right, y1=f"{y(one):.1f}", y2=f"{y(one):.1f}", class_="grid") for one in steps
    ]
    parts += [text(left - 6, y(one) + 4, say(one), anchor="end", kind="tick") for one in steps]
    parts += [text(x(at), tall - 8, str(k), anchor="middle", kind="tick") for at, k in enumerate(CURVE)]
    for line in lines:
        places = [(x(at), y(value)) for at, value in enumerate(line.values)]
        path = " ".join(f"{'M' if not at else 'L'}{a:.1f} {b:.1f}" for at, (a, b) in enumerate(places))
        parts.append(el("path", d=path, class_=f"stroke {line.kind}"))
        parts += [el("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r=2.6, class_=f"fill {line.kind}") for a, b in places]
    return drawing(WIDE, tall, parts, title)


def histogram(values: Sequence[float], edges: Sequence[float], kinds: Sequence[str], say: Say, *, title: str) -> Html:
    """Draw how many values lie between edges; the last column has what lies beyond it, too. A colour a column."""
    tall, left, right, top, below = 150, 10, 10, 18, 24
    counts = [0] * (len(edges) - 1)
    for value in values:
        at = next((number for number, edge in enumerate(edges[1:]) if value < edge), len(counts) - 1)
        counts[at] += 1
    most = max([*counts, 1])
    width = (WIDE - left - right) / len(counts)
    parts = [el("line", x1=left, x2=WIDE - right, y1=tall - below, y2=tall - below, class_="axis")]
    for number, (count, kind) in enumerate(zip(counts, kinds, strict=True)):
        height = (tall - top - below) * count / most
        place = left + number * width
        if count:
            bar = {"x": f"{place + 1:.1f}", "y": f"{tall - below - height:.1f}", "width": f"{max(1.0, width - 2):.1f}"}
            parts.append(el("rect", **bar, height=f"{height:.1f}", class_=f"fill {kind}"))
        if count and (width > 22 or count == most):
            parts.append(text(place + width / 2, tall - below - height - 4, str(count), anchor="middle", kind="tick"))
    shown = range(0, len(edges), max(1, (len(edges) - 1) // 4))
    parts += [
        text(left + at * width, tall - 8, say(edges[at]), anchor=anchored(at, edges), kind="tick") for at in shown
    ]
    return drawing(WIDE, tall, parts, title)


def trend(points: Sequence[Point], say: Say, *, title: str) -> Html:
    """Draw values in the order of time, at equal distances, the last one in the colour of the report."""
    tall, left, right, top, below = 180, 48, 24, 14, 28
    low = min(point.figure.low for point in points)
    high = max(point.figure.high for point in points)
    low, high = low - (high - low) / 10, high + (high - low) / 10
    spread = max(high - low, 0.01)

    def x(at: int) -> float:
        return left + (WIDE - left - right) * (at / (len(points) - 1) if len(points) > 1 else 0.5)

    def y(value: float) -> float:
        return top + (tall - top - below) * (1 - (value - low) / spread)

    steps = [low + spread * step / 3 for step in range(4)]
    parts = [
        el("line", x1=left, x2=WIDE - right, y1=f"{y(one):.1f}", y2=f"{y(one):.1f}", class_="grid") for one in steps
    ]
    parts += [text(left - 6, y(one) + 4, say(one), anchor="end", kind="tick") for one in steps]
    places = [(x(at), y(point.figure.mean)) for at, point in enumerate(points)]
    parts += [
        el("line", x1=f"{a[0]:.1f}", y1=f"{a[1]:.1f}", x2=f"{b[0]:.1f}", y2=f"{b[1]:.1f}", class_="thin")
        for a, b in pairwise(places)
    ]
    for at, (point, (a, b)) in enumerate(zip(points, places, strict=True)):
        parts.append(
            el("line", x1=f"{a:.1f}", x2=f"{a:.1f}", y1=f"{y(point.figure.low):.1f}", y2=f"{y(point.figure.high):.1f}",
               class_="whisker")
        )  # fmt: skip
        kind = "fused" if at == len(points) - 1 else "muted"
        parts.append(el("circle", el("title", f"{point.label}: {say(point.figure.mean)}"), cx=f"{a:.1f}", cy=f"{b:.1f}",
                        r=4, class_=f"fill {kind}"))  # fmt: skip
    for at in dict.fromkeys((0, len(points) - 1)):
        anchor = "middle" if len(points) == 1 else "start" if at == 0 else "end"
        parts.append(text(x(at), tall - 8, points[at].label, anchor=anchor, kind="tick"))
    return drawing(WIDE, tall, parts, title)


def whisker(low: float, high: float, y: float) -> Html:
    path = f"M{low:.1f} {y:.1f}H{high:.1f}M{low:.1f} {y - 4:.1f}v8M{high:.1f} {y - 4:.1f}v8"
    return el("path", d=path, class_="whisker")


def anchored(at: int, edges: Sequence[float]) -> str:
    return "start" if at == 0 else "end" if at == len(edges) - 1 else "middle"


def text(x: float, y: float, said: str, *, anchor: str = "start", kind: str = "label") -> Html:
    return el("text", said, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=kind)


def drawing(width: float, height: float, parts: Sequence[Html], title: str) -> Html:
    return el("svg", el("title", title), parts, viewBox=f"0 0 {width:g} {height:g}", role="img", class_="plot")
