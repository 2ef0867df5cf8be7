"""PDF: the order of reading, paragraphs over columns and pages, running heads, titles, forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from ragline.types import Element
from tests.parsing.printed import PROSE, drawn, read, texts, write

WHOLE = " ".join(PROSE)
LEFT = (
    "À gauche commence un texte qui",
    "remplit toute la colonne jusqu'au",
    "bord et dont les lignes ont presque",
    "toutes la même longueur, sauf une",
    "seule. La dernière phrase passe à",
)
MIDDLE = (
    "la colonne du milieu sans point,",
    "comme dans un journal, et continue",
    "là encore pendant quelques lignes",
    "pour que chaque colonne ait assez",
    "de texte, avant de passer enfin à",
)
RIGHT = (
    "droite, où elle finit. Le reste de",
    "la colonne parle d'autre chose, du",
    "temps qu'il fait en Bretagne quand",
    "le printemps revient et que le vent",
    "du large apporte un peu de pluie.",
)


def beside(canvas: Canvas, y: float, *columns: tuple[float, tuple[str, ...]]) -> None:
    """Print columns row by row, as programs do that know of no columns."""
    for number in range(max(len(lines) for _, lines in columns)):
        for x, lines in columns:
            if number < len(lines):
                write(canvas, x, y - 12 * number, [lines[number]])


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    def page(canvas: Canvas) -> None:
        write(canvas, 70, 780, ["Un titre sur toute la largeur de la page"], size=18)
        write(canvas, 70, 740, [*PROSE[:3], "est longue."])
        beside(canvas, 670, (70, LEFT), (320, RIGHT))
        write(canvas, 70, 580, [f"{PROSE[3]}."])

    assert texts(read(tmp_path, drawn(page))) == [
        "Un titre sur toute la largeur de la page",
        " ".join([*PROSE[:3], "est longue."]),
        " ".join([*LEFT, *RIGHT]),
        f"{PROSE[3]}.",
    ]


def test_three_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    data = drawn(lambda canvas: beside(canvas, 700, (40, LEFT), (220, MIDDLE), (400, RIGHT)))
    assert texts(read(tmp_path, data)) == [" ".join([*LEFT, *MIDDLE, *RIGHT])]


def test_chinese_columns_are_read_one_after_the_other_without_blanks(tmp_path: Path) -> None:
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    left, right = "人人生而自由在尊严和权利上一律平等他们", "赋有理性和良心并应以兄弟关系的精神相对"
    lines = [(left[at:] + left[:at], right[at:] + right[:at]) for at in range(6)]

    def page(canvas: Canvas) -> None:
        for number, row in enumerate(lines):
            for x, text in zip((70, 330), row, strict=True):
                write(canvas, x, 700 - 14 * number, [text], font="STSong-Light")

    assert texts(read(tmp_path, drawn(page))) == ["".join(text for side in zip(*lines, strict=True) for text in side)]


def test_labels_and_values_stay_side_by_side(tmp_path: Path) -> None:
    rows = [("Nom :", "Lefèvre"), ("Prénom :", "Élise"), ("Adresse :", "3 rue des Lilas"), ("Ville :", "Rennes")]

    def page(canvas: Canvas) -> None:
        for number, (label, value) in enumerate(rows):
            write(canvas, 70, 700 - 16 * number, [label])
            write(canvas, 200, 700 - 16 * number, [value])

    assert texts(read(tmp_path, drawn(page))) == [f"{label} {value}" for label, value in rows]


def test_a_paragraph_goes_on_across_a_page_and_a_footnote(tmp_path: Path) -> None:
    def first(canvas: Canvas) -> None:
        write(canvas, 70, 760, ["La forêt"], size=20)
        write(canvas, 70, 200, PROSE[:5])
        write(canvas, 70, 90, ["1. Le chiffre vient de l'enquête de 2019."], size=8)

    found = read(tmp_path, drawn(first, lambda canvas: write(canvas, 70, 760, PROSE[5:]))).elements
    assert found == [
        Element("La forêt", "title", level=1, page=1),
        Element(WHOLE, page=1),
        Element("1. Le chiffre vient de l'enquête de 2019.", "list", page=1),
    ]


def test_text_on_its_side_or_upside_down_is_read(tmp_path: Path) -> None:
    def page(angle: int, x: float, y: float) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            canvas.translate(x, y)
            canvas.rotate(angle)
            write(canvas, 0, 0, PROSE)

        return draw

    data = drawn(page(90, 200, 100), page(180, 500, 300), page(270, 300, 600))
    assert texts(read(tmp_path, data)) == [WHOLE] * 3


def test_letters_set_apart_are_words(tmp_path: Path) -> None:
    def page(canvas: Canvas) -> None:
        text = canvas.beginText(70, 700)
        text.setFont("Helvetica", 11)
        text.setCharSpace(4)
        text.textLine("RAPPORT ANNUEL")
        canvas.drawText(text)
        for number in range(8):
            canvas.drawString(70 + 12 * number, 600, str(number))

    assert texts(read(tmp_path, drawn(page))) == ["RAPPORT ANNUEL", "0 1 2 3 4 5 6 7"]


def test_invisible_text_over_a_scan_is_used(tmp_path: Path) -> None:
    def page(canvas: Canvas) -> None:
        text = canvas.beginText(70, 700)
        text.setTextRenderMode(3)
        text.textLines("\n".join(PROSE))
        canvas.drawText(text)

    assert texts(read(tmp_path, drawn(page))) == [WHOLE]


def book(count: int, *, body: Callable[[int], list[str]], head: str = "Rapport de la forêt") -> bytes:
    def page(number: int) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            write(canvas, 70, 810, [head], size=9)
            write(canvas, 70 if number % 2 else 500, 30, [f"Page {number} / {count}"], size=9)
            write(canvas, 70, 740, body(number))

        return draw

    return drawn(*(page(number) for number in range(1, count + 1)))


def test_running_heads_and_page_numbers_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    parsed = read(tmp_path, book(7, body=lambda number: [f"Article {number}", f"Le numéro {number} est ici.", *PROSE]))
    text = "\n".join(texts(parsed))
    assert "Rapport de la forêt" not in text
    assert "Page" not in text
    assert [f"Article {number}" in text for number in range(1, 8)] == [True] * 7
    assert parsed.notes == ["lines that repeat at the edges of the pages were left out: 'Rapport de la forêt'"]


def test_a_slanted_stamp_on_all_pages_is_left_out_but_the_first_line_of_each_text_is_not(tmp_path: Path) -> None:
    def page(number: int) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            canvas.saveState()
            canvas.translate(300, 400)
            canvas.rotate(45)
            write(canvas, 0, 0, ["CONFIDENTIEL"], size=60)
            canvas.restoreState()
            write(canvas, 70, 715, [f"Page {number} du texte.", *PROSE])

        return draw

    parsed = read(tmp_path, drawn(*(page(number) for number in range(1, 5))))
    assert "CONFIDENTIEL" not in texts(parsed)
    assert [text[:16] for text in texts(parsed) if text.startswith("Page")] == [
        f"Page {n} du texte." for n in range(1, 5)
    ]
    assert parsed.notes == ["lines that repeat at the edges of the pages were left out: 'CONFIDENTIEL'"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(book(1, body=lambda _: list(PROSE)), id="one-page"),
        pytest.param(drawn(*[lambda canvas: write(canvas, 70, 810, ["Attestation", *PROSE])] * 4), id="copies"),
        pytest.param(
            drawn(*[lambda canvas: write(canvas, 70, 800, ["Bulletin de paie"], size=16)] * 4, size=A4), id="large-type"
        ),
    ],
)
def test_what_is_no_running_head_stays(tmp_path: Path, data: bytes) -> None:
    parsed = read(tmp_path, data)
    assert parsed.notes == []
    assert {"Rapport de la forêt", "Attestation", "Bulletin de paie"} & {
        word for text in texts(parsed) for word in (text, text.split(" La ", maxsplit=1)[0])
    }


def test_bold_lines_and_bookmarks_are_titles(tmp_path: Path) -> None:
    def page(canvas: Canvas) -> None:
        canvas.bookmarkPage("a")
        canvas.addOutlineEntry("Les chemins", "a", 0)
        write(canvas, 70, 780, ["Les chemins"])
        write(canvas, 70, 750, PROSE)
        write(canvas, 70, 620, ["2. Les balises"], font="Helvetica-Bold")
        write(canvas, 70, 600, PROSE)
        write(canvas, 70, 470, ["Attention : ceci est écrit en gras, et c'est une phrase."], font="Helvetica-Bold")

    found = read(tmp_path, drawn(page)).elements
    assert [(element.kind, element.level, element.text) for element in found if element.text != WHOLE] == [
        ("title", 1, "Les chemins"),
        ("title", 4, "2. Les balises"),
        ("text", 0, "Attention : ceci est écrit en gras, et c'est une phrase."),
    ]


def test_the_fields_of_a_form_are_read(tmp_path: Path) -> None:
    def page(canvas: Canvas) -> None:
        write(canvas, 70, 760, ["Demande d'inscription"])
        canvas.acroForm.textfield(name="nom", tooltip="Nom de famille", value="Lefèvre", x=70, y=700)
        canvas.acroForm.textfield(name="vide", tooltip="Téléphone", value="", x=70, y=660)
        canvas.acroForm.checkbox(name="oui", tooltip="Accord", checked=True, x=70, y=620)
        canvas.acroForm.checkbox(name="non", tooltip="Refus", checked=False, x=70, y=600)

    assert texts(read(tmp_path, drawn(page))) == ["Demande d'inscription", "Nom de famille: Lefèvre", "Accord: Yes"]


def test_what_the_document_says_of_itself(tmp_path: Path) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setTitle("Étude de la forêt")
        canvas.setAuthor("Élise Lefèvre")
        write(canvas, 70, 700, PROSE)

    about = read(tmp_path, drawn(page, page)).about
    assert {"title": "Étude de la forêt", "author": "Élise Lefèvre", "pages": 2}.items() <= about.items()
    assert str(about["date"])[10] == "T"
    assert "subject" not in about


def test_text_without_a_meaning_counts_as_none(tmp_path: Path) -> None:
    """A font whose letters are all mapped to private characters, as of programs that hide their text."""
    data = drawn(lambda canvas: write(canvas, 70, 700, PROSE))
    cmap = b"/CIDInit /ProcSet findresource begin begincmap 1 beginbfrange <00> <FF> <E000> endbfrange endcmap"
    font = b"/BaseFont /Helvetica"
    assert data.count(font) == 1
    broken = data.replace(font, b"/ToUnicode 99 0 R " + font)
    broken = broken.replace(
        b"xref", b"99 0 obj <</Length %d>> stream\n%s\nendstream endobj\nxref" % (len(cmap), cmap), 1
    )
    from ragline.errors import ParseFailed
    from ragline.pipelines.reading import Options

    with pytest.raises(ParseFailed, match="has no text: its pages are scanned"):
        read(tmp_path, broken, options=Options(languages=()))


def test_a_name_at_the_beginning_of_a_full_line_begins_no_paragraph(tmp_path: Path) -> None:
    left = ("Les stations de pompage qui sont situées à", "Saint-Étienne, Besançon et Orléans ont été", "rénovées.")

    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 18)
        canvas.drawString(60, 780, "1. Activité de l’année")
        canvas.drawString(60, 758, "– première partie")
        canvas.setFont("Helvetica", 10)
        for column in (60, 310):
            for number in range(12):
                text = canvas.beginText(column, 720 - 13 * number)
                line = left[number % 3]
                if number % 3 == 0 or number % 3 == 1:  # set wide, to reach the margin
                    text.setWordSpace((220 - canvas.stringWidth(line)) / line.count(" "))
                text.textLine(line)
                canvas.drawText(text)

    parsed = read(tmp_path, drawn(page))
    assert texts(parsed) == ["1. Activité de l’année – première partie", *[" ".join(left)] * 8]
