"""Charts and diagrams in documents of Office: their titles, their figures as a table, their labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragline.pipelines.readers.tables.tables import table
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_POINTS = frozenset({"node", "asst"})


def drawing(root: _Element, page: int | None) -> Iterator[Element]:
    """Yield what a part says that shows a chart or a diagram; nothing for any other part."""
    if root.tag == f"{C}chartSpace":
        yield from _chart(root, page)
    elif root.tag == f"{DGM}dataModel":
        for point in root.iter(f"{DGM}pt"):
            if point.get("type", "node") in _POINTS:
                yield Element("\n".join(filter(None, map(plain_text, point.iter(f"{A}p")))), page=page)


def plain_text(paragraph: _Element) -> str:
    """Return the text of a paragraph of a drawing, without the fields that number pages."""
    return "".join(node.text or "" if node.tag == f"{A}t" else "\n" for node in paragraph.iter(f"{A}t", f"{A}br"))


def _chart(root: _Element, page: int | None) -> Iterator[Element]:
    for title in root.iter(f"{C}title"):
        yield Element(" ".join(filter(None, map(plain_text, title.iter(f"{A}p")))), page=page)
    series = list(root.iter(f"{C}ser"))
    columns = [_points(node.find(f"{C}val"), node.find(f"{C}yVal")) for node in series]
    names = [" ".join(_points(node.find(f"{C}tx")).values()) for node in series]
    categories: dict[int, str] = {}
    for node in series:
        categories = {**_points(node.find(f"{C}cat"), node.find(f"{C}xVal")), **categories}
    rows = sorted({number for points in (categories, *columns) for number in points})
    body = [[categories.get(row, ""), *(column.get(row, "") for column in columns)] for row in rows]
    yield from table([["", *names], *body], page=page, headers=int(any(names)))


def _points(*nodes: _Element | None) -> dict[int, str]:
    """Return the values that a chart keeps of its figures, by their place."""
    found: dict[int, str] = {}
    for node in nodes:
        for point in node.iter(f"{C}pt") if node is not None else ():
            value = point.find(f"{C}v")
            place = point.get("idx", "")
            if value is not None and value.text and place.isdecimal() and len(place) < 7:
                found.setdefault(int(place), value.text)
    return found
