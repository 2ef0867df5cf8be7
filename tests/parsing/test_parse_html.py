"""Web pages: titles, lists, tables, code; what is hidden stays away, and nothing that is shown is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ragline.errors import ParseFailed
from ragline.pipelines.parse import parse
from ragline.pipelines.readers.web.html import flattened
from ragline.types import Element, Parsed

Read = Callable[[str | bytes], Parsed]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(page: str | bytes) -> Parsed:
        file = tmp_path / "blob"
        file.write_bytes(page.encode() if isinstance(page, str) else page)
        return parse(file, "a.html", "text/html")

    return read


def shown(parsed: Parsed) -> list[str]:
    return [f"{element.kind}{element.level or ''} {element.text}" for element in parsed.elements]


PAGE = """<html lang="fr-FR"><head><title>Le  marché de Nîmes</title><meta name="author" content="Zoé">
<meta property="article:published_time" content="2026-05-01"><style>p {}</style><script>var x = "no";</script></head>
<body><h1>Le marché</h1><p>Ouvert le <b>samedi</b>.</p><ul><li>légumes</li><li>œufs</li></ul>
<table><tr><th>Prix</th><th>Unité</th></tr><tr><td>3 €</td><td>kg</td></tr></table></body></html>"""


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PAGE.encode(), id="utf-8"),
        pytest.param(PAGE.encode("utf-8-sig"), id="utf-8-mark"),
        pytest.param(PAGE.encode("cp1252"), id="undeclared-cp1252"),
        pytest.param(PAGE.encode("utf-16"), id="utf-16"),
        pytest.param(
            PAGE.replace("<title>", "<meta charset='latin-1'><title>").encode("cp1252"), id="latin-1-is-cp1252"
        ),
        pytest.param(
            PAGE.replace("<title>", "<meta charset='iso-8859-15'><title>").encode("iso-8859-15"), id="declared"
        ),
        pytest.param(f"<?xml version='1.0' encoding='utf-8'?>\n{PAGE}".encode(), id="no-xhtml-whatever-it-says"),
    ],
)
def test_a_page_is_read_in_its_encoding(read: Read, data: bytes) -> None:
    parsed = read(data)
    assert list(parsed.elements) == [
        Element("Le marché", "title", level=1),
        Element("Ouvert le samedi."),
        Element("- légumes", "list"),
        Element("- œufs", "list"),
        Element(
            "Prix | Unité\n3 € | kg",
            "table",
            html="<table><tr><th>Prix</th><th>Unité</th></tr><tr><td>3 €</td><td>kg</td></tr></table>",
            headers=1,
        ),
    ]
    assert parsed.about == {
        "title": "Le marché de Nîmes",
        "author": "Zoé",
        "date": "2026-05-01",
        "language": "fr",
    }
    assert not parsed.notes


XHTML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr"><head><title/><script src="x"/></head>
<body><h2 id="a"><a id="b"/>Été&nbsp;2026 &amp; apr&egrave;s</h2><div/><p>a&lt;b</p></body></html>"""


def test_xhtml_may_close_empty_elements_and_use_the_names_of_html(read: Read) -> None:
    assert shown(read(XHTML)) == ["title2 Été 2026 & après", "text a<b"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("<p>a<b>b</b>c <i>d</i>, e<br>f</p>", ["text abc d, e\nf"], id="inline-and-line-break"),
        pytest.param(
            "<div>un<br><br>deux<p>trois</p>quatre</div>",
            ["text un", "text deux", "text trois", "text quatre"],
            id="blocks",
        ),
        pytest.param("a&shy;b&#8203;c&nbsp;d &eacute; &#128;", ["text abc d é €"], id="entities-and-invisible-signs"),
        pytest.param("<h2>Un <div>titre</div> &hearts;</h2><h6>x</h6>", ["title2 Un titre ♥", "title6 x"], id="titles"),
        pytest.param("<h3>Titre <a class=headerlink href=#t>¶</a></h3>", ["title3 Titre"], id="anchor-sign"),
        pytest.param(
            "<ul><li>a<ul><li>b</li></ul>c</li><li>d</li></ul><ol start=3><li>e</li><li><p>f</p><p>g</p></li></ol>",
            ["list - a", "list   - b", "list c", "list - d", "list 3. e", "list 4. f", "list g"],
            id="nested-lists",
        ),
        pytest.param(
            "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl><p>d</p>", ["list a: b", "list c", "text d"], id="definitions"
        ),
        pytest.param("<pre>x = 1\n  <b>y</b> = 2\n</pre>", ["code x = 1\n  y = 2"], id="code"),
        pytest.param("<p>le code <code>x</code></p>", ["text le code x"], id="inline-code"),
        pytest.param("<blockquote>a<p>b</p></blockquote>", ["text a", "text b"], id="quotation"),
        pytest.param(
            "<details><summary>Question</summary>Réponse</details>", ["text Question", "text Réponse"], id="details"
        ),
        pytest.param(
            "<figure><img alt='Un plan de la ville'><figcaption>Plan</figcaption></figure>", ["text Plan"], id="caption"
        ),
        pytest.param("<figure><img alt='Un plan de la ville'></figure>", ["text Un plan de la ville"], id="picture"),
        pytest.param(
            "<math alttext='x^2'><msup><mi>x</mi><mn>2</mn></msup></math> vaut 4", ["text x^2 vaut 4"], id="formula"
        ),
        pytest.param("<label>Nom</label><input value=x><select><option>un</select>", ["text Nom"], id="form"),
        pytest.param(
            "<p>a</p><!-- no --><noscript>no</noscript><template>no</template><svg><text>no</text></svg>b",
            ["text a", "text b"],
            id="no-text",
        ),
        pytest.param("<p>a</p><p hidden>no</p><p style='color: red; Display : none'>no</p>", ["text a"], id="hidden"),
        pytest.param(
            "<nav>no</nav><div role=navigation>no</div><p>a</p><div id=cookie-banner>no</div>", ["text a"], id="menus"
        ),
        pytest.param("<nav><a>seul</a></nav>", ["text seul"], id="only-a-menu"),
        pytest.param("<p>un<p>deux<li>trois<td>quatre", ["text un", "text deux", "list - trois quatre"], id="unclosed"),
    ],
)
def test_markup_becomes_elements(read: Read, body: str, expected: list[str]) -> None:
    assert shown(read(f"<html><body>{body}</body></html>")) == expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        pytest.param(
            "<tr><th rowspan=2>Ville</th><th colspan=2>Habitants</th></tr><tr><th>2020</th><th>2021</th></tr>"
            "<tr><td>Nîmes</td><td>148</td><td>149</td></tr>",
            ["table Ville | Habitants | Habitants\nVille | 2020 | 2021\nNîmes | 148 | 149"],
            id="spans",
        ),
        pytest.param(
            "<caption>Prix <b>2026</b></caption><tbody><tr><td>pomme<td>3<tr><td>poire<td>4",
            ["text Prix 2026", "table pomme | 3\npoire | 4"],
            id="caption-and-no-headings",
        ),
        pytest.param(
            "<tr><td>Nom<td>Note<tr><td rowspan=2>Zoé<td>12<tr><td>13<tr><td>Paul<td>14",
            ["table Nom | Note\nZoé | 12\nZoé | 13\nPaul | 14"],
            id="merged-down",
        ),
        pytest.param(
            "<tr><td>•<td>un point<tr><td>•<td>un autre", ["text • un point", "text • un autre"], id="marks-of-a-list"
        ),
        pytest.param(
            "<tr><td><h2>Titre</h2>texte<td>menu<tr><td>a<td>b",
            ["title2 Titre", "text texte menu", "text a b"],
            id="layout",
        ),
        pytest.param(
            "<tr><td><table><tr><td>a<td>1<tr><td>b<td>2</table><td>x<tr><td>y<td>z",
            ["table a | 1\nb | 2", "text x", "text y z"],
            id="table-in-a-layout",
        ),
        pytest.param(
            "<tr><th>a<th>b<tr><td><p>un</p><p>deux<br>trois</p><span style='display:none'>no</span><td>&lt;b&gt;",
            ["table a | b\nun deux trois | <b>"],
            id="blocks-in-cells",
        ),
        pytest.param(
            "<tr><th>oui<th>b<tr><td><img alt=coché><td>x", ["table oui | b\ncoché | x"], id="picture-in-a-cell"
        ),
    ],
)
def test_tables_of_data_are_tables_and_others_are_text(read: Read, markup: str, expected: list[str]) -> None:
    assert shown(read(f"<html><body><table>{markup}</table></body></html>")) == expected


def test_cells_are_escaped_in_the_markup_of_a_table(read: Read) -> None:
    (table,) = read("<table><tr><th>a<th>b<tr><td>&lt;tr&gt; &amp;amp;<td>c</table>").elements
    assert table.text == "a | b\n<tr> &amp; | c"
    assert table.html == (
        "<table><tr><th>a</th><th>b</th></tr><tr><td>&lt;tr&gt; &amp;amp;</td><td>c</td></tr></table>"
    )


MAIN = "<p>" + "Le texte de la page est long. " * 20 + "</p>"


def test_what_stands_around_the_main_part_is_left_out_and_noted(read: Read) -> None:
    parsed = read(f"<header><h1>Titre</h1>Mon compte</header><main>{MAIN}</main><footer>Mentions</footer>")
    assert shown(parsed) == ["title1 Titre", f"text {('Le texte de la page est long. ' * 20).strip()}"]
    assert parsed.notes == ["only the main part of the page was read, without the menus, headers and footers around it"]


def test_a_small_main_part_is_not_taken_for_the_page(read: Read) -> None:
    parsed = read(f"<article>{MAIN}</article><div>{MAIN * 2}</div><footer>Mentions légales</footer>")
    assert len(parsed.elements) == 4
    assert parsed.elements[-1].text == "Mentions légales"
    assert not parsed.notes


@pytest.mark.parametrize("tag", ["div", "b", "table><tr><td", "ul><li", "blockquote", "dl><dd", "article", "section"])
def test_text_under_100_000_elements_is_found_in_linear_time(read: Read, tag: str) -> None:
    start = time.process_time()
    text = " ".join(element.text for element in read(f"<p>début</p>{f'<{tag}>' * 100_000}le fond").elements)
    assert text.startswith("début")
    assert text.endswith("le fond")
    assert time.process_time() - start < 10


def test_flattening_keeps_the_text_and_what_is_not_deep() -> None:
    page = "<div>" * 401 + "a</div><p title='</div>'>b</p>" + "</div>" * 400 + "<h1>c</h1>"
    flat = flattened(page)
    assert flat == "<div>" * 400 + "<br>a<br><p title='</div>'>b</p>" + "</div>" * 400 + "<h1>c</h1>"


@pytest.mark.parametrize("page", ["<html><script>x</script></html>", "<!-- a -->", " \n ", "<html></html>"])
def test_a_page_without_text_says_so(read: Read, page: str) -> None:
    with pytest.raises(ParseFailed, match="'a.html' has no text"):
        read(page)


def test_entities_that_a_page_declares_are_not_replaced(read: Read) -> None:
    bomb = "<!DOCTYPE html [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>"
    parsed = read(f'<?xml version="1.0"?>{bomb}<html xmlns="http://www.w3.org/1999/xhtml"><body>x &b;</body></html>')
    assert "aaaa" not in " ".join(shown(parsed))


def test_a_tag_with_thousands_of_attributes_loses_them_and_not_its_text(tmp_path: Path) -> None:
    crowd = " ".join(f"a{number}=1" for number in range(300_000))
    file = tmp_path / "page"
    file.write_text(f"<p>Été</p><p {crowd}>en forêt</p><img src='data:{'A' * 20_000}=' alt=x>")
    start = time.process_time()
    assert [each.text for each in parse(file, "a.html", "text/html").elements][:2] == ["Été", "en forêt"]
    assert time.process_time() - start < 5
