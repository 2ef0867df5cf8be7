"""Web pages: their text with titles, lists, tables and code, without scripts, menus and what is hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5
from typing import TYPE_CHECKING

from ragline.errors import ParseFailed
from ragline.pipelines.readers.text.encoding import decoded
from ragline.pipelines.readers.web.html_blocks import blocks
from ragline.pipelines.readers.web.html_survey import Survey, local, surveyed, with_main, words
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types

MAX_ABOUT_CHARS = 500
MAX_DEPTH = 400
MAX_ATTRIBUTES = 2_000
"""The attributes of a tag that has more are left out: the library compares each with all others."""
"""Elements that lie deeper lose their tags, not their text. Up to four are not counted with each; libxml2 ends at
2,048."""
MAIN_SHARE = 0.6
"""Where the main part of a page holds this share of its text, the rest is menus and footers, and left out."""
MIN_MAIN_CHARS = 200

_DECLARED = re.compile(
    r"""<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]+)|<meta[^>]{0,300}?charset\s*=\s*["']?\s*([\w.:-]+)""",
    re.IGNORECASE,
)
_DECLARATION_BYTES = 4096
_XHTML = re.compile(r"""\s*<\?xml\s|[^<]{0,100}<html[^>]{0,500}xmlns\s*=\s*["']http://www\.w3\.org/1999/xhtml""")
_PROLOG = re.compile(r"""\A\s*(?:<\?xml[^>]*\?>)?\s*(?:<!DOCTYPE[^>\[]*(?:\[[^\]]*\])?[^>]*>)?""", re.IGNORECASE)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,30});")
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_CROWDED = re.compile(r"(<[A-Za-z][^<>\s]{0,100})([^<>]{8000,})")
_TAG = re.compile(r"<(/?)([A-Za-z][\w:-]*)(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*>")
_CLOSED_BY_OTHERS = frozenset(
    re.findall(
        r"\w+",
        "area base br col embed hr img input link meta param source track wbr p li dt dd tr td th option a form",
    )
)
_META = {
    "author": "author",
    "dc.creator": "author",
    "dcterms.creator": "author",
    "article:author": "author",
    "description": "subject",
    "og:description": "subject",
    "dc.description": "subject",
    "date": "date",
    "dc.date": "date",
    "dcterms.date": "date",
    "dcterms.created": "date",
    "article:published_time": "date",
}


def page(reading: Reading) -> Iterator[Element]:
    """Yield a web page, and note what it says of itself.

    Where its main part is marked as such and holds most of the text, only that is read, and the rest noted.
    """
    text = decoded(reading, declared_in(reading.path.read_bytes()[:_DECLARATION_BYTES]))
    root = tree_of(text)
    if root is None:
        return
    reading.about |= about(root)
    survey = with_main(root, surveyed(root))
    is_framed = survey.chars and MIN_MAIN_CHARS <= survey.main_chars >= MAIN_SHARE * survey.chars
    if is_framed and survey.main_chars < survey.chars:
        reading.note("only the main part of the page was read, without the menus, headers and footers around it")
        yield from _main(root, survey)
    else:
        yield from elements(root, survey)


def elements(root: _Element, survey: Survey | None = None) -> Iterator[Element]:
    """Yield the elements of a tree; what is hidden is left out, unless nothing else is there."""
    survey = survey or surveyed(root)
    found = blocks(root, survey)
    first = next(found, None)
    if first is None:
        yield from blocks(root, surveyed(root, keep_all=True))
        return
    yield first
    yield from found


def text_elements(text: str) -> Iterator[Element]:
    """Yield the elements of HTML that lies inside another document, such as a mail."""
    root = tree_of(text)
    if root is not None:
        yield from elements(root)


def declared_in(head: bytes) -> str | None:
    """Return the encoding that a page names in its first bytes."""
    found = _DECLARED.search(head.decode("latin-1"))
    return (found[1] or found[2]) if found else None


def tree_of(text: str) -> _Element | None:
    """Return the tree of HTML or XHTML, however broken and deep; None where there is nothing in it."""
    from lxml import etree  # type: ignore[import-untyped]  # has no types

    if not text.strip():
        return None
    text = _CROWDED.sub(lambda found: found[1] if found[2].count("=") > MAX_ATTRIBUTES else found[0], text)
    if _XHTML.match(text[:4096]):
        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
        try:
            return etree.fromstring(_without_entities(text).encode("utf-8", "replace"), parser)
        except etree.XMLSyntaxError:
            pass  # it calls itself XHTML and is none
    root, is_whole = _parsed(text)
    if not is_whole:
        root, is_whole = _parsed(flattened(text))
    if not is_whole:
        raise ParseFailed("is nested too deeply to be read; save it as a simpler page")
    return root


def flattened(text: str) -> str:
    """Return HTML whose elements lie at most MAX_DEPTH deep: the tags of deeper ones are blanks or line ends."""
    depth = 0

    def replaced(tag: re.Match[str]) -> str:
        nonlocal depth
        name = tag[2].lower()
        if name in _CLOSED_BY_OTHERS or tag[0].endswith("/>"):
            return tag[0] if depth <= MAX_DEPTH else "<br>"
        if tag[1]:
            depth = max(0, depth - 1)
            return tag[0] if depth < MAX_DEPTH else "<br>"
        depth += 1
        return tag[0] if depth <= MAX_DEPTH else "<br>"

    return _TAG.sub(replaced, text)


def about(root: _Element) -> dict[str, str]:
    """Return what a page says of itself, under the names of `Parsed.about`."""
    found: dict[str, str] = {}
    language = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang") or ""
    if code := re.match(r"[A-Za-z]{2,3}(?![A-Za-z])", language.strip()):
        found["language"] = code[0].lower()
    for node in root.iter("{*}title", "{*}meta"):
        if local(node) == "title":
            parent = node.getparent()
            if parent is not None and local(parent) in ("head", "html", "body"):
                found.setdefault("title", words(node))
            continue
        key = _META.get((node.get("name") or node.get("property") or "").lower())
        if key and (content := " ".join((node.get("content") or "").split())):
            found.setdefault(key, content)
    return {key: value[:MAX_ABOUT_CHARS] for key, value in found.items() if value}


def _main(root: _Element, survey: Survey) -> Iterator[Element]:
    """Yield the main parts, under the title of the page where they have none of the first level."""
    has_own = any(next(part.iter("{*}h1"), None) is not None for part in survey.main)
    if survey.title is not None and not has_own and (title := words(survey.title)):
        yield Element(title, "title", level=1)
    for part in survey.main:
        yield from blocks(part, survey)


def _parsed(text: str) -> tuple[_Element | None, bool]:
    """Return the tree, and whether all of the text is in it."""
    from lxml import etree

    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True, recover=True
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        return None, True  # nothing but blanks and comments
    return root, not any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log)


def _without_entities(text: str) -> str:
    """Return XHTML without a document type, the characters that HTML has names for written out."""
    return _ENTITY.sub(_character, _PROLOG.sub("", text.removeprefix("\ufeff"), count=1))


def _character(entity: re.Match[str]) -> str:
    return entity[0] if entity[1] in _XML_ENTITIES else html5.get(f"{entity[1]};", entity[0])
