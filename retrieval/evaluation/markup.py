"""HTML and SVG made of elements whose texts are escaped, wherever they come from."""

from __future__ import annotations

import html
from collections.abc import Iterable

from ragline.pipelines.names import UNPRINTABLE

VOID = frozenset({"meta"})
"""Elements without an end."""


class Html(str):
    """Markup that is ready; every other text is escaped."""

    __slots__ = ()


def el(tag: str, *children: str | Iterable[str], **attributes: object) -> Html:
    """Return an element. `class_` is written `class`, `_` in other names `-`; attributes that are None are left out."""
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Html(f"<{tag}{said}/>")
    return Html(f"<{tag}{said}>{joined(*children)}</{tag}>")


def joined(*children: str | Iterable[str]) -> Html:
    """Return texts, escaped, and markup one after the other."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(html.escape(shown(child)))
        else:
            parts.append(joined(*child))
    return Html("".join(parts))


def shown(text: str) -> str:
    """Return a text without what turns the direction of writing around or cannot be printed."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text).encode("utf-8", "replace").decode()
