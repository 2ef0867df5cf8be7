"""The way of the passages through the orders of a search, drawn: a column for each order, a line for each passage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ragline.retrieval.evaluation.markup import Html, el
from ragline.retrieval.explain_words import Speech
from ragline.retrieval.explained import Explanation, Traced
from ragline.retrieval.widths import cut

ROWS = 14
"""Places of an order that are drawn."""
COLOURS = 8
"""Passages with a colour of their own; the style sheet has so many."""
WIDTH = 1140
GAP, ROW, HEAD = 62, 31, 34
CHAR, CAPITAL = 6.6, 8.8
"""About the width of a letter at the size of the labels."""

ORDERS = ("dense", "words", "fused", "reranked", "recency", "relevant", "diverse", "final")
TITLES = {"words": "bm25"}


@dataclass(frozen=True, slots=True)
class Column:
    """An order: where its boxes stand, and the passages in it by place."""

    name: str
    left: float
    width: float
    places: dict[str, int]

    def middle(self, place: int) -> float:
        return HEAD + (min(place, ROWS + 1) - 0.5) * ROW


def ways(said: Explanation, say: Speech) -> Html:
    """Return the drawing; nothing for a search without passages."""
    names = [name for name in ORDERS if any(name in one.orders for one in said.passages)]
    width = (WIDTH - GAP * (len(names) - 1)) / max(1, len(names))
    columns = [
        Column(
            name,
            number * (width + GAP),
            width,
            {one.passage_id: one.orders[name].rank for one in said.passages if name in one.orders},
        )
        for number, name in enumerate(names)
    ]
    drawn = sorted(said.passages, key=importance, reverse=True)
    deepest = max((min(place, ROWS) for column in columns for place in column.places.values()), default=0)
    height = HEAD + deepest * ROW + 8
    lines = [line for one in drawn for line in lines_of(one, columns)]
    boxes = [box for column in columns for one in drawn if (box := box_of(one, column, say))]
    titles = [
        el("text", say(TITLES.get(column.name, column.name)), x=f"{column.left + 2:.0f}", y=18, class_="head")
        for column in columns
    ]
    return el(
        "svg", titles, lines, boxes, viewBox=f"0 0 {WIDTH} {height}", class_="ways", role="img", aria_label=say("way")
    )


def importance(one: Traced) -> float:
    """Return what is drawn first, below the rest: the farthest from the end."""
    return one.orders["final"].rank if "final" in one.orders else 1000 + one.orders["fused"].rank


def colour(one: Traced) -> str:
    """Return the class of what is drawn of a passage."""
    if "final" in one.orders and one.outcome == "shown":
        return f"way c{(one.orders['final'].rank - 1) % COLOURS}"
    return "way off"


def lines_of(one: Traced, columns: Sequence[Column]) -> list[Html]:
    """Return the lines between the orders in which a passage is drawn; it may be missing in one between them."""
    made: list[Html] = []
    places = [(column, column.places[one.passage_id]) for column in columns if one.passage_id in column.places]
    for (left, before), (right, after) in pairwise(places):
        if before > ROWS and after > ROWS:
            continue
        if left.name == "dense" and right.name == "words" and before > ROWS:
            continue
        x, y = left.left + left.width, left.middle(before)
        to_x, to_y = right.left, right.middle(after)
        bend = min(GAP * 0.5, (to_x - x) * 0.5)
        far = " far" if max(before, after) > ROWS else ""
        path = f"M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        made.append(el("path", d=path, class_=colour(one) + far))
    return made


def box_of(one: Traced, column: Column, say: Speech) -> Html | None:
    """Return the box of a passage in an order: its place at the end, its beginning, its score; None if far below."""
    place = column.places.get(one.passage_id)
    if place is None or place > ROWS:
        return None
    top = column.middle(place) - ROW / 2 + 2
    final = f"{one.orders['final'].rank}" if "final" in one.orders else ""
    score = figure(one, column.name, say)
    beginning = " ".join(one.text.split())
    letter = CAPITAL if beginning[:20].isupper() else CHAR
    room = int((column.width - 34 - CHAR * len(score)) / letter)
    return el(
        "g",
        el("title", f"{one.name}: {beginning}"),
        el("rect", x=f"{column.left:.1f}", y=f"{top:.1f}", width=f"{column.width:.1f}", height=ROW - 4, rx=5),
        el("text", final, x=f"{column.left + 7:.1f}", y=f"{top + 18:.1f}", class_="place"),
        el("text", cut(beginning, max(3, room)), x=f"{column.left + 23:.1f}", y=f"{top + 18:.1f}"),
        el("text", score, x=f"{column.left + column.width - 6:.1f}", y=f"{top + 18:.1f}", class_="score"),
        class_=colour(one),
    )


def figure(one: Traced, order: str, say: Speech) -> str:
    """Return the number that orders passages in this order; none where it says nothing."""
    match order:
        case "dense":
            return say.number(one.cosine, 3)
        case "words":
            return say.number(one.lexical, 1)
        case "relevant":
            return "" if one.relevance is None else say.number(one.relevance)
        case "final":
            return ""
        case _:
            return say.number(one.orders[order].score)
