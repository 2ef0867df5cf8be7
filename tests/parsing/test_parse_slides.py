"""Presentations: slides are pages, in the order in which they are read, with their tables, charts and notes."""

from __future__ import annotations

import io
from pathlib import Path

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ragline.errors import OverLimit
from ragline.pipelines.parse import parse
from ragline.pipelines.parse_types import ODP, PPT, PPTX
from ragline.pipelines.reading import Options
from ragline.types import Element, Parsed
from tests.parsing.office_files import saved

FAST = Options(engine="fast")


def read(tmp_path: Path, data: bytes, content_type: str = PPTX, options: Options = FAST) -> Parsed:
    file = tmp_path / "blob"
    file.write_bytes(data)
    return parse(file, "a.pptx", content_type, options=options)


def deck() -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Budget 2026"
    frame = slide.placeholders[1].text_frame
    frame.text = "Dépenses en baisse"
    more = frame.add_paragraph()
    more.text, more.level = "à surveiller", 1
    slide.notes_slide.notes_text_frame.text = "Demander à Zoé d’abord"

    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    for text, left, top in (("à droite", 5, 1), ("tout en bas", 1, 5), ("à gauche", 1, 1.05)):
        slide.shapes.add_textbox(Inches(left), Inches(top), Inches(3), Inches(1)).text_frame.text = text
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(3), Inches(3), Inches(1)).text_frame.text = "au milieu"
    slide._element.set("show", "0")

    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Élèves"
    table = slide.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for number, text in enumerate(["Nom", "Notes", "", "Léa", "12,5", "9", "", "14", "8"]):
        table.cell(number // 3, number % 3).text = text
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(1, 0).merge(table.cell(2, 0))

    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    data = CategoryChartData()  # type: ignore[no-untyped-call]  # has no types
    data.categories = ["T1", "T2"]
    data.add_series("Ventes", (1.5, 2))  # type: ignore[no-untyped-call]  # has no types
    kind, place = XL_CHART_TYPE.COLUMN_CLUSTERED, [Inches(1)] * 4
    chart = slide.shapes.add_chart(kind, *place, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Évolution"
    presentation.core_properties.title = "Le budget"
    presentation.core_properties.author = "Zoé"
    buffer = io.BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()


def test_a_presentation_is_read_slide_by_slide(tmp_path: Path) -> None:
    parsed = read(tmp_path, deck())
    assert list(parsed.elements) == [
        Element("Budget 2026", "title", level=1, page=1),
        Element("- Dépenses en baisse", "list", page=1),
        Element("  - à surveiller", "list", page=1),
        Element("Demander à Zoé d’abord", page=1),
        Element("à gauche", "title", level=1, page=2),
        Element("à droite", page=2),
        Element("au milieu", page=2),
        Element("tout en bas", page=2),
        Element("Élèves", "title", level=1, page=3),
        Element(
            "Nom | Notes\nLéa | 12,5 | 9\nLéa | 14 | 8",
            "table",
            page=3,
            html='<table><tr><th>Nom</th><th colspan="2">Notes</th></tr><tr><td>Léa</td><td>12,5</td><td>9</td></tr>'
            "<tr><td>Léa</td><td>14</td><td>8</td></tr></table>",
            headers=1,
        ),
        Element("Évolution", "title", level=1, page=4),
        Element(
            " | Ventes\nT1 | 1.5\nT2 | 2",
            "table",
            page=4,
            html="<table><tr><th></th><th>Ventes</th></tr><tr><td>T1</td><td>1.5</td></tr>"
            "<tr><td>T2</td><td>2</td></tr></table>",
            headers=1,
        ),
    ]
    assert parsed.notes == ["slide 2 is hidden when the presentation is shown, but read here"]
    assert parsed.about["title"] == "Le budget"
    assert parsed.about["author"] == "Zoé"
    assert parsed.about["pages"] == 4


@pytest.mark.parametrize(
    ("name", "content_type"), [pytest.param("budget.ppt", PPT, id="ppt"), pytest.param("budget.odp", ODP, id="odp")]
)
def test_other_formats_of_slides_are_read_alike(tmp_path: Path, name: str, content_type: str) -> None:
    parsed = read(tmp_path, saved(name), content_type)
    assert [(element.page, element.text.lstrip(" -")) for element in parsed.elements] == [
        (1, "Budget de l’année 2026"),
        (1, "Dépenses en baisse"),
        (1, "à surveiller"),
        (1, "Demander à Zoé d’abord"),
        (2, "Tableau des élèves"),
        (2, "Nom | Note\nLéa | 12,5"),
        (3, "à gauche"),
        (3, "à droite"),
    ]
    assert [element.text for element in parsed.elements if element.kind == "title"] == [
        "Budget de l’année 2026",
        "Tableau des élèves",
        "à gauche",
    ]
    assert parsed.elements[5].html == (
        "<table><tr><th>Nom</th><th>Note</th></tr><tr><td>Léa</td><td>12,5</td></tr></table>"
    )
    assert parsed.notes == ["slide 3 is hidden when the presentation is shown, but read here"]
    assert parsed.about["title"] == "Présentation"
    assert parsed.about["pages"] == 3


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        pytest.param("", PPTX, id="pptx"),
        pytest.param("budget.ppt", PPT, id="ppt"),
        pytest.param("budget.odp", ODP, id="odp"),
    ],
)
def test_too_many_slides_are_refused(tmp_path: Path, name: str, content_type: str) -> None:
    with pytest.raises(OverLimit, match=r"slides.*parsing\.max_pages"):
        read(tmp_path, saved(name) if name else deck(), content_type, Options(engine="fast", max_pages=2))
