"""Scanned pages and images: their text, what is said where it cannot be recognised, and the bounds."""

from __future__ import annotations

import io
import shutil
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.parse import Options, Part, parse, parts_of
from ragline.pipelines.readers.pictures import tesseract
from ragline.types import Element, Parsed
from tests.parsing.printed import PROSE, drawn, picture, read, scanned, texts, write

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is missing: `make ocr`")

TITLE = "La forêt de Brocéliande"
WHOLE = " ".join(PROSE)
END = "Les promeneurs viennent à l'automne ramasser des châtaignes."


@pytest.fixture(scope="module")
def page() -> Image.Image:
    def draw(canvas: Canvas) -> None:
        write(canvas, 70, 760, [TITLE], size=24)
        write(canvas, 70, 720, PROSE, size=12)
        write(canvas, 70, 560, ["Les prome-", "neurs viennent à l'automne ramasser des châtaignes."], size=12)

    return picture(drawn(draw))


def text_page(canvas: Canvas) -> None:
    write(canvas, 70, 700, ["Cette page est imprimée et se lit sans peine."])


def scan(image: Image.Image) -> Callable[[Canvas], None]:
    return lambda canvas: canvas.drawImage(ImageReader(image), 0, 0, *A4)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read_image(folder: Path, data: bytes, content_type: str, *, part: Part | None = None) -> Parsed:
    file = folder / "bild"
    file.write_bytes(data)
    return parse(file, "photo", content_type, part=part)


@needs_tesseract
@pytest.mark.parametrize("angle", [0, 90, 180])
def test_a_scanned_french_page_is_read_however_it_lies(tmp_path: Path, page: Image.Image, angle: int) -> None:
    turned = page.rotate(angle, expand=True)
    parsed = read(tmp_path, scanned([turned], A4 if angle % 180 == 0 else A4[::-1]))
    assert parsed.elements == [Element(TITLE, "title", level=1, page=1), Element(WHOLE, page=1), Element(END, page=1)]
    assert parsed.notes == []


@needs_tesseract
def test_only_pages_without_text_are_recognised(tmp_path: Path, page: Image.Image) -> None:
    blank = Image.new("L", (800, 1000), 255)
    parsed = read(tmp_path, drawn(text_page, scan(page), scan(blank), text_page))
    assert [(element.page, element.text) for element in parsed.elements] == [
        (1, "Cette page est imprimée et se lit sans peine."),
        (2, TITLE),
        (2, WHOLE),
        (2, END),
        (4, "Cette page est imprimée et se lit sans peine."),
    ]
    assert parsed.notes == []


@needs_tesseract
def test_a_stamp_printed_on_a_scan_does_not_hide_it(tmp_path: Path, page: Image.Image) -> None:
    def draw(canvas: Canvas) -> None:
        scan(page)(canvas)
        write(canvas, 450, 20, ["PIECE-000123"], size=8)

    assert texts(read(tmp_path, drawn(draw))) == ["PIECE-000123", TITLE, WHOLE, END]


@needs_tesseract
def test_a_scanned_table_keeps_its_rows(tmp_path: Path) -> None:
    rows = (
        ("Année", "Arbres", "Dépenses"),
        ("2019", "120", "340,50"),
        ("2020", "90", "310,00"),
        ("2021", "75", "305,10"),
    )

    def draw(canvas: Canvas) -> None:
        for number, row in enumerate(rows):
            for x, cell in zip((70, 200, 330), row, strict=True):
                write(canvas, x, 700 - 20 * number, [cell], size=12)

    (table,) = read(tmp_path, scanned([picture(drawn(draw))])).elements
    assert table.kind == "table"
    assert table.text == "\n".join(" | ".join(row) for row in rows)


@needs_tesseract
def test_a_picture_without_text_is_noted(tmp_path: Path) -> None:
    noise = Image.effect_noise((800, 1100), 90)
    parsed = read(tmp_path, drawn(text_page, scan(noise)))
    assert parsed.notes == ["page 2 shows no text that could be recognised"]


@needs_tesseract
def test_a_language_that_is_not_installed_is_noted(tmp_path: Path, page: Image.Image) -> None:
    parsed = read(tmp_path, scanned([page]), options=Options(languages=("fra", "xyz")))
    assert parsed.notes == ["was recognised without 'xyz': tesseract lacks the data, tesseract-ocr-xyz has it"]
    with pytest.raises(ParseFailed, match=r"tesseract lacks the data for 'xyz'; install tesseract-ocr-xyz"):
        read(tmp_path, scanned([page]), options=Options(languages=("xyz",)))


@pytest.mark.parametrize(
    ("languages", "reason"),
    [
        pytest.param(("fra", "eng"), "tesseract is not installed; install it with `make ocr`", id="missing"),
        pytest.param((), r"the recognition of scanned pages is switched off \(parsing\.ocr\)", id="off"),
    ],
)
def test_without_recognition_the_rest_is_read_and_the_way_out_is_said(
    tmp_path: Path, page: Image.Image, monkeypatch: pytest.MonkeyPatch, languages: tuple[str, ...], reason: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    options = Options(languages=languages)
    parsed = read(tmp_path, drawn(text_page, scan(page), scan(page), text_page, scan(page)), options=options)
    assert len(parsed.elements) == 2
    (note,) = parsed.notes
    assert note.startswith("pages 2-3, 5 are scanned and were left out: ")
    with pytest.raises(ParseFailed, match=rf"^'f\.pdf' has no text: its pages are scanned, and {reason}"):
        read(tmp_path, scanned([page]), options=options)
    file = tmp_path / "f.png"
    file.write_bytes(saved(page, "PNG"))
    with pytest.raises(ParseFailed, match=rf"^'f\.png' is an image, and {reason}"):
        parse(file, "f.png", "image/png", options=options)


def test_a_page_that_takes_too_long_is_left_out(
    tmp_path: Path, page: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "tesseract"
    slow.write_text('#!/bin/sh\n[ "$1" = --list-langs ] && { echo List; echo eng; echo fra; exit; }\nexec sleep 60\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(tesseract, "_PAGE_TIME_S", 1)
    start = time.monotonic()
    parsed = read(tmp_path, drawn(text_page, scan(page)))
    assert parsed.notes == ["page 2 took longer than 1 s to be recognised, and was left out"]
    assert time.monotonic() - start < 20


@needs_tesseract
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_text_of_an_image_is_read(tmp_path: Path, page: Image.Image, kind: str) -> None:
    found = read_image(tmp_path, saved(page, kind), f"image/{kind.lower()}").elements
    assert [(element.kind, element.page, element.text) for element in found] == [
        ("title", None, TITLE),
        ("text", None, WHOLE),
        ("text", None, END),
    ]


@needs_tesseract
@pytest.mark.parametrize(
    "image",
    [
        pytest.param(lambda page: saved(page.rotate(90, expand=True), "JPEG", exif=exif(6)), id="turned-by-exif"),
        pytest.param(lambda page: saved(transparent(page), "PNG"), id="transparent"),
        pytest.param(lambda page: saved(page.convert("CMYK"), "JPEG"), id="cmyk"),
        pytest.param(lambda page: saved(page.resize((page.width // 2, page.height // 2)), "PNG"), id="small"),
    ],
)
def test_images_are_made_ready(tmp_path: Path, page: Image.Image, image: Callable[[Image.Image], bytes]) -> None:
    data = image(page)
    kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
    assert END in texts(read_image(tmp_path, data, kind))


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def transparent(page: Image.Image) -> Image.Image:
    """Black letters on nothing."""
    image = Image.new("RGBA", page.size, (0, 0, 0, 0))
    image.putalpha(page.point(lambda value: 255 - value))
    return image


@needs_tesseract
def test_the_pages_of_a_tiff_are_read_in_parts(tmp_path: Path, page: Image.Image) -> None:
    other = page.crop((0, 0, page.width, 300))
    data = saved(other, "TIFF", save_all=True, append_images=[other] * 6 + [page])
    file = tmp_path / "scan.tif"
    file.write_bytes(data)
    assert parts_of(file, "scan.tif", "image/tiff") == [Part(1, 6), Part(7, 8)]
    parsed = read_image(tmp_path, data, "image/tiff", part=Part(7, 8))
    assert [(element.page, element.text) for element in parsed.elements] == [
        (7, TITLE),
        (8, TITLE),
        (8, WHOLE),
        (8, END),
    ]
    assert parsed.about == {"pages": 8}
    with pytest.raises(OverLimit, match=r"has 8 pages, more than 7 \(parsing\.max_pages\)"):
        parse(file, "scan.tif", "image/tiff", options=Options(max_pages=7))


@needs_tesseract
def test_an_image_of_gigabytes_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    start = time.monotonic()
    with pytest.raises(OverLimit, match=r"^'photo' has 60000 x 60000 pixels, and at most 150 megapixels are read"):
        read_image(tmp_path, data, "image/png")
    assert time.monotonic() - start < 5


@needs_tesseract
@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\nnothing", b"no image", b"GIF89a"], ids=["cut", "text", "empty"])
def test_a_damaged_image_is_said_to_be_damaged(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ParseFailed, match=r"^'photo' is damaged or not really"):
        read_image(tmp_path, data, "image/png")


@needs_tesseract
def test_an_image_without_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(ParseFailed, match=r"^'photo' has no text"):
        read_image(tmp_path, saved(Image.new("L", (600, 400), 200), "PNG"), "image/png")
