"""The main text of a web page as small clean HTML: menus, footers and banners are gone. Runs in a worker process."""

from __future__ import annotations

import codecs
import logging
import re

from lxml import etree, html  # type: ignore[import-untyped]  # has no types

log = logging.getLogger(__name__)

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(
    rb"""<\?xml[^>]*encoding\s*=\s*["']([\w.:-]+)|<meta[^>]*charset\s*=\s*["']?\s*([\w.:-]+)""", re.I
)
_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # lxml takes no such characters
_NOT_TEXT = ("script", "style", "noscript", "template", "svg", "iframe", "form", "object", "head")
_KEPT_ATTRIBUTES = frozenset({"colspan", "rowspan"})
DECLARATION_BYTES = 4096
"""How far from the start a page may name its encoding."""


def main_text(content: bytes, *, charset: str | None = None) -> bytes:
    """Return the main content of an HTML page as an HTML document in UTF-8: title, headings, paragraphs, lists, tables.

    Where none is found it is the whole body without scripts and forms. `charset` is the server's word. The same bytes
    give the same result; nothing is fetched. Names without a meaning for a reader (classes, links) are dropped.
    """
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # a page without text is no event
    page = _XML_DECLARATION.sub("", _NOT_XML.sub("", decoded(content, charset)))
    try:
        found = trafilatura.extract(
            page,
            output_format="html",
            include_comments=False,
            include_tables=True,
            include_formatting=True,
            include_links=False,
            include_images=False,
            deduplicate=False,  # it remembers earlier pages
            with_metadata=False,
        )
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError, etree.LxmlError) as error:
        log.warning("no main text, the page is taken whole: %s", type(error).__name__)  # a library's fault, not ours
        found = None
    whole = parsed(page)
    body = parsed(found).find("body") if found else None
    if body is None or not "".join(body.itertext()).strip():
        body = _whole_body(whole)
    return _document(title_of(whole), body)


def decoded(content: bytes, charset: str | None) -> str:
    """Return the text: encoding by byte order mark, then `charset`, then the page's own word, then UTF-8, then cp1252.

    The order of the WHATWG's encoding standard, as are its aliases: what calls itself Latin-1 is cp1252.
    """
    for mark, name in _BOMS:
        if content.startswith(mark):
            return content[len(mark) :].decode(name, "replace")
    inside = _DECLARED.search(content[:DECLARATION_BYTES])
    named = (inside[1] or inside[2]).decode("ascii") if inside else ""
    if named.lower().startswith("utf-16"):
        named = "utf-8"  # or this could not have been read
    for name in (charset or "", named):
        if codec := _codec(name):
            return content.decode(codec, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def parsed(page: str) -> html.HtmlElement:
    """Return the tree of an HTML document, however broken, with `html` as its root."""
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    try:
        return html.document_fromstring(page.encode("utf-8", "replace"), parser=parser, ensure_head_body=True)
    except etree.ParserError:  # nothing in it but blanks and comments
        return html.document_fromstring("<body></body>", ensure_head_body=True)


def title_of(page: html.HtmlElement) -> str:
    """Return the title on one line, "" where the page has none."""
    for found in (page.find("head/title"), page.find(".//title"), page.find(".//h1")):
        if found is not None and (title := " ".join(_NOT_XML.sub("", found.text_content()).split())):
            return title
    return ""


def _codec(name: str) -> str | None:
    try:
        codec = codecs.lookup(name.strip())
        b"x".decode(codec.name, "replace")  # some codecs are not for text
    except LookupError:
        return None
    return "cp1252" if codec.name in {"iso8859-1", "ascii"} else codec.name


def _whole_body(page: html.HtmlElement) -> html.HtmlElement:
    body = page.find("body")
    etree.strip_elements(body, *_NOT_TEXT, with_tail=False)
    return body


def _document(title: str, body: etree._Element) -> bytes:
    """Write the page; the title stands above a text that has no main heading of its own."""
    page = html.Element("html")
    head = etree.SubElement(page, "head")
    etree.SubElement(head, "meta", charset="utf-8")
    etree.SubElement(head, "title").text = title
    for element in body.iter(etree.Element):
        for name in set(element.attrib) - _KEPT_ATTRIBUTES:
            del element.attrib[name]
    for inner in body.findall(".//pre/pre"):  # how trafilatura writes a block of code
        inner.drop_tag()
    if title and body.find(".//h1") is None:
        heading = etree.Element("h1")
        heading.text = title
        body.insert(0, heading)
        heading.tail, body.text = body.text, None
    page.append(body)
    written: bytes = html.tostring(page, encoding="utf-8", doctype="<!DOCTYPE html>")
    return written
