"""Which function reads which type, and what takes long documents apart."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ragline.pipelines.parse_types import (
    ASCIIDOC,
    CODE,
    CSV,
    DOC,
    DOCX,
    EML,
    EPUB,
    GZIP,
    HTML,
    IMAGES,
    JSON,
    JSON_LINES,
    LATEX,
    MARKDOWN,
    MBOX,
    MSG,
    NOTEBOOK,
    ODP,
    ODS,
    ODT,
    ORG,
    PDF,
    PPT,
    PPTX,
    RST,
    RTF,
    SUBRIP,
    TAR,
    TEXT,
    TSV,
    WEBVTT,
    XLS,
    XLSX,
    XML,
    ZIP,
)
from ragline.pipelines.reading import Reading

READERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        PDF: ("pdf.reader:pages",),
        **dict.fromkeys(IMAGES, ("pictures.images:image",)),
        DOCX: ("office.word:docx", "libraries.by_unstructured:docx"),
        PPTX: ("office.slides:pptx", "libraries.by_unstructured:pptx"),
        MARKDOWN: ("text.markdown:markdown", "libraries.by_unstructured:markdown"),
        HTML: ("web.html:page", "libraries.by_unstructured:html"),
        EML: ("mail.mail:mail", "libraries.by_unstructured:mail"),
        MBOX: ("mail.mailbox:mails",),
        MSG: ("mail.outlook:mail",),
        ZIP: ("archives.zipped:members",),
        TAR: ("archives.tar:unpacked",),
        GZIP: ("archives.tar:unpacked",),
        EPUB: ("web.book:book", "libraries.by_unstructured:epub"),
        ODT: ("office.odf:odt", "libraries.by_unstructured:odt"),
        ODP: ("office.odf:odp",),
        RTF: ("office.rtf:rtf", "libraries.by_unstructured:rtf"),
        DOC: ("office.doc:doc", "libraries.by_kreuzberg:document"),
        PPT: ("office.ppt:ppt", "libraries.by_kreuzberg:document"),
        RST: ("web.pandoc:rst", "libraries.by_kreuzberg:document", "libraries.by_unstructured:rst"),
        ORG: ("web.pandoc:org", "libraries.by_kreuzberg:document", "libraries.by_unstructured:org"),
        XLSX: ("tables.xlsx:workbook", "tables.sheets:rescued"),
        XLS: ("tables.sheets:old_workbook", "tables.sheets:rescued"),
        ODS: ("tables.ods:spreadsheet", "tables.sheets:rescued"),
        CSV: ("text.separated:comma_separated",),
        TSV: ("text.separated:tab_separated",),
        TEXT: ("text.plain:plain",),
        CODE: ("text.plain:code",),
        JSON: ("text.json_data:json_document",),
        JSON_LINES: ("text.json_data:json_lines",),
        XML: ("text.xml_data:xml_document",),
        NOTEBOOK: ("text.notebook:notebook",),
        SUBRIP: ("text.subtitles:subtitles",),
        WEBVTT: ("text.subtitles:subtitles",),
        LATEX: ("text.latex:latex",),
        ASCIIDOC: ("text.asciidoc:asciidoc",),
    }
)
"""Content type to "module:function" beside this file, the fast one first, then the one it falls back to. A module is
imported when the first file of the type comes."""

PARTS: Mapping[str, str] = MappingProxyType(
    {
        PDF: "pdf.reader:parts",
        "image/tiff": "pictures.images:parts",
        ZIP: "archives.zipped:parts",
        TAR: "archives.tar:parts",
    }
)
"""Content type to "module:function" that takes a long document apart."""

UNSTRUCTURED = "libraries.by_unstructured"
"""How the places of the readers through unstructured begin."""


def function_at(place: str) -> Callable[[Reading], Any]:
    """Return the function at "package.module:function" below this package."""
    module, function = place.split(":")
    found: Callable[[Reading], Any] = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    return found
