"""What stands on a slide, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragline.pipelines.readers.office.drawings import A
from ragline.pipelines.readers.office.word_text import ALTERNATIVES

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

PML = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
SAME_LINE_EMU = 228_600
"""Shapes whose tops are so close stand beside each other: a quarter of an inch."""
_DRAWN = {
    f"{PML}sp": f"{PML}nvSpPr",
    f"{PML}grpSp": f"{PML}nvGrpSpPr",
    f"{PML}graphicFrame": f"{PML}nvGraphicFramePr",
    f"{PML}cxnSp": f"{PML}nvCxnSpPr",
}
"""What may hold text, and where it says which placeholder it is."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What stands at a place of a slide, in EMU from its top left corner; `placeholder` names its role."""

    node: _Element
    top: int
    left: int
    placeholder: str | None
    is_placeholder: bool


def in_order(shapes: _Element | None, placed: Mapping[tuple[str, str], tuple[int, int]]) -> list[Shape]:
    """Return the shapes from top to bottom, those beside each other from left to right; a group stays together."""
    if shapes is None:
        return []
    found = [_shape(node, placed) for node in _drawn(shapes)]
    found.sort(key=lambda shape: (shape.top, shape.left))
    lines: list[list[Shape]] = []
    for shape in found:
        if not lines or shape.top - lines[-1][0].top > SAME_LINE_EMU:
            lines.append([])
        lines[-1].append(shape)
    ordered = []
    for line in lines:
        for shape in sorted(line, key=lambda shape: shape.left):
            ordered += in_order(shape.node, placed) if shape.node.tag == f"{PML}grpSp" else [shape]
    return ordered


def _drawn(shapes: _Element) -> Iterator[_Element]:
    for node in shapes:
        if node.tag == ALTERNATIVES:
            for choice in node:
                if len(choice):
                    yield from _drawn(choice)
                    break
        elif node.tag in _DRAWN:
            yield node


def _shape(node: _Element, placed: Mapping[tuple[str, str], tuple[int, int]]) -> Shape:
    placeholder = node.find(f"{_DRAWN[node.tag]}/{PML}nvPr/{PML}ph")
    kind = placeholder.get("type") if placeholder is not None else None
    place = _place(node)
    if place is None and placeholder is not None:
        number = placeholder.get("idx", "")
        names = ((kind or "obj", number), (kind or "body", number), (kind or "body", ""))
        place = next((placed[name] for name in names if name in placed), None)
    top, left = place or (0, 0)
    return Shape(node, top, left, kind, placeholder is not None)


def places(root: _Element) -> dict[tuple[str, str], tuple[int, int]]:
    found = {}
    for node in root.iterfind(f"{PML}cSld/{PML}spTree/{PML}sp"):
        placeholder = node.find(f"{PML}nvSpPr/{PML}nvPr/{PML}ph")
        if placeholder is not None and (place := _place(node)) is not None:
            found[(placeholder.get("type", "obj"), placeholder.get("idx", ""))] = place
    return found


def _place(node: _Element) -> tuple[int, int] | None:
    """Return how far a shape is from the top and from the left, None where it does not say."""
    for path in (f"{PML}spPr/{A}xfrm/{A}off", f"{PML}xfrm/{A}off", f"{PML}grpSpPr/{A}xfrm/{A}off"):
        if (offset := node.find(path)) is not None:
            try:
                return int(offset.get("y", "")), int(offset.get("x", ""))
            except ValueError:
                return None
    return None
