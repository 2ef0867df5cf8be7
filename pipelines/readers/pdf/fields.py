"""What a PDF's page holds beside its text layer: the values of forms and people's comments."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING

from ragline.pipelines.readers.pdf.lines import clean

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_MOST_ANNOTATIONS = 5_000
_MOST_BYTES = 400_000


def fields(page: PdfPage) -> list[str]:
    """Return a line `name: value` for each field of a form that is filled in, and the text of each comment."""
    from pypdfium2 import raw

    found: dict[str, None] = {}
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MOST_ANNOTATIONS)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            if kind == raw.FPDF_ANNOT_WIDGET and page.formenv:
                found[_field(page.formenv.raw, annotation)] = None
            elif kind in (raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_TEXT, raw.FPDF_ANNOT_HIGHLIGHT):
                found[_string(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")] = None
        finally:
            raw.FPDFPage_CloseAnnot(annotation)
    return [line for line in found if line]


def _field(form: object, annotation: object) -> str:
    from pypdfium2 import raw

    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (raw.FPDF_FORMFIELD_PUSHBUTTON, raw.FPDF_FORMFIELD_SIGNATURE):
        return ""
    value = _string(raw.FPDFAnnot_GetFormFieldValue, form, annotation)
    ticked = kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
    if not value or (ticked and value == "Off"):
        return ""
    name = _string(raw.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
    name = name or _string(raw.FPDFAnnot_GetFormFieldName, form, annotation)
    return f"{name}: {value}" if name else value


def _string(get: Callable[..., int], *of: object) -> str:
    """Return the text that one of PDFium's functions writes into a buffer, as UTF-16."""
    size = get(*of, None, 0)
    if not 2 < size <= _MOST_BYTES:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    get(*of, buffer, size)
    return clean(bytes(buffer)[: size - 2].decode("utf-16-le", "replace"))
