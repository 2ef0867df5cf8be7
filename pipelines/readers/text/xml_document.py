"""XML that is a document, in the vocabularies of JATS, DocBook, TEI and DITA: titles, paragraphs, items and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragline.pipelines.readers.tables.tables import table
from ragline.pipelines.readers.text.plain import cut
from ragline.types import Element

if TYPE_CHECKING:
    from lxml.etree import _Element  # type: ignore[import-untyped]  # has no types


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


MAX_TITLE_CHARS = 500
_ROOTS = _set("""
    article book chapter part section sect1 refentry glossary TEI TEI.2 teiCorpus topic concept task reference dita
""")
_SECTIONS = _set("""
    sec section sect1 sect2 sect3 sect4 sect5 chapter part appendix preface abstract ack app div topic concept
    task reference glossary bibliography refsection refsect1 refsect2 simplesect boxed-text ref-list app-group
    notes
""")
_TITLES = frozenset({"title", "article-title", "head", "book-title"})
_PARAGRAPHS = _set("""
    p para simpara formalpara ab l verse-line subtitle trans-title attrib term glossterm refname refpurpose
    synopsis shortdesc cmd bibl biblioentry bibliomixed mixed-citation disp-formula equation
""")
_RUNNING = frozenset({"p", "para", "simpara", "ab"})
_ITEMS = frozenset({"list-item", "listitem", "item", "li", "step", "member", "callout"})
_CODE = frozenset({"programlisting", "screen", "literallayout", "preformat", "codeblock", "eg", "computeroutput"})
_TABLES = frozenset({"table", "informaltable", "simpletable", "Table"})
_ROWS = frozenset({"tr", "row", "Row", "table-row", "strow", "sthead"})
_CELLS = frozenset({"td", "th", "entry", "Cell", "table-cell", "stentry", "cell"})
_ABOUT = _set("""
    article-meta journal-meta info bookinfo articleinfo chapterinfo sectioninfo teiHeader prolog book-meta meta
""")
"""What tells of the document rather than being its text."""
_SHOWN = frozenset({"title-group", "title", "subtitle", "titleStmt", "book-title-group"})
_SUMMARIES = frozenset({"abstract", "trans-abstract"})
_APART = _set("""
    label year source surname given-names article-title volume issue fpage publisher-name pub-id tab line-break
""")
_FIGURES = frozenset({"fig", "table-wrap", "figure", "informalfigure"})
_CAPTIONS = frozenset({"label", "title", "caption"})
_BLOCKS = _PARAGRAPHS | _ITEMS | _CODE | _TABLES | {"list", "itemizedlist", "orderedlist", "ul", "ol"} | _FIGURES


def is_document(root: _Element) -> bool:
    """True for running text, false for records, whose elements may be called the same."""
    return local(root) in _ROOTS and any(local(node) in _RUNNING for node in root.iter("*"))


def document(node: _Element, depth: int = 0) -> Iterator[Element]:
    """Yield what is in `node`, which stands in `depth` sections. Its depth in the file is at most libxml2's 256."""
    name = local(node)
    if name in _TITLES:
        yield from _title(node, depth)
    elif name in _CODE:
        for part in cut("".join(texts(node)).strip("\n").rstrip()):
            yield Element(part, "code")
    elif name in _TABLES:
        yield from _table(node, depth)
    elif name in _ITEMS or name in _PARAGRAPHS or is_mixed(node) or not len(node):
        yield from _paragraph(node, depth, is_item=name in _ITEMS)
    elif name in _ABOUT:
        yield from _about(node, depth)
    elif name in _FIGURES:
        yield from _figure(node, depth)
    elif name == "ref":
        yield Element(_spaced(node))
    else:
        # Of an article in a journal, what is said of the journal comes last.
        children = sorted(node, key=lambda child: local(child) != "article-meta") if name == "front" else node
        for child in children:
            yield from document(child, depth + 1 if name in _SECTIONS else depth)


def _title(node: _Element, depth: int) -> Iterator[Element]:
    if text := words("".join(texts(node))):
        yield Element(text, "title", level=depth + 1) if len(text) <= MAX_TITLE_CHARS else Element(text)


def _paragraph(node: _Element, depth: int, *, is_item: bool) -> Iterator[Element]:
    """Yield the text of a paragraph up to each block inside of it, the block, and what follows."""
    pending: list[str] = [node.text or ""]

    def flush() -> Iterator[Element]:
        nonlocal is_item
        if text := words("".join(pending)):
            for part in cut(f"- {text}" if is_item else text):
                yield Element(part, "list" if is_item else "text")
            is_item = False
        pending.clear()

    for child in node:
        if local(child) in _BLOCKS and (len(child) or (child.text or "").strip()):
            if not (is_item and local(child) in _PARAGRAPHS and not "".join(pending).strip() and not _has_block(child)):
                yield from flush()
                yield from document(child, depth)
            else:  # the first paragraph of an item
                pending.extend(texts(child))
                yield from flush()
        else:
            pending.append(" " if _is_apart(child) else "")
            pending.extend(texts(child))
        pending.append(child.tail or "")
    yield from flush()


def _has_block(node: _Element) -> bool:
    return any(local(child) in _BLOCKS for child in node.iter("*") if child is not node)


def _is_apart(node: _Element) -> bool:
    """True for an element between which and the next word there is no blank in the file, but one in print."""
    return local(node) in _APART


def _figure(node: _Element, depth: int) -> Iterator[Element]:
    if caption := words(" ".join(" ".join(texts(child)) for child in node if local(child) in _CAPTIONS)):
        yield Element(caption)
    for child in node:
        if local(child) not in _CAPTIONS:
            yield from document(child, depth)


def _spaced(node: _Element) -> str:
    """Return the text of a reference, whose parts follow one another without blanks in the file."""
    return re.sub(r" ([,.;:)])", r"\1", words(" ".join(texts(node))))


def _table(node: _Element, depth: int) -> Iterator[Element]:
    caption = next((child for child in node if local(child) in ("title", "caption")), None)
    if caption is not None and (text := words("".join(texts(caption)))):
        yield Element(text)
    yield from table(
        [words(" ".join(texts(cell))) for cell in row if local(cell) in _CELLS]
        for row in node.iter("*")
        if local(row) in _ROWS
    )


def _about(node: _Element, depth: int) -> Iterator[Element]:
    """Yield the title, everything else that is said of the document as lines `name: value`, and the abstract."""
    shown = [child for child in node if local(child) in _SHOWN]
    summaries = [child for child in node if local(child) in _SUMMARIES]
    for child in shown:
        yield from document(child, depth)
    lines = (
        f"{local(child)}: {text}"
        for child in node
        if child not in shown and child not in summaries and (text := words(" ".join(texts(child))))
    )
    for part in cut("\n".join(lines)):
        yield Element(part)
    for child in summaries:
        yield from document(child, depth)


def is_mixed(node: _Element) -> bool:
    """True for running text with markup inside, such as `<p>see <b>here</b></p>`."""
    return len(node) > 0 and bool((node.text or "").strip() or any((child.tail or "").strip() for child in node))


def texts(node: _Element) -> Iterator[str]:
    return (str(text) for text in node.itertext("*"))


def local(node: _Element) -> str:
    return str(node.tag).rpartition("}")[2]


def words(text: str) -> str:
    return " ".join(text.split())
