"""Word documents: what Word shows is what is read, once, in its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragline.errors import ParseFailed
from ragline.pipelines.parse import parse
from ragline.pipelines.parse_types import DOC, DOCX, RTF
from ragline.pipelines.reading import Options
from ragline.types import Element, Parsed
from tests.parsing.office_files import paragraph, part, saved, unzipped, word, zipped

FAST = Options(engine="fast")
LETTER = [
    Element("Société Crème & Œufs"),
    Element("Règlement intérieur", "title", level=1),
    Element("Congés payés", "title", level=1),
    Element("Chaque salarié a droit à deux jours et demi par mois, c’est la règle — « toujours » … 10 €."),
    Element("[1] Article L3141-3 du code du travail, à l’œuvre."),
    Element("Démarche à suivre", "title", level=2),
    Element("1. remplir le formulaire", "list"),
    Element("  a) en ligne", "list"),
    Element("  b) sur papier", "list"),
    Element("2. le signer", "list"),
    Element("- puce première", "list"),
    Element("- puce seconde", "list"),
]


def read(tmp_path: Path, data: bytes, content_type: str = DOCX) -> Parsed:
    file = tmp_path / "blob"
    file.write_bytes(data)
    return parse(file, "a.docx", content_type, options=FAST)


def texts(parsed: Parsed) -> list[str]:
    return [f"{element.kind}{element.level or ''} {element.text}" for element in parsed.elements]


@pytest.mark.parametrize(
    ("name", "content_type"), [pytest.param("regles.doc", DOC, id="doc"), pytest.param("regles.rtf", RTF, id="rtf")]
)
def test_an_old_document_keeps_titles_lists_notes_and_accents(tmp_path: Path, name: str, content_type: str) -> None:
    parsed = read(tmp_path, saved(name), content_type)
    assert list(parsed.elements[:12]) == LETTER
    table = parsed.elements[12]
    assert table.text.splitlines()[:2] == ["Mois | Jours fériés", "août | 2,5 | Léa"]
    assert (table.kind, table.headers, (table.html or "").count("<tr>")) == ("table", 1, 3)
    after = [element.text for element in parsed.elements[13:]]
    assert "Après le saut de page, voir le site français." in after
    assert "Ελληνικά, русский, 日本語 et emoji 😀 fin." in after
    assert "Encadré à part" in after
    assert "[1] Note de fin numéro un." in after
    assert after[-1] == "Pied de page confidentiel"
    assert parsed.about == {"title": "Règlement intérieur", "author": "Zoé Lefèvre"}


def test_a_document_of_word_95_is_refused(tmp_path: Path) -> None:
    before, _, after = saved("regles.doc").partition(b"\xec\xa5")
    data = before + b"\xec\xa5\x65\x00" + after[2:]
    with pytest.raises(ParseFailed, match="'a.docx' comes from Word 95 or before"):
        read(tmp_path, data, DOC)


STYLES = part(
    "styles",
    """<w:style w:type="paragraph" w:styleId="T1"><w:name w:val="Titre 1"/></w:style>
    <w:style w:type="paragraph" w:styleId="Own"><w:name w:val="Chapitre"/><w:basedOn w:val="T1"/></w:style>
    <w:style w:type="paragraph" w:styleId="Out"><w:name w:val="Section"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr>
    </w:style>
    <w:style w:type="paragraph" w:styleId="Ti"><w:name w:val="Title"/></w:style>
    <w:style w:type="paragraph" w:styleId="Code"><w:name w:val="HTML Preformatted"/></w:style>
    <w:style w:type="paragraph" w:styleId="Loop"><w:name w:val="Boucle"/><w:basedOn w:val="Loop"/></w:style>
    <w:style w:type="paragraph" w:styleId="Art"><w:name w:val="Article"/><w:pPr><w:numPr><w:numId w:val="2"/></w:numPr>
    <w:outlineLvl w:val="1"/></w:pPr></w:style>""",
)
NUMBERING = part(
    "numbering",
    """<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="decimal"/>
    <w:lvlText w:val="%1."/></w:lvl><w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerRoman"/>
    <w:lvlText w:val="%1.%2)"/></w:lvl></w:abstractNum>
    <w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/>
    <w:lvlText w:val="Article %1 –"/></w:lvl></w:abstractNum>
    <w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
    <w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/>
    </w:lvlOverride></w:num>""",
)


def styled(text: str, style: str) -> str:
    return paragraph(text, f'<w:pStyle w:val="{style}"/>')


def listed(text: str, number: int, depth: int = 0) -> str:
    return paragraph(text, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr>')


def test_titles_are_known_by_outline_french_name_and_what_they_are_based_on(tmp_path: Path) -> None:
    body = styled("Été", "T1") + styled("Plage", "Own") + styled("Sable", "Out") + styled("Le livre", "Ti")
    body += styled("a = 1", "Code") + styled("  b = 2", "Code") + styled("texte", "Loop") + styled("x" * 301, "T1")
    assert texts(read(tmp_path, word(body, {"styles": STYLES}))) == [
        "title1 Été",
        "title1 Plage",
        "title3 Sable",
        "title1 Le livre",
        "code a = 1\n  b = 2",
        "text texte",
        f"text {'x' * 301}",
    ]


def test_numbers_are_those_that_word_shows(tmp_path: Path) -> None:
    body = listed("a", 1) + listed("b", 1, 1) + listed("c", 1, 1) + listed("d", 1) + listed("e", 1, 1)
    body += styled("Durée", "Art") + listed("f", 3) + styled("Prix", "Art") + listed("g", 1)
    assert texts(read(tmp_path, word(body, {"styles": STYLES, "numbering": NUMBERING}))) == [
        "list 3. a",
        "list   3.i) b",
        "list   3.ii) c",
        "list 4. d",
        "list   4.i) e",
        "title2 Article I – Durée",
        "list 1. f",
        "title2 Article II – Prix",
        "list 2. g",
    ]


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        pytest.param(
            f"<w:ins>{run('gardé')}</w:ins><w:del><w:r><w:delText>x</w:delText></w:r></w:del>", "gardé", id="ins"
        ),
        pytest.param(f"<w:moveFrom>{run('x')}</w:moveFrom><w:moveTo>{run('là')}</w:moveTo>", "là", id="moved"),
        pytest.param(f'<w:hyperlink r:id="r9">{run("le lien")}</w:hyperlink>', "le lien", id="link"),
        pytest.param(f"<w:sdt><w:sdtContent>{run('choisi')}</w:sdtContent></w:sdt>", "choisi", id="control"),
        pytest.param(run("caché", "<w:vanish/>") + run("vu", '<w:vanish w:val="0"/>'), "vu", id="hidden"),
        pytest.param(
            '<w:r><w:fldChar w:fldCharType="begin"/><w:instrText> PAGEREF x </w:instrText>'
            '<w:fldChar w:fldCharType="separate"/></w:r>'
            + run("12")
            + '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
            + run(" fin"),
            "12 fin",
            id="field",
        ),
        pytest.param('<w:r><w:fldChar w:fldCharType="begin"/></w:r>' + run("x"), "suite", id="field-never-ended"),
        pytest.param('<w:r><w:sym w:font="Symbol" w:char="F061"/></w:r>' + run(" rad"), "α rad", id="symbol"),
        pytest.param(
            "<m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
            "<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath>",
            "(a+b)/2x^2",
            id="equation",
        ),
        pytest.param(
            '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData>'
            '</w:fldChar></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>' + run("oui"),
            "☒ oui",
            id="tick-box",
        ),
        pytest.param("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:noBreakHyphen/><w:t>c</w:t></w:r>", "a b-c", id="tab"),
    ],
)
def test_the_text_of_a_paragraph_is_what_is_shown(tmp_path: Path, inside: str, expected: str) -> None:
    parsed = read(tmp_path, word(f"<w:p>{inside}</w:p>" + paragraph("suite")))
    assert parsed.elements[0].text == expected


BOX = "<w:txbxContent>{}</w:txbxContent>"


def test_a_text_box_is_read_once_though_it_is_written_twice(tmp_path: Path) -> None:
    box = BOX.format(paragraph("Encadré"))
    body = (
        f'<w:p>{run("avant")}<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wps:txbx>{box}</wps:txbx>'
        f"</w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert texts(read(tmp_path, word(body))) == ["text avant", "text Encadré"]


def test_notes_follow_their_paragraph_and_heads_come_once(tmp_path: Path) -> None:
    notes = '<w:footnote w:type="separator" w:id="-1"><w:p/></w:footnote>'
    notes += f'<w:footnote w:id="2">{paragraph("La note.")}</w:footnote>'
    body = f'<w:p>{run("Le texte")}<w:r><w:footnoteReference w:id="2"/></w:r>{run(" suit.")}</w:p>' + paragraph("Fin")
    parts = {
        "footnotes": part("footnotes", notes),
        "header1": part("hdr", paragraph("Société Été")),
        "header2": part("hdr", paragraph("Société Été")),
        "footer1": part("ftr", paragraph("Page 3 sur 9")),
        "footer2": part("ftr", paragraph("Réf. 12")),
        "comments": part("comments", '<w:comment w:id="1"><w:p/></w:comment>'),
    }
    parsed = read(tmp_path, word(body, parts))
    assert texts(parsed) == ["text Le texte suit.", "text [1] La note.", "text Fin", "text Société Été", "text Réf. 12"]
    assert parsed.notes == ["1 comment of reviewers left out"]


def row(*cells: str, properties: str = "") -> str:
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def cell(inside: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inside}</w:tc>"


def test_each_line_of_a_table_says_what_stands_in_its_row(tmp_path: Path) -> None:
    nested = f"<w:tbl>{row(cell(paragraph('u')), cell(paragraph('v')))}</w:tbl>"
    body = (
        "<w:tbl>"
        + row(cell(paragraph("Mois")), cell(paragraph("Jours"), '<w:gridSpan w:val="2"/>'), properties="<w:tblHeader/>")
        + row(cell(paragraph("juin"), '<w:vMerge w:val="restart"/>'), cell(paragraph("2 &lt; 3")), cell(nested))
        + row(cell(paragraph("caché"), "<w:vMerge/>"), cell(paragraph("5")), cell(paragraph("x") + paragraph("y")))
        + row(cell(paragraph("effacé")), properties="<w:del/>")
        + "</w:tbl>"
    )
    (table,) = read(tmp_path, word(body)).elements
    assert table == Element(
        "Mois | Jours\njuin | 2 < 3 | u, v\njuin | 5 | x y",
        "table",
        html='<table><tr><th>Mois</th><th colspan="2">Jours</th></tr>'
        "<tr><td>juin</td><td>2 &lt; 3</td><td>u, v</td></tr><tr><td>juin</td><td>5</td><td>x y</td></tr></table>",
        headers=1,
    )


def test_a_frame_around_the_text_is_no_table(tmp_path: Path) -> None:
    body = f"<w:tbl>{row(cell(styled('Été', 'T1') + paragraph('Il fait chaud.')))}</w:tbl>"
    assert texts(read(tmp_path, word(body, {"styles": STYLES}))) == ["title1 Été", "text Il fait chaud."]


def test_pages_are_those_that_word_drew(tmp_path: Path) -> None:
    drawn = "<w:p><w:r><w:lastRenderedPageBreak/><w:t>deux</w:t></w:r></w:p>"
    hard = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
    pages = [element.page for element in read(tmp_path, word(paragraph("un") + hard + drawn + drawn)).elements]
    assert pages == [1, 2, 3]
    unknown = read(tmp_path, word(paragraph("un") + hard + paragraph("x"))).elements
    assert [element.page for element in unknown] == [None, None]


def test_the_strict_format_is_read(tmp_path: Path) -> None:
    usual, strict = "http://schemas.openxmlformats.org/{}/2006/", "http://purl.oclc.org/ooxml/{}/"
    members = unzipped(word(paragraph("Été")))
    for kind in ("wordprocessingml", "officeDocument"):
        members = {name: text.replace(usual.format(kind), strict.format(kind)) for name, text in members.items()}
    assert texts(read(tmp_path, zipped(members))) == ["text Été"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param("<w:p>" * 300 + "</w:p>" * 300, "is nested too deeply to be read", id="deep"),
        pytest.param(
            ("<w:tbl><w:tr><w:tc>" * 100) + ("</w:tc></w:tr></w:tbl>" * 100), "nested too deeply", id="tables"
        ),
    ],
)
def test_a_document_that_is_nested_without_end_is_refused(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(ParseFailed, match=message):
        read(tmp_path, word(body))


def test_a_document_type_in_the_xml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParseFailed, match="declares a document type"):
        read(tmp_path, word(paragraph("x"), {"styles": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}))
