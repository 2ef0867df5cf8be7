"""Looking over the tree of a web page: what of it is left out, which part is the main one, which tables are layout."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

MAX_BANNER_CHARS = 3_000
"""What calls itself a banner for cookies and is longer is a text about them."""

_LEFT_OUT = frozenset(
    re.findall(
        r"\w+",
        "script style template noscript head title svg iframe frame object applet embed audio video canvas map select "
        "datalist textarea progress meter rp rt nav metadata",
    )
)
_ROLES_LEFT_OUT = frozenset({"navigation", "search", "menu", "menubar", "toolbar", "doc-backlink"})
INVISIBLE = re.compile("[\xad\u200b\u2060\ufeff]")
"""Signs that only say where a word may be divided."""
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_BANNER = re.compile(
    r"cookie[-_]?(?:banner|consent|notice|bar|popup|modal|wall|law|message|overlay)|onetrust|didomi|tarteaucitron"
    r"|cookiebot|axeptio|(?:gdpr|rgpd)[-_](?:banner|consent|popup)",
    re.IGNORECASE,
)


def local(node: _Element) -> str:
    """Return the name of an element without its namespace, in lower case."""
    return _local(node.tag)


@lru_cache(4096)
def _local(tag: str) -> str:
    return str(tag).rpartition("}")[2].lower()


def words(node: _Element) -> str:
    """Return the text inside on one line."""
    return " ".join(INVISIBLE.sub("", "".join(node.itertext())).split())


@dataclass(slots=True)
class Survey:
    """What is known of a page before it is read: its `main` parts, in their order, and how much text is in them.

    `title` is the first heading of the first level where that lies outside of the main parts. `layout` are the tables
    that hold other tables; `keeps_all` tells that menus and what is hidden are read, too.
    """

    layout: set[_Element] = field(default_factory=set)
    keeps_all: bool = False
    chars: int = 0
    main_chars: int = 0
    main: list[_Element] = field(default_factory=list)
    title: _Element | None = None


def surveyed(root: _Element, *, keep_all: bool = False) -> Survey:
    """Look for the tables that hold others, without reading the rest."""
    from lxml import etree  # type: ignore[import-untyped]  # has no types

    survey = Survey(keeps_all=keep_all)
    tables: list[_Element] = []
    for event, node in etree.iterwalk(root, events=("start", "end"), tag="{*}table"):
        if event == "start":
            survey.layout.update(tables[-1:])
            tables.append(node)
        else:
            tables.pop()
    return survey


def with_main(root: _Element, survey: Survey) -> Survey:
    """Look for the main parts of a page, where it names any, and count its text."""
    from lxml import etree

    mains = _outermost(root.iter("{*}main")) or _outermost(root.xpath("//*[@role='main']"))
    parts = mains or _outermost(root.iter("{*}article"))
    if not parts:
        return survey
    known = set(parts)
    inside: _Element | None = None
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, node in walk:
        name = local(node)
        if event == "end":
            inside = None if node is inside else inside
            size = len((node.tail or "").strip())
        elif is_left_out(node, name, survey):
            walk.skip_subtree()
            continue
        else:
            if node in known:
                inside = node
                survey.main.append(node)
            elif name == "h1" and inside is None and survey.title is None:
                survey.title = node
            size = len((node.text or "").strip())
        survey.chars += size
        survey.main_chars += size if inside is not None else 0
    return survey


def _outermost(nodes: Iterable[_Element]) -> list[_Element]:
    """Return those of the nodes, in document order, that lie in none of the others."""
    found: list[_Element] = []
    last: _Element | None = None
    for node in nodes:
        if last is None or not any(above is last for above in node.iterancestors(last.tag)):
            found.append(node)
            last = node
    return found


def is_left_out(node: _Element, name: str, survey: Survey) -> bool:
    """Tell whether an element is no text of the page, hidden, a menu, or a banner for cookies."""
    if name in _LEFT_OUT:
        return not (survey.keeps_all and name in ("nav", "noscript", "textarea", "select"))
    if survey.keeps_all or not node.attrib:
        return False
    get = node.get
    if (get("hidden", "until-found") != "until-found" and not _is_note(node)) or get("role") in _ROLES_LEFT_OUT:
        return True
    if (style := get("style")) and _UNSEEN.search(style[:1000]):
        return True
    if get("aria-hidden") == "true" and name in ("span", "i", "b", "em"):
        return True
    named = f"{get('id') or ''} {get('class') or ''}"
    return len(named) > 1 and bool(_BANNER.search(named[:500])) and len(words(node)) <= MAX_BANNER_CHARS


def _is_note(node: _Element) -> bool:
    """Tell whether an element is a note of a book, which is hidden until it is asked for."""
    kinds = (node.get("{http://www.idpf.org/2007/ops}type"), node.get("epub:type"), node.get("role"))
    return any("note" in (kind or "") for kind in kinds)
