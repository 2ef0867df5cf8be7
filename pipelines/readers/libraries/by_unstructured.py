"""Office, mail, web and book formats through the library unstructured, offline, as elements of Ragline."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterable, Iterator
from email.message import EmailMessage
from functools import cache
from typing import TYPE_CHECKING

from ragline.errors import ParseFailed
from ragline.pipelines.readers.office.unlocked import unlocked
from ragline.pipelines.readers.tables.tables import table
from ragline.pipelines.readers.text.plain import decode
from ragline.pipelines.readers.web.pandoc import converted
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    import unstructured.documents.elements as library

_LANGUAGES = ["eng"]  # named, or unstructured guesses it for half a second; it changes nothing that is read here
_CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")
_WORD = re.compile(r"\w+|[^\w\s]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


def docx(reading: Reading) -> Iterator[Element]:
    """Yield a Word document; pages are known where Word left their breaks in the file."""
    _stay_offline()
    from unstructured.partition.docx import partition_docx

    with unlocked(reading) as path:
        yield from _converted(partition_docx(str(path), languages=_LANGUAGES, include_page_breaks=False))


def pptx(reading: Reading) -> Iterator[Element]:
    """Yield the slides of a presentation with their notes; the page is the number of the slide."""
    _stay_offline()
    from unstructured.partition.pptx import partition_pptx

    with unlocked(reading) as path:
        elements = partition_pptx(
            str(path),
            languages=_LANGUAGES,
            include_page_breaks=False,
            include_slide_notes=True,
            infer_table_structure=True,
        )
        yield from _converted(elements)


def markdown(reading: Reading) -> Iterator[Element]:
    """Yield a Markdown document."""
    _stay_offline()
    from unstructured.partition.md import partition_md

    yield from _converted(partition_md(text=decode(reading.path.read_bytes()), languages=_LANGUAGES))


def html(reading: Reading) -> Iterator[Element]:
    """Yield a web page without scripts and styles."""
    data = reading.path.read_bytes()
    declared = _CHARSET.search(data[:4096])
    yield from _html(decode(data, declared[1].decode("ascii") if declared else None))


def mail(reading: Reading) -> Iterator[Element]:
    """Yield subject, sender, recipients and date of a mail as one element, then its body; attachments by name only."""
    message = email.message_from_bytes(reading.path.read_bytes(), policy=email.policy.default)
    if message.get_content_type() in _ENCRYPTED:
        raise ParseFailed("is an encrypted mail; save it decrypted")
    if head := "\n".join(_mail_head(message)):
        yield Element(head)
    _stay_offline()
    from unstructured.partition.email import partition_email

    yield from _converted(partition_email(str(reading.path), languages=_LANGUAGES, process_attachments=False))


def epub(reading: Reading) -> Iterator[Element]:
    """Yield an electronic book."""
    yield from _html(_pandoc("epub", reading.path.read_bytes()))


def odt(reading: Reading) -> Iterator[Element]:
    """Yield a text document of LibreOffice."""
    yield from _html(_pandoc("odt", reading.path.read_bytes()))


def rtf(reading: Reading) -> Iterator[Element]:
    """Yield a document in Rich Text Format."""
    # After `\u8217?`, pandoc loses the next letter as well; with the space that may end the number it does not.
    text = re.sub(r"(\\u-?\d+)\?", r"\1 ?", decode(reading.path.read_bytes()))
    yield from _html(_pandoc("rtf", text.encode()))


def rst(reading: Reading) -> Iterator[Element]:
    """Yield a document in reStructuredText."""
    yield from _html(_pandoc("rst", decode(reading.path.read_bytes()).encode()))


def org(reading: Reading) -> Iterator[Element]:
    """Yield a document of Emacs' Org mode."""
    yield from _html(_pandoc("org", decode(reading.path.read_bytes()).encode()))


@cache
def _stay_offline() -> None:
    """Replace the functions for which unstructured downloads a model; call before any of its partitioners is imported.

    They only decide what is a title and what running text. Titles are taken from the document's own marks, so the
    guess from the words is switched off as well: it takes every short line for a title.
    """
    from unstructured.nlp import tokenize
    from unstructured.partition import text_type

    for module in (tokenize, text_type):
        module.word_tokenize = _WORD.findall
        module.sent_tokenize = _SENTENCE_END.split
        module.pos_tag = lambda text: [(word, "VB") for word in _WORD.findall(text)]
    text_type.is_possible_title = lambda *_, **__: False


def _html(text: str) -> Iterator[Element]:
    _stay_offline()
    from unstructured.partition.html import partition_html

    # lxml refuses text that names the encoding it no longer has.
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text.removeprefix("\ufeff"))
    if text.strip():
        yield from _converted(partition_html(text=text, languages=_LANGUAGES))


def _pandoc(kind: str, data: bytes) -> str:
    return converted(kind, data)[0]


def _mail_head(message: EmailMessage) -> Iterator[str]:
    for name in ("Subject", "From", "To", "Cc", "Date"):
        if value := " ".join(str(message.get(name, "")).split()):
            yield f"{name}: {value}"
    names = [part.get_filename() for part in message.walk() if part.get_content_disposition() == "attachment"]
    if attached := ", ".join(name for name in names if name):
        yield f"Attachments: {attached}"


def _converted(elements: Iterable[library.Element]) -> Iterator[Element]:
    for element in elements:
        page = element.metadata.page_number
        match element.category:
            case "PageBreak" | "PageNumber":
                continue
            case "Table" if element.metadata.text_as_html:
                yield from table(_rows(element.metadata.text_as_html), page=page)
                continue
            case "CodeSnippet":
                yield Element(element.text.strip("\n").rstrip(), "code", page=page)
                continue
        text = re.sub(r"[^\S\n]+", " ", element.text).strip()
        if element.category == "Title":
            yield Element(" ".join(text.split()), "title", level=(element.metadata.category_depth or 0) + 1, page=page)
        else:
            yield Element(text, "list" if element.category == "ListItem" else "text", page=page)


def _rows(markup: str) -> Iterator[list[str]]:
    from lxml import html as lxml_html  # type: ignore[import-untyped]  # has no types

    for row in lxml_html.fragment_fromstring(markup, create_parent="div").iter("tr"):
        yield [str(cell.text_content()) for cell in row if cell.tag in ("td", "th")]
