"""PDFs for tests, drawn line by line, and pictures of their pages."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pypdfium2
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ragline.pipelines.parse import Options, Part, parse
from ragline.types import Parsed

PROSE = (
    "La forêt couvre une grande partie de la commune et les habitants y",
    "trouvent du bois, des champignons et le calme dont ils ont besoin après",
    "une longue semaine. Les chemins sont entretenus par une association qui",
    "compte une centaine de membres, dont beaucoup sont à la retraite. Chaque",
    "printemps, ils retirent les arbres tombés pendant les tempêtes et",
    "peignent de nouveau les balises. Le conseil municipal leur verse une",
    "petite aide, mais la plus grande partie de leurs dépenses est couverte par",
    "les dons des promeneurs. Les écoles viennent souvent avec leurs élèves.",
)
SIZE = 10.0


def drawn(*pages: Callable[[Canvas], None], size: tuple[float, float] = A4) -> bytes:
    """A PDF with one page for each function, which draws on it."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def write(
    canvas: Canvas, x: float, y: float, lines: Iterable[str], *, size: float = SIZE, font: str = "Helvetica"
) -> None:
    """Print lines below each other, the first at (x, y)."""
    canvas.setFont(font, size)
    for number, line in enumerate(lines):
        canvas.drawString(x, y - 1.2 * size * number, line)


def read(folder: Path, data: bytes, *, options: Options | None = None, part: Part | None = None) -> Parsed:
    """Parse the bytes as `f.pdf`."""
    file = folder / "f.pdf"
    file.write_bytes(data)
    return parse(file, "f.pdf", "application/pdf", options=options or Options(), part=part)


def texts(parsed: Parsed) -> list[str]:
    return [element.text for element in parsed.elements]


def picture(data: bytes, *, page: int = 0, dpi: int = 200) -> Image.Image:
    """A page of a PDF as a scanner sees it."""
    document = pypdfium2.PdfDocument(data)
    image: Image.Image = document[page].render(scale=dpi / 72, grayscale=True).to_pil()
    document.close()
    return image


def scanned(pictures: Sequence[Image.Image], size: tuple[float, float] = A4) -> bytes:
    """A PDF whose pages are pictures only."""

    def draw(image: Image.Image) -> Callable[[Canvas], None]:
        return lambda canvas: canvas.drawImage(ImageReader(image), 0, 0, *size)

    return drawn(*(draw(image) for image in pictures), size=size)
