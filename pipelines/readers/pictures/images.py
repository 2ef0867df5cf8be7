"""Images: the text in them, page by page where a TIFF has several."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.readers.pictures.tesseract import (
    MAX_PIXELS,
    NotRecognised,
    note_quality,
    pgm,
    recogniser,
    why_not,
)
from ragline.pipelines.reading import Part, Reading
from ragline.types import Element

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_PIXELS = 150_000_000
_SMALL_PIXELS = 1_800
_PAGES_A_PART = 6
_FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/tiff": "TIFF",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
}


def image(reading: Reading) -> Iterator[Element]:
    """Yield the text of an image, of each page of a TIFF. Raises ParseFailed where nothing can be recognised."""
    found = recogniser(reading)
    if found is None:
        raise ParseFailed(f"is an image, and {why_not(reading.options)}")
    for number, picture, count in _pictures(reading):
        if count > 1:
            reading.about["pages"] = count
        page = number if count > 1 else None
        named = f"page {number}" if count > 1 else "the image"
        try:
            recognised = found.recognise(picture, page)
        except NotRecognised as error:
            reading.note(f"{named} {error}")
            continue
        note_quality(reading, recognised, named)
        yield from recognised.elements


def parts(reading: Reading) -> list[Part]:
    """Return stretches of the pages of a long TIFF, none for any other image."""
    with _opened(reading) as opened:
        count = _frames(opened, reading)
    if count <= _PAGES_A_PART:
        return []
    return [Part(first, min(first + _PAGES_A_PART - 1, count)) for first in range(1, count + 1, _PAGES_A_PART)]


def _opened(reading: Reading) -> Image:
    from PIL import Image as pillow
    from PIL import UnidentifiedImageError

    pillow.MAX_IMAGE_PIXELS = None  # checked here, with words for the user
    try:
        return pillow.open(reading.path, formats=[_FORMATS[reading.content_type]])
    except UnidentifiedImageError as error:
        raise ParseFailed("is damaged or not really an image; it cannot be read") from error


def _frames(opened: Image, reading: Reading) -> int:
    """Return how many pages an image has: those of an animation are one. Raises OverLimit."""
    count: int = getattr(opened, "n_frames", 1) if reading.content_type == "image/tiff" else 1
    if count > reading.options.max_pages:
        raise OverLimit(f"has {count} pages, more than {reading.options.max_pages} (parsing.max_pages); split it")
    return count


def _pictures(reading: Reading) -> Iterator[tuple[int, bytes, int]]:
    """Yield number, picture and count of the pages that are to be read."""
    from PIL import Image as pillow
    from PIL import ImageOps

    with _opened(reading) as opened:
        count = _frames(opened, reading)
        part = reading.part or Part(1, count)
        for number in range(part.first, min(part.last, count) + 1):
            opened.seek(number - 1)
            width, height = opened.size
            if width * height > _MOST_PIXELS:
                most = f"at most {_MOST_PIXELS // 10**6} megapixels are read"
                raise OverLimit(f"has {width} x {height} pixels, and {most}; save it smaller")
            scale = _scale(width, height)
            if scale < 1:
                opened.draft("L", (int(width * scale), int(height * scale)))  # of a JPEG, no more is decoded
            frame = ImageOps.exif_transpose(opened) if opened.getexif() else opened
            grey = _grey(frame)
            scale = _scale(*grey.size)
            if scale != 1:
                size = (max(int(grey.width * scale), 1), max(int(grey.height * scale), 1))
                grey = grey.resize(size, pillow.Resampling.LANCZOS)
            yield number, pgm(grey.width, grey.height, grey.tobytes()), count


def _grey(frame: Image) -> Image:
    """Return an image in shades of grey; what is transparent is white."""
    from PIL import Image as pillow

    if frame.mode in ("RGBA", "LA", "PA") or "transparency" in frame.info:
        frame = frame.convert("RGBA")
        white = pillow.new("RGBA", frame.size, "white")
        return pillow.alpha_composite(white, frame).convert("L")
    if frame.mode.startswith("I;16") or frame.mode in ("I", "F"):
        return frame.convert("F").point(lambda value: value * (1 / 256)).convert("L")
    return frame.convert("L")


def _scale(width: int, height: int) -> float:
    """Letters of small images, mostly of screens, are too small to be recognised; more than double blurs them."""
    if max(width, height) < _SMALL_PIXELS:
        return 2.0
    return min(1.0, math.sqrt(MAX_PIXELS / (width * height)))
