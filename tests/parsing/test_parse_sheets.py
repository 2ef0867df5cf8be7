"""Spreadsheets of LibreOffice, and of Excel before 2007."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ragline.errors import ParseFailed
from ragline.pipelines.parse import parse
from ragline.pipelines.parse_types import ODS, XLS
from ragline.pipelines.reading import Options
from ragline.types import Parsed

FILES = Path(__file__).parent / "files"

Read = Callable[[str, bytes], Parsed]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(content_type: str, data: bytes) -> Parsed:
        file = tmp_path / "blob"
        file.write_bytes(data)
        return parse(file, "a", content_type, options=Options(max_chars=10_000_000))

    return read


def ods(sheets: str, *, styles: str = "", manifest: str = "") -> bytes:
    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text", "style", "draw", "manifest")
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            f"<office:document-content {names}><office:automatic-styles>{styles}</office:automatic-styles><office:body>"
            f"<office:spreadsheet>{sheets}</office:spreadsheet></office:body></office:document-content>",
        )
        if manifest:
            archive.writestr("META-INF/manifest.xml", f"<manifest:manifest {names}>{manifest}</manifest:manifest>")
    return buffer.getvalue()


def cell(text: str, **attributes: str) -> str:
    said = " ".join(f'{name.replace("__", ":").replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f"<table:table-cell {said}><text:p>{text}</text:p></table:table-cell>"


def test_a_sheet_of_libreoffice_keeps_values_and_places(read: Read) -> None:
    empty = (
        '<table:table-row table:number-rows-repeated="1048000">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
    )
    rows = (
        f"<table:table-row><table:table-cell/>{cell('Nom')}{cell('Né le')}{cell('Frais')}</table:table-row>"
        '<table:table-row table:number-rows-repeated="2"><table:table-cell/>'
        f"{cell('Zo<text:s/>é', table__number_rows_spanned='1')}"
        f"{cell('01/05/12', office__value_type='date', office__date_value='2012-05-01T00:00:00')}"
        f"{cell('1 234,50 €', office__value_type='currency', office__value='1234.5')}"
        f"{cell('3,1', office__value_type='float', office__value='3.14')}"
        "<table:table-cell><office:annotation><text:p>à voir</text:p></office:annotation></table:table-cell>"
        "</table:table-row>"
    )
    hidden = f"<table:table-row>{cell('x', table__number_columns_repeated='3')}</table:table-row>"
    parsed = read(
        ODS,
        ods(
            f'<table:table table:name="Élèves">{rows}{empty}</table:table><table:table table:name="vide"/>'
            f'<table:table table:name="B" table:style-name="ta2">{empty}{hidden}</table:table>',
            styles='<style:style style:name="ta2"><style:table-properties table:display="false"/></style:style>',
        ),
    )
    title, found, comment, _, far = parsed.elements
    assert title.text == "Élèves"
    assert (
        found.text
        == "Nom | Né le | Frais\nZo é | 2012-05-01 | 1 234,50 € | 3.14\nZo é | 2012-05-01 | 1 234,50 € | 3.14"
    )
    assert (found.rows, found.columns, found.headers) == ((1, 2, 3), ("B", "E"), 1)
    assert comment.text == "F2: à voir"
    assert (far.text, far.rows, far.columns, far.page) == ("x | x | x", (1048001,), ("A", "C"), 3)
    assert parsed.notes == ["the sheet 'B' is hidden in the workbook; it was read as the others"]


def test_repeated_cells_are_bounded_and_noted(read: Read) -> None:
    many = cell("x", table__number_columns_repeated="16384")
    row = f'<table:table-row table:number-rows-repeated="1048576">{many}</table:table-row>'
    start = time.process_time()
    parsed = read(ODS, ods(f'<table:table table:name="A">{row}</table:table>'))
    assert parsed.notes == [
        "cell A1 of the sheet 'A' is repeated 16384 times; it was read 1000 times",
        "row 1 of the sheet 'A' is repeated 1048576 times; it was read 1000 times",
    ]
    assert sum(element.text.count("x") for element in parsed.elements) == 1_000_000
    assert time.process_time() - start < 20


def test_more_repeats_than_a_sheet_of_people_has_are_refused(read: Read) -> None:
    many = cell("été", table__number_columns_repeated="16384")
    row = f'<table:table-row table:number-rows-repeated="1048576">{many}</table:table-row>'
    with pytest.raises(ParseFailed, match=r"'a' says of filled cells that they are repeated, to more than 2000000 cha"):
        read(ODS, ods(f'<table:table table:name="A">{row}</table:table>'))


def test_an_encrypted_sheet_of_libreoffice_needs_a_password(read: Read) -> None:
    with pytest.raises(ParseFailed, match="'a' needs a password"):
        read(ODS, ods("", manifest="<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>"))


def record(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def old_sheet() -> bytes:
    """Return a worksheet of Excel 2: a stream of records without a container."""
    at = struct.Struct("<HH3x")
    texts = [(0, 0, "Nom"), (0, 1, "Âge"), (2, 0, "Zoé")]
    return b"".join(
        (
            record(0x0009, struct.pack("<HH", 2, 0x10)),
            record(0x0042, struct.pack("<H", 1252)),
            *(
                record(0x0004, at.pack(row, column) + bytes([len(text)]) + text.encode("cp1252"))
                for row, column, text in texts
            ),
            record(0x0003, at.pack(2, 1) + struct.pack("<d", 12.5)),
            record(0x000A),
        )
    )


def test_a_sheet_of_an_old_excel_is_read(read: Read) -> None:
    _, rows = read(XLS, old_sheet()).elements
    assert (rows.text, rows.rows, rows.columns) == ("Nom | Âge\nZoé | 12.5", (1, 3), ("A", "B"))


def test_a_workbook_of_excel_97_keeps_values_and_places(read: Read) -> None:
    parsed = read(XLS, (FILES / "classe.xls").read_bytes())
    assert [(element.text, element.rows, element.columns, element.page) for element in parsed.elements] == [
        ("Élèves", (), None, 1),
        ("Liste de la classe", (1,), ("B", "B"), 1),
        (
            "Nom | Né le | Taux | Frais | Présent | Total | Heure\n"
            "Zoé | 2012-05-01 | 12.5% | 1234.50 € | TRUE | 2 | 08:30:00\n"
            "Paul | 2012-06-01 08:30:00 | 50.0% | -3.00 € | FALSE | #DIV/0! | 36:00:00",
            (3, 4, 5),
            ("B", "H"),
            1,
        ),
        (
            "Fruit | 2023 | 2023 | 2024\nFruit | T1 | T2 | T1\npomme | 27 | 36 | 45\npomme | 30 | 40 | 50",
            (7, 8, 9, 10),
            ("B", "E"),
            1,
        ),
        ("B4: Déléguée", (), None, 1),
        ("Caché", (), None, 2),
        ("a | b\n1 | 2", (1, 2), ("A", "B"), 2),
    ]
    assert parsed.notes == ["the sheet 'Caché' is hidden in the workbook; it was read as the others"]


def test_a_damaged_old_workbook_says_so(read: Read) -> None:
    with pytest.raises(ParseFailed, match="'a' is damaged"):
        read(XLS, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600)
