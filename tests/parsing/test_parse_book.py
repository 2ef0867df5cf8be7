"""Electronic books, and documents in reStructuredText and Org."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ragline.errors import ParseFailed
from ragline.pipelines.parse import parse
from ragline.pipelines.parse_types import EPUB, ORG, RST
from ragline.types import Element, Parsed

Read = Callable[[str, bytes], Parsed]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(content_type: str, data: bytes) -> Parsed:
        file = tmp_path / "blob"
        file.write_bytes(data)
        return parse(file, "a", content_type)

    return read


def shown(parsed: Parsed) -> list[str]:
    return [f"{element.kind}{element.level or ''} {element.text}" for element in parsed.elements]


def page(body: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops"><head><title/></head><body>{body}</body></html>'
    )


CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/livre.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
OPF = """<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>L'été à Nîmes</dc:title><dc:creator>Zoé B.</dc:creator><dc:creator>Paul C.</dc:creator>
<dc:language>fr-FR</dc:language><dc:date>2026</dc:date></metadata>
<manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="a" href="ch/un%20.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="ch/deux.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="c.xhtml" media-type="application/xhtml+xml"/>
<item id="p" href="plan.svg" media-type="image/svg+xml"/></manifest>
<spine><itemref idref="n"/><itemref idref="b"/><itemref idref="a"/><itemref idref="c" linear="no"/><itemref idref="a"/>
</spine></package>"""
NAV = page(
    '<nav epub:type="toc"><ol><li><a href="ch/deux.xhtml">Première</a><ol><li><a href="ch/un%20.xhtml">Le marché</a>'
    "</li></ol></li><li><a href='c.xhtml'>Notes</a></li></ol></nav>"
)
PARTS = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OEBPS/livre.opf": OPF,
    "OEBPS/nav.xhtml": NAV,
    "OEBPS/ch/un .xhtml": page(
        "<p>LE MARCHÉ</p><p>Il fait&nbsp;beau.</p><aside epub:type='footnote' hidden=''>Note.</aside>"
    ),
    "OEBPS/ch/deux.xhtml": page("<h1>Début</h1><p>Il était une fois.</p>"),
    "OEBPS/c.xhtml": page("<p>Fin.</p>"),
}


def epub(**changed: str | None) -> bytes:
    """Return a book with the parts, named without folder and suffix, replaced or left out; others are added."""
    parts = {name: changed.get(name.rpartition("/")[2].partition(".")[0], text) for name, text in PARTS.items()}
    if changed.get("encryption"):
        parts["META-INF/encryption.xml"] = changed["encryption"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            if text is not None:
                archive.writestr(name, text)
    return buffer.getvalue()


def test_a_book_is_read_in_its_order_under_its_titles(read: Read) -> None:
    parsed = read(EPUB, epub())
    assert list(parsed.elements) == [
        Element("Début", "title", level=1),
        Element("Il était une fois."),
        Element("LE MARCHÉ", "title", level=2),
        Element("Il fait beau."),
        Element("Note."),
        Element("Notes", "title", level=1),
        Element("Fin."),
    ]
    assert parsed.about == {
        "title": "L'été à Nîmes",
        "author": "Zoé B., Paul C.",
        "language": "fr",
        "date": "2026",
    }
    assert not parsed.notes


def test_the_table_of_contents_may_be_that_of_epub_2(read: Read) -> None:
    ncx = (
        '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd">'
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><docTitle><text>x</text></docTitle><navMap><navPoint>'
        '<navLabel><text>Fin du livre</text></navLabel><content src="c.xhtml#haut"/></navPoint></navMap></ncx>'
    )
    opf = OPF.replace('href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"',
                      'href="nav.xhtml" media-type="application/x-dtbncx+xml"')  # fmt: skip
    opf = opf.replace("<spine>", '<spine toc="n">').replace('<itemref idref="n"/>', "")
    assert shown(read(EPUB, epub(livre=opf, nav=ncx)))[-2:] == ["title1 Fin du livre", "text Fin."]


def test_what_is_missing_of_a_book_is_noted(read: Read) -> None:
    parsed = read(EPUB, epub(deux=None, nav=None, livre=OPF.replace('idref="c"', 'idref="p"/><itemref idref="z"')))
    assert shown(parsed) == ["text LE MARCHÉ", "text Il fait beau.", "text Note."]
    assert parsed.notes == [
        "the chapter 'deux.xhtml' is missing in the book",
        "the chapter 'plan.svg' is missing in the book",
        "the chapter 'z' is named but not in the book's list",
    ]


def test_a_book_without_its_list_is_read_by_the_names_of_its_pages(read: Read) -> None:
    parsed = read(EPUB, epub(livre=None, container="<a", nav=None))
    assert shown(parsed)[:2] == ["text Fin.", "title1 Début"]
    assert parsed.notes == ["the list of the book's chapters is damaged; they were read in the order of their names"]


def test_a_book_without_an_order_has_that_of_its_list(read: Read) -> None:
    parsed = read(EPUB, epub(livre=OPF.partition("<spine>")[0] + "</package>"))
    assert shown(parsed)[0] == "title2 LE MARCHÉ"
    assert parsed.notes == ["the book does not say in which order its chapters are read; it may be another"]


RULES = (
    '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
    '<enc:EncryptionMethod Algorithm="{}"/>'
    '<enc:CipherData><enc:CipherReference URI="{}"/></enc:CipherData></enc:EncryptedData></encryption>'
)


def test_a_protected_book_is_refused(read: Read) -> None:
    rules = RULES.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/ch/deux.xhtml")
    with pytest.raises(ParseFailed, match="'a' is protected against copying"):
        read(EPUB, epub(encryption=rules))


@pytest.mark.parametrize(
    ("algorithm", "part"),
    [("http://www.idpf.org/2008/embedding", "OEBPS/a.otf"), ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "b.otf")],
)
def test_encrypted_fonts_do_no_harm(read: Read, algorithm: str, part: str) -> None:
    assert shown(read(EPUB, epub(encryption=RULES.format(algorithm, part))))[0] == "title1 Début"


def test_a_zip_without_chapters_has_no_text(read: Read) -> None:
    with pytest.raises(ParseFailed, match="'a' has no text"):
        read(EPUB, epub(livre=None, container=None, nav=None, deux=None, c=None, **{"un ": None}))


RESTRUCTURED = """
=====
L'été
=====

:Auteur: Zoé

Un *bel* été, ``x = 1``.

Plage
=====

- sable

  - fin

====  ====
Mois  Jour
====  ====
juin  2,5
====  ====

.. note:: Il fait chaud.

::

    x = 1

.. include:: /etc/passwd
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_restructured_text_keeps_its_structure(read: Read, encoding: str) -> None:
    parsed = read(RST, RESTRUCTURED.encode(encoding))
    assert shown(parsed) == [
        "title1 L'été",
        "list Auteur: Zoé",
        "text Un bel été, x = 1.",
        "title2 Plage",
        "list - sable",
        "list   - fin",
        "table Mois | Jour\njuin | 2,5",
        "text Note",
        "text Il fait chaud.",
        "code x = 1",
    ]
    assert parsed.about == {"author": "Zoé"}
    assert parsed.notes == ["it includes the file '/etc/passwd', which was not read; upload that file, too"]


ORG_TEXT = """#+TITLE: L'été
#+AUTHOR: Zoé

* Plage :mer:
Un /bel/ été, ~x = 1~, [[https://example.org][ici]].
** TODO Sable
- fin

Puis

- terme :: sens

| Mois | Jour |
|------+------|
| juin | 2,5  |

#+BEGIN_SRC python
x = 1
#+END_SRC
#+INCLUDE: "/etc/passwd"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_org_keeps_its_structure(read: Read, encoding: str) -> None:
    parsed = read(ORG, ORG_TEXT.encode(encoding))
    assert shown(parsed) == [
        "title1 L'été",
        "title2 Plage",
        "text Un bel été, x = 1, ici.",
        "title3 TODO Sable",
        "list - fin",
        "text Puis",
        "list terme: sens",
        "table Mois | Jour\njuin | 2,5",
        "code x = 1",
    ]
    assert parsed.about == {"title": "L'été", "author": "Zoé"}
    assert parsed.notes == ["it includes the file '/etc/passwd', which was not read; upload that file, too"]
