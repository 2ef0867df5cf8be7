"""Workbooks of Excel since 2007: values, places, several tables on a sheet, damage and bombs."""

from __future__ import annotations

import datetime
import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl  # type: ignore[import-untyped]  # has no types
import pytest
from openpyxl.comments import Comment  # type: ignore[import-untyped]

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.parse import parse
from ragline.pipelines.parse_types import XLSX
from ragline.pipelines.reading import Options
from ragline.types import Element, Parsed

Read = Callable[..., Parsed]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(content_type: str, data: bytes, password: str | None = None) -> Parsed:
        file = tmp_path / "blob"
        file.write_bytes(data)
        return parse(file, "a", content_type, options=Options(max_chars=10_000_000, password=password))

    return read


def lines(elements: list[Element]) -> list[list[str]]:
    return [element.text.split("\n") for element in elements]


def workbook(book: openpyxl.Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def rezipped(data: bytes, **changed: str | None) -> bytes:
    """Return the workbook with the parts, named without their folder and suffix, replaced or left out."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            key = name.rpartition("/")[2].removesuffix(".xml")
            if changed.get(key, "") is not None:
                new.writestr(name, changed.get(key) or old.read(name))
    return target.getvalue()


def school() -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Élèves"
    sheet["B1"] = "Liste de la classe"
    for row in (["Nom", "Né le", "Taux", "Frais", "Présent", "Total"],):
        for column, text in enumerate(row, start=2):
            sheet.cell(3, column, text)
    sheet["B4"], sheet["C4"], sheet["D4"], sheet["E4"], sheet["F4"], sheet["G4"] = (
        "Zoé",
        datetime.date(2012, 5, 1),
        0.125,
        1234.5,
        True,
        7,
    )
    sheet["D4"].number_format = "0.0%"
    sheet["E4"].number_format = '#,##0.00 "€"'
    sheet["B5"], sheet["C5"] = "Paul", datetime.datetime(2012, 6, 1, 8, 30)
    sheet["B4"].comment = Comment("Déléguée\nde classe", "x")
    book.create_sheet("vide")
    hidden = book.create_sheet("Données")
    hidden.append(["a", "b"])
    hidden.append([1, 2])
    hidden.sheet_state = "hidden"
    book.properties.creator, book.properties.title = "Léa", "Classe"
    return book


def test_a_workbook_has_its_sheets_as_titles_and_the_places_of_its_cells(read: Read) -> None:
    parsed = read(XLSX, workbook(school()))
    title, heading, rows, comment, second, data = parsed.elements
    assert title == Element("Élèves", "title", level=1, page=1, sheet="Élèves")
    assert heading == Element("Liste de la classe", page=1, sheet="Élèves", rows=(1,), columns=("B", "B"))
    assert rows.text.split("\n") == [
        "Nom | Né le | Taux | Frais | Présent | Total",
        "Zoé | 2012-05-01 | 12.5% | 1234.50 € | TRUE | 7",
        "Paul | 2012-06-01 08:30:00",
    ]
    assert (rows.kind, rows.sheet, rows.rows, rows.columns, rows.headers) == (
        "table",
        "Élèves",
        (3, 4, 5),
        ("B", "G"),
        1,
    )
    assert comment.text == "B4: Déléguée de classe"
    assert (second.text, second.page) == ("Données", 3)
    assert data.text == "a | b\n1 | 2"
    assert parsed.about["author"] == "Léa"
    assert parsed.about["title"] == "Classe"
    assert parsed.notes == ["the sheet 'Données' is hidden in the workbook; it was read as the others"]


def test_each_table_of_a_sheet_has_its_own_headings(read: Read) -> None:
    book = openpyxl.Workbook()
    for row in (
        ["Ventes"], ["Mois", "Jours"], ["juin", 2.5], [], ["août", 3], [],
        ["Achats"], ["Produit", "Prix"], ["pomme", 3], [],
        ["Produit", "Prix", "Unité"], ["poire", 4, "kg"], [],
        ["Source : la mairie"],
    ):  # fmt: skip
        book.active.append(row)
    elements = list(read(XLSX, workbook(book)).elements)[1:]
    assert lines(elements) == [
        ["Ventes"],
        ["Mois | Jours", "juin | 2.5", "août | 3"],
        ["Achats"],
        ["Produit | Prix", "pomme | 3"],
        ["Produit | Prix | Unité", "poire | 4 | kg"],
        ["Source : la mairie"],
    ]
    assert [element.rows for element in elements[1:4]] == [(2, 3, 5), (7,), (8, 9)]


def test_cells_that_are_merged_stand_in_each_of_their_rows(read: Read) -> None:
    book = openpyxl.Workbook()
    for row in (["Fruit", "2023", None, "2024"], [None, "T1", "T2", "T1"], ["pomme", 1, 2, 3], [None, 4, 5, 6]):
        book.active.append(row)
    for cells in ("A1:A2", "B1:C1", "A3:A4"):
        book.active.merge_cells(cells)
    (_, rows) = read(XLSX, workbook(book)).elements
    assert rows.text.split("\n") == [
        "Fruit | 2023 | 2023 | 2024",
        "Fruit | T1 | T2 | T1",
        "pomme | 1 | 2 | 3",
        "pomme | 4 | 5 | 6",
    ]
    assert rows.headers == 2


def test_formulas_are_their_last_results_and_those_without_one_are_noted(read: Read) -> None:
    book = openpyxl.Workbook()
    book.active.append(["a", "=1+1", "=2+2"])
    data = rezipped(
        workbook(book),
        sheet1='<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
        '<c r="A1" t="str"><f>"é"</f><v>é</v></c><c r="B1"><f>1+1</f><v>2</v></c><c r="C1"><f>2+2</f></c>'
        '<c r="D1" t="e"><v>#DIV/0!</v></c><c r="E1" t="inlineStr"><is><r><t>en</t></r><r><t> ligne</t></r></is></c>'
        "</row></sheetData></worksheet>",
    )
    parsed = read(XLSX, data)
    assert parsed.elements[1].text == "é | 2 | #DIV/0! | en ligne"
    assert parsed.notes == [
        "the sheet 'Sheet' has formulas without a stored result (1); open the workbook in a spreadsheet program and "
        "save it again"
    ]


@pytest.mark.parametrize("part", ["styles", "core", "theme1"])
def test_a_workbook_may_lack_parts(read: Read, part: str) -> None:
    text = read(XLSX, rezipped(workbook(school()), **{part: None})).elements[0].text
    assert text == "Élèves"


def test_a_workbook_in_the_strict_format_is_read(read: Read) -> None:
    plain = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with zipfile.ZipFile(io.BytesIO(workbook(school()))) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    data = rezipped(workbook(school()), sheet1=sheet.replace(plain, "http://purl.oclc.org/ooxml/spreadsheetml/main"))
    assert read(XLSX, data).elements[1].text == "Liste de la classe"


def by_hand(rows: str, *texts: str) -> bytes:
    """Return a workbook with these rows in XML, whose cells may refer to the texts, and a wrong size."""
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relation = f'<Relationship Id="%s" Type="{office}/%s" Target="%s"/>'
    strings = "".join(f"<si><t>{text}</t></si>" for text in texts)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {
            "_rels/.rels": f'<Relationships xmlns="{package}">{relation}</Relationships>'
            % ("a", "officeDocument", "xl/workbook.xml"),
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}">{relation * 2}</Relationships>'
            % ("a", "worksheet", "worksheets\\a.xml", "b", "sharedStrings", "/xl/strings.xml"),
            "xl/workbook.xml": f'<workbook {main} xmlns:r="{office}"><sheets><sheet name="A" r:id="a"/></sheets>'
            "</workbook>",
            "xl/worksheets/a.xml": f'<worksheet {main}><dimension ref="A1:XFD1048576"/><sheetData>{rows}'
            "</sheetData></worksheet>",
            "xl/strings.xml": f"<sst {main}>{strings}</sst>",
        }.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_declared_size_and_far_cells_cost_nothing(read: Read) -> None:
    rows = (
        '<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>3</v></c></row>'
    )
    start = time.process_time()
    elements = read(XLSX, by_hand(rows)).elements
    assert [(element.text, element.rows, element.columns) for element in elements[1:]] == [
        ("1 | 2", (1,), ("A", "XFD")),
        ("3", (1048576,), ("XFD", "XFD")),
    ]
    assert time.process_time() - start < 2


def test_what_repeats_a_long_text_without_end_is_over_the_limit(read: Read) -> None:
    text = "mot " * 8_000
    rows = "".join(f'<row r="{number}"><c r="A{number}" t="s"><v>0</v></c></row>' for number in range(1, 2_000))
    with pytest.raises(OverLimit, match="more than 10000000 characters"):
        read(XLSX, by_hand(rows, text))


def test_texts_that_are_missing_are_noted(read: Read) -> None:
    row = '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="s"><v>7</v></c></row>'
    parsed = read(XLSX, by_hand(row, "é", "x"))
    assert parsed.elements[1].text == "é | x"
    assert parsed.notes == ["the sheet 'A' has cells whose texts are missing in the file (1)"]


def test_what_xml_cannot_hold_is_unescaped(read: Read) -> None:
    parsed = read(XLSX, by_hand('<row><c t="s"><v>0</v></c><c t="str"><v>_x005F_x0041_</v></c></row>', "é_x000D_\na"))
    assert parsed.elements[1].text == "é a | _x0041_"


def test_a_workbook_with_a_password_is_opened_with_it(read: Read) -> None:
    from msoffcrypto.format.ooxml import OOXMLFile  # type: ignore[import-untyped]  # has no types

    sealed = io.BytesIO()
    OOXMLFile(io.BytesIO(workbook(school()))).encrypt("été", sealed)
    assert read(XLSX, sealed.getvalue(), "été").elements[0].text == "Élèves"
    with pytest.raises(ParseFailed, match="'a' needs a password; give it"):
        read(XLSX, sealed.getvalue())
    with pytest.raises(ParseFailed, match="is not opened by the password that was given"):
        read(XLSX, sealed.getvalue(), "hiver")


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"sheet1": "<worksheet"}, "the sheet 'Élèves' is damaged below row 0; what follows there is missing"),
        ({"styles": "<styleSheet"}, "the formats of the cells are damaged; dates may appear as numbers"),
        ({"comment1": "<a"}, "the comments or text boxes of the sheet 'Élèves' are damaged and were left out"),
    ],
)
def test_of_a_damaged_workbook_the_rest_is_read_and_the_loss_noted(
    read: Read, changed: dict[str, str], note: str
) -> None:
    parsed = read(XLSX, rezipped(workbook(school()), **changed))
    assert "Données" in [element.text for element in parsed.elements]
    assert note in parsed.notes


def test_a_workbook_that_is_none_says_so(read: Read) -> None:
    with pytest.raises(ParseFailed, match="'a' (is damaged|has no text|lacks)"):
        read(XLSX, rezipped(workbook(school()), workbook="<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"))


def test_a_workbook_that_one_library_cannot_read_is_read_by_another_and_this_noted(read: Read) -> None:
    with zipfile.ZipFile(io.BytesIO(workbook(school()))) as archive:
        listed = archive.read("xl/workbook.xml").decode()
    parsed = read(XLSX, rezipped(workbook(school()), workbook=listed.replace("<sheets>", "<sheets><a b=c/>")))
    assert "Élèves" in [element.text for element in parsed.elements]
    assert parsed.notes == [
        "the workbook is damaged; its numbers may look different, and something of it may be missing"
    ]
