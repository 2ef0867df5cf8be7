"""The pages of a PDF that are pictures, and what is said of pages that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ragline.errors import ParseFailed
from ragline.pipelines.readers.pdf.hyphens import joined
from ragline.pipelines.readers.pdf.paragraphs import plain
from ragline.pipelines.readers.pictures.tesseract import (
    DPI,
    MAX_PIXELS,
    NotRecognised,
    Recogniser,
    note_quality,
    pgm,
    recogniser,
    why_not,
)
from ragline.pipelines.reading import Reading
from ragline.types import Element

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

_MIN_SIDE_PIXELS = 1_500
_POINTS_AN_INCH = 72


class Scans:
    """Recognises pages one by one and keeps account of those that are left out."""

    def __init__(self, pdf: PdfDocument, reading: Reading) -> None:
        self._pdf = pdf
        self._reading = reading
        self._recogniser: Recogniser | None = None
        self._is_looked_for = False
        self.damaged: list[int] = []
        self.unread: list[int] = []
        self._wordless: list[int] = []

    def elements(self, number: int, printed: Sequence[str]) -> list[Element]:
        """Return the text of a page that is a picture, without what is `printed` on it as text anyway."""
        if not self._is_looked_for:
            self._recogniser, self._is_looked_for = recogniser(self._reading), True
        if self._recogniser is None:
            if not printed:
                self.unread.append(number)
            return []
        picture = self._picture(number)
        if picture is None:
            return []
        try:
            found = self._recogniser.recognise(picture, number)
        except NotRecognised as error:
            self._reading.note(f"page {number} {error}, and was left out")
            return []
        note_quality(self._reading, found, f"page {number}")
        known = plain(joined(printed, ()))
        fresh = [element for element in found.elements if not (known and plain(element.text) in known)]
        if not fresh and not printed:
            self._wordless.append(number)
        return fresh

    def end(self, *, found: bool) -> None:
        """Note what was left out. Raises ParseFailed for a whole document of which nothing was `found`."""
        whole = self._reading.part is None and not found
        if self.unread:
            why = why_not(self._reading.options)
            if whole:
                raise ParseFailed(f"has no text: its pages are scanned, and {why}")
            self._reading.note(f"{_named(self.unread, 'is scanned and was', 'are scanned and were')} left out: {why}")
        if self.damaged:
            if whole:
                raise ParseFailed("is damaged: none of its pages can be read; save it again or print it to a new PDF")
            self._reading.note(f"{_named(self.damaged, 'is damaged and was', 'are damaged and were')} left out")
        if self._wordless:
            self._reading.note(f"{_named(self._wordless, 'shows', 'show')} no text that could be recognised")

    def _picture(self, number: int) -> bytes | None:
        """Return a page in shades of grey, None for a blank one."""
        import pypdfium2

        try:
            page = self._pdf[number - 1]
        except pypdfium2.PdfiumError:
            self.damaged.append(number)
            return None
        try:
            bitmap = page.render(scale=_scale(page), grayscale=True)
        except pypdfium2.PdfiumError:
            self.damaged.append(number)
            return None
        finally:
            page.close()
        width, height, stride = bitmap.width, bitmap.height, bitmap.stride
        pixels = bytes(bitmap.buffer)
        bitmap.close()
        if stride != width:
            pixels = b"".join(pixels[row * stride : row * stride + width] for row in range(height))
        if pixels.count(pixels[:1]) == len(pixels):
            return None
        return pgm(width, height, pixels)


def _scale(page: PdfPage) -> float:
    """Pixels for a point: what tesseract reads best, fewer for a page as large as a wall."""
    width, height = page.get_size()
    scale = max(DPI / _POINTS_AN_INCH, _MIN_SIDE_PIXELS / max(width, height, 1))
    return float(min(scale, (MAX_PIXELS / max(width * height, 1)) ** 0.5))


def _named(pages: Sequence[int], one: str, several: str) -> str:
    if len(pages) == 1:
        return f"page {pages[0]} {one}"
    return f"pages {', '.join(_ranges(sorted(pages)))} {several}"


def _ranges(pages: Sequence[int]) -> Iterator[str]:
    first = last = pages[0]
    for page in [*pages[1:], 0]:
        if page == last + 1:
            last = page
            continue
        yield str(first) if first == last else f"{first}-{last}"
        first = last = page
