"""Texts of LibreOffice: titles, numbered lists, tables, notes, what was deleted and what is embedded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ragline.errors import ParseFailed
from ragline.pipelines.parse import parse
from ragline.pipelines.parse_types import ODT
from ragline.pipelines.reading import Options
from ragline.types import Element, Parsed
from tests.parsing.office_files import saved, zipped
from tests.parsing.test_parse_word import LETTER, texts

_NAMES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for short, name in {
        **{"office": "office", "style": "style", "text": "text", "table": "table", "draw": "drawing", "meta": "meta"},
        **{"fo": "xsl-fo-compatible", "svg": "svg-compatible"},
    }.items()
)
_LINKS = 'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'


def root(kind: str, content: str) -> str:
    return f"<office:{kind} {_NAMES} {_LINKS}>{content}</office:{kind}>"


def text_document(body: str, styles: str = "", parts: Mapping[str, str] | None = None) -> bytes:
    automatic = f"<office:automatic-styles>{styles}</office:automatic-styles>"
    content = root("document-content", f"{automatic}<office:body><office:text>{body}</office:text></office:body>")
    return zipped({"content.xml": content, **(parts or {})})


def read(tmp_path: Path, data: bytes) -> Parsed:
    file = tmp_path / "blob"
    file.write_bytes(data)
    return parse(file, "a.odt", ODT, options=Options(engine="fast"))


def test_a_text_of_libreoffice_is_read_with_its_pages(tmp_path: Path) -> None:
    parsed = read(tmp_path, saved("regles.odt"))
    assert [Element(e.text, e.kind, level=e.level) for e in parsed.elements[:12]] == LETTER
    assert parsed.elements[12].text == "Mois | Jours fériés\naoût | 2,5 | Léa\naoût | 3 | Noël"
    assert parsed.elements[12].headers == 1
    assert [(element.page, element.text) for element in parsed.elements[13:]] == [
        (2, "Après le saut de page, voir le site français."),
        (2, "Encadré à part"),
        (2, "Ελληνικά, русский, 日本語 et emoji 😀 fin."),
        (2, "[i] Note de fin numéro un."),
        (None, "Pied de page confidentiel"),
    ]
    assert parsed.about == {"title": "Règlement intérieur", "author": "Zoé Lefèvre", "pages": 2}


def test_what_was_deleted_or_noted_by_reviewers_is_no_text(tmp_path: Path) -> None:
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>effacé</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes>"
        '<text:p>Le<text:s text:c="2"/>texte<office:annotation><text:p>avis</text:p></office:annotation>'
        "<text:tab/>reste<text:line-break/>là.</text:p>"
    )
    parsed = read(tmp_path, text_document(body))
    assert texts(parsed) == ["text Le texte reste\nlà."]
    assert parsed.notes == ["1 comment of reviewers left out"]


def test_titles_are_known_by_their_styles_as_well(tmp_path: Path) -> None:
    styles = (
        '<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>'
        '<style:style style:name="P2" style:family="paragraph" style:parent-style-name="Titre_20_2"/>'
        '<style:style style:name="P3" style:family="paragraph" style:parent-style-name="P3"/>'
        '<style:style style:name="P4" style:family="paragraph" style:parent-style-name="Preformatted_20_Text"/>'
    )
    body = "".join(f'<text:p text:style-name="P{number}">{number}</text:p>' for number in range(1, 5))
    assert texts(read(tmp_path, text_document(body, styles))) == ["title1 1", "title2 2", "text 3", "code 4"]


def test_numbers_of_lists_go_on_where_the_text_says_so(tmp_path: Path) -> None:
    level = '<text:list-level-style-number text:level="1" style:num-format="{}" style:num-suffix=")"/>'
    deeper = '<text:list-level-style-number text:level="2" style:num-format="1" text:display-levels="2"/>'
    styles = f'<text:list-style style:name="L">{level.format("A")}{deeper}</text:list-style>'

    def items(*names: str, said: str = "") -> str:
        inside = "".join(f"<text:list-item><text:p>{name}</text:p></text:list-item>" for name in names)
        return f'<text:list text:style-name="L" {said}>{inside}</text:list>'

    nested = "<text:list><text:list-item><text:p>c</text:p></text:list-item></text:list>"
    body = items("a", "b").replace("<text:p>b</text:p>", f"<text:p>b</text:p>{nested}")
    body += items("d", said='text:continue-numbering="true"') + items("e")
    expected = ["list A) a", "list B) b", "list   B.1 c", "list C) d", "list A) e"]
    assert texts(read(tmp_path, text_document(body, styles))) == expected


def test_cells_that_are_repeated_as_padding_cost_nothing(tmp_path: Path) -> None:
    cell = "<table:table-cell{}><text:p>{}</text:p></table:table-cell>"
    twice = ' table:number-columns-repeated="2"'
    rows = f"<table:table-row>{cell.format('', 'a')}{cell.format('', 'b')}</table:table-row>"
    rows += f"<table:table-row>{cell.format('', '1')}{cell.format(twice, '2')}</table:table-row>"
    rows += '<table:table-row table:number-rows-repeated="1000000"><table:table-cell/></table:table-row>'
    (table,) = read(tmp_path, text_document(f"<table:table>{rows}</table:table>")).elements
    assert table.text == "a | b\n1 | 2 | 2"


def test_a_formula_and_a_chart_in_the_text_are_read(tmp_path: Path) -> None:
    frame = '<draw:frame><draw:object xlink:href="./Object {}"/></draw:frame>'
    math = '<math xmlns="http://www.w3.org/1998/Math/MathML"><mi>x</mi><mo>=</mo><mn>2</mn></math>'
    chart = root(
        "document-content",
        "<table:table><table:table-row><table:table-cell><text:p>T1</text:p></table:table-cell>"
        "<table:table-cell><text:p>3</text:p></table:table-cell></table:table-row></table:table>",
    )
    parts = {"Object 1/content.xml": math, "Object 2/content.xml": chart}
    body = f"<text:p>Soit {frame.format(1)}</text:p><text:p>{frame.format(2)}{frame.format('../../etc')}</text:p>"
    assert texts(read(tmp_path, text_document(body, parts=parts))) == ["text Soit", "text x = 2", "table T1 | 3"]


def test_an_encrypted_text_says_so(tmp_path: Path) -> None:
    manifest = (
        '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        '<m:file-entry m:full-path="content.xml"><m:encryption-data/></m:file-entry></m:manifest>'
    )
    with pytest.raises(ParseFailed, match="'a.odt' needs a password; save it without one"):
        read(tmp_path, zipped({"content.xml": "\x01\x02", "META-INF/manifest.xml": manifest}))
