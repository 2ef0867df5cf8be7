"""What PDFium knows of the single characters of a page: where they stand, how large and how bold they are."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable
from functools import cache

from ragline.pipelines.readers.pdf.hyphens import HYPHEN

FAR = 20_000.0
"""Points; PDF's own limit is 14,400. Places beyond are hostile."""
_WORD = re.compile("[^\\s\ufffe]+\ufffe?|\ufffe")
_BOLD = re.compile(r"bold|black|heavy|semibold|demi|medi(?![a-z])|cmbx|sfbx|-b$|\bbd", re.IGNORECASE)
_BOLD_FLAG = 1 << 18  # ForceBold in a font's descriptor
_BOLD_WEIGHT = 600

Word = tuple[str, float, float]
"""A word and where it begins and ends across the line, in points."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points."""


class Glyphs:
    """What is asked of the characters of a page, by their numbers."""

    def __init__(self, handle: ctypes._Pointer[ctypes.Structure]) -> None:
        from pypdfium2 import raw

        self._raw = raw
        self._handle = handle
        self._matrix = raw.FS_MATRIX()
        self._scales = ctypes.byref(self._matrix)
        self._name = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()
        self._rect = raw.FS_RECTF()
        self._place = ctypes.byref(self._rect)

    def quarter(self, index: int) -> int:
        """How many quarters counterclockwise make a character upright, for PDFium's angles are clockwise; -1: none."""
        angle = self._raw.FPDFText_GetCharAngle(self._handle, index) * 57.29578
        quarters = round(angle / 90)
        return quarters % 4 if abs(angle - 90 * quarters) < 6 else -1

    def box(self, index: int) -> Box:
        rect = self._rect
        if not self._raw.FPDFText_GetLooseCharBox(self._handle, index, self._place):
            return 0.0, 0.0, 0.0, 0.0
        return rect.left, rect.bottom, rect.right, rect.top

    def words(self, text: str, start: int, end: int, *, quarter: int, mirrored: bool) -> list[Word]:
        """Return the words of a stretch of the text and where they stand."""
        if quarter or mirrored:
            return [self._turned_word(match, quarter, mirrored) for match in _WORD.finditer(text, start, end)]
        rect, box_of = self._rect, _loose_box()
        handle, place = ctypes.cast(self._handle, ctypes.c_void_p).value, ctypes.addressof(rect)
        words: list[Word] = []
        for match in _WORD.finditer(text, start, end):
            first, last = match.span()
            rect.left = rect.right = 0.0  # where it is unknown
            box_of(handle, first, place)
            left, right = rect.left, rect.right
            if last - first > 1 and box_of(handle, last - 1 - (text[last - 1] == HYPHEN), place):
                right = rect.right
            words.append((match[0], left, right))
        return words

    def _turned_word(self, match: re.Match[str], quarter: int, mirrored: bool) -> Word:
        first, last = match.span()
        left, _, right, _ = turned(self.box(first), quarter, mirrored)
        end_left, _, end_right, _ = turned(
            self.box(max(last - 1 - match[0].endswith(HYPHEN), first)), quarter, mirrored
        )
        return match[0], min(left, end_left), max(right, end_right)

    def size(self, index: int) -> float:
        """Return the size of a character in points, 0 where it makes no sense."""
        size: float = self._raw.FPDFText_GetFontSize(self._handle, index)
        if self._raw.FPDFText_GetMatrix(self._handle, index, self._scales):
            size *= math.hypot(self._matrix.c, self._matrix.d)
        return size if 0 < size < FAR else 0.0

    def is_bold(self, index: int) -> bool:
        """Tell it from the font's name, where that says so, or from its weight."""
        raw = self._raw
        length = raw.FPDFText_GetFontInfo(self._handle, index, self._name, 128, self._flags)
        if not length:  # made by PDFium, such as a line break
            return index > 0 and raw.FPDFText_IsGenerated(self._handle, index) == 1
        if self._flags.value & _BOLD_FLAG or _BOLD.search(self._name.value.decode("latin-1")):
            return True
        return bool(raw.FPDFText_GetFontWeight(self._handle, index) >= _BOLD_WEIGHT)


def turned(box: Box, quarter: int, mirrored: bool) -> Box:
    """Return a box after turning by quarters counterclockwise, and mirroring from left to right."""
    left, bottom, right, top = box
    if quarter == 1:
        left, bottom, right, top = -top, left, -bottom, right
    elif quarter == 2:
        left, bottom, right, top = -right, -top, -left, -bottom
    elif quarter == 3:
        left, bottom, right, top = bottom, -right, top, -left
    return (-right, bottom, -left, top) if mirrored else (left, bottom, right, top)


@cache
def _loose_box() -> Callable[[int | None, int, int], int]:
    """PDFium's FPDFText_GetLooseCharBox, called with bare addresses: half the time of the checked call, most of all."""
    from pypdfium2 import raw

    address = ctypes.cast(raw.FPDFText_GetLooseCharBox, ctypes.c_void_p).value
    return ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(address or 0)
