"""PDF: what is a table, with its cells, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from tests.parsing.printed import PROSE, drawn, read, texts, write
from tests.parsing.test_parse_pdf_layout import LEFT, RIGHT, beside

ROWS = (
    ("Produit", "Quantité", "Prix"),
    ("Pommes", "12", "3,50 €"),
    ("Poires d'été", "7", "2,10 €"),
    ("Kiwis", "9", "4 €"),
)
LINES = "Produit | Quantité | Prix\nPommes | 12 | 3,50 €\nPoires d'été | 7 | 2,10 €\nKiwis | 9 | 4 €"


def cells(canvas: Canvas, y: float, rows: tuple[tuple[str, ...], ...], xs: tuple[float, ...], step: float = 20) -> None:
    for number, row in enumerate(rows):
        for x, cell in zip(xs, row, strict=True):
            write(canvas, x, y - step * number, [cell])


def test_aligned_cells_are_a_table_between_paragraphs(tmp_path: Path) -> None:
    def page(canvas: Canvas) -> None:
        write(canvas, 70, 780, PROSE)
        cells(canvas, 660, ROWS, (70, 200, 300), step=14)
        write(canvas, 70, 590, PROSE)

    before, table, after = read(tmp_path, drawn(page)).elements
    assert before.text == after.text == " ".join(PROSE)
    assert (table.kind, table.text, table.page, table.headers) == ("table", LINES, 1, 1)
    assert table.html
    assert table.html.count("<tr>") == 4
    assert "<th>Quantité</th>" in table.html


def test_a_ruled_table_keeps_its_cells_of_several_lines(tmp_path: Path) -> None:
    def page(canvas: Canvas) -> None:
        canvas.grid((65, 195, 495), (730, 705, 670, 635))
        write(canvas, 70, 712, ["Terme"])
        write(canvas, 200, 712, ["Définition"])
        write(canvas, 70, 690, ["Chêne"])
        write(
            canvas,
            200,
            690,
            ["Un grand arbre de nos forêts dont les feuilles sont", "lobées et les fruits des glands."],
        )
        write(canvas, 70, 655, ["Hêtre"])
        write(canvas, 200, 655, ["Un arbre à l'écorce lisse, qui forme de belles fu-", "taies."])

    (table,) = read(tmp_path, drawn(page)).elements
    assert table.kind == "table"
    assert table.text == (
        "Terme | Définition\n"
        "Chêne | Un grand arbre de nos forêts dont les feuilles sont lobées et les fruits des glands.\n"
        "Hêtre | Un arbre à l'écorce lisse, qui forme de belles futaies."
    )


def test_empty_cells_of_a_ruled_table_keep_their_place(tmp_path: Path) -> None:
    rows = (("Mois", "Entrées", "Sorties"), ("Juin", "", "40"), ("Août", "", ""), ("Été", "12", ""))

    def page(canvas: Canvas) -> None:
        canvas.grid((65, 195, 295, 395), (720, 700, 680, 660, 640))
        cells(canvas, 705, rows, (70, 200, 300))

    (table,) = read(tmp_path, drawn(page)).elements
    assert table.text.splitlines()[1].split(" | ") == ["Juin", "", "40"]
    assert table.text.splitlines()[3].startswith("Été | 12")


def test_a_table_in_a_column_does_not_take_the_other_column(tmp_path: Path) -> None:
    rows = (("Année", "Arbres", "Coût"), ("2019", "120", "340"), ("2020", "90", "310"), ("2021", "75", "305"))

    def page(canvas: Canvas) -> None:
        beside(canvas, 780, (70, LEFT * 2), (320, RIGHT * 3))
        cells(canvas, 640, rows, (70, 130, 190), step=12)

    parsed = read(tmp_path, drawn(page))
    assert [element.text for element in parsed.elements if element.kind == "table"] == [
        "Année | Arbres | Coût\n2019 | 120 | 340\n2020 | 90 | 310\n2021 | 75 | 305"
    ]
    assert " ".join(RIGHT * 3) in "\n".join(texts(parsed))


def references(canvas: Canvas) -> None:
    for number, line in enumerate(PROSE):
        write(canvas, 70, 700 - 14 * number, [f"[{number}]"])
        write(canvas, 100, 700 - 14 * number, [line])


def equations(canvas: Canvas) -> None:
    for number in range(4):
        write(canvas, 100, 700 - 20 * number, [f"x{number} = y{number} + z{number}"])
        write(canvas, 480, 700 - 20 * number, [f"({number + 1})"])


def frames(canvas: Canvas) -> None:
    canvas.grid((60, 310, 560), (720, 560, 400))
    for x in (65, 315):
        for y in (705, 545):
            write(canvas, x, y, (*LEFT, *RIGHT, *LEFT, *RIGHT)[:12])


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(lambda canvas: beside(canvas, 700, (70, LEFT), (320, RIGHT)), id="columns"),
        pytest.param(lambda canvas: beside(canvas, 700, (70, LEFT[:3]), (320, RIGHT[:3])), id="short-columns"),
        pytest.param(references, id="references"),
        pytest.param(equations, id="equations"),
        pytest.param(frames, id="frames"),
        pytest.param(lambda canvas: write(canvas, 70, 700, PROSE * 3), id="prose"),
    ],
)
def test_prose_is_no_table(tmp_path: Path, page: object) -> None:
    assert callable(page)
    assert {element.kind for element in read(tmp_path, drawn(page)).elements} <= {"text", "list"}
