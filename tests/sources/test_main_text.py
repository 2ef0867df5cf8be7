"""The main text of pages: what stays, what goes, and in which encoding it is read."""

from __future__ import annotations

import pytest

from ragline.config.settings import Parsing
from ragline.connectors.sources.main_text import decoded, main_text
from ragline.connectors.workers import Workers

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html lang="fr">
<head><meta charset="utf-8"><title>Visiter le musée — Ville d'Orléans</title><style>p {color: red}</style></head>
<body>
<header><nav class="menu"><a href="/">Accueil</a><a href="/c">Nous contacter</a></nav></header>
<div id="cookie-banner" class="cookie-consent"><p>Nous utilisons des cookies.</p><button>Tout accepter</button></div>
<main><article>
<h1>Visiter le musée</h1>
<p>La Loire coule à travers la ville, et les péniches remontent lentement vers l'est pendant tout l'été.</p>
<h2>Horaires</h2>
<p>Voici les horaires des visites du <a href="/musee">musée</a>, valables toute l'année sauf les jours fériés.</p>
<ul><li>Lundi : fermé</li><li>Mardi : de 9 h à 18 h</li></ul>
<table><tr><th>Jour</th><th>Prix</th></tr><tr><td>Samedi</td><td>5 €</td></tr></table>
<pre><code>ouvrir("porte")
fermer("porte")</code></pre>
</article></main>
<footer><p>© 2026 Mentions légales</p></footer>
<script>alert("été")</script>
</body></html>"""


def test_headings_lists_and_tables_stay_and_the_frame_goes() -> None:
    text = main_text(PAGE.encode()).decode()
    for kept in (
        "<title>Visiter le musée — Ville d'Orléans</title>",
        "<h1>Visiter le musée</h1>",
        "les péniches remontent lentement vers l'est pendant tout l'été.</p>",
        "<h2>Horaires</h2>",
        "<li>Mardi : de 9 h à 18 h</li>",
        "<th>Prix</th>",
        "<td>5 €</td>",
        '<pre>ouvrir("porte")\nfermer("porte")</pre>',
    ):
        assert kept in text
    for gone in ("Accueil", "cookies", "accepter", "Mentions", "alert", "color", "href", "class"):
        assert gone not in text


def test_the_same_page_gives_the_same_bytes() -> None:
    first = main_text(PAGE.encode())
    main_text(PAGE.replace("musée", "parc").encode())
    assert main_text(PAGE.encode()) == first


def test_the_title_stands_above_a_text_without_a_main_heading() -> None:
    text = main_text(PAGE.replace("<h1>Visiter le musée</h1>", "").encode()).decode()
    assert "<body><h1>Visiter le musée — Ville d'Orléans</h1>" in text


def test_a_page_without_a_main_text_is_taken_whole() -> None:
    page = "<title>Été</title><body class=x><aside onclick=go()>Une <b>carte</b></aside><script>non()</script></body>"
    text = main_text(page.encode()).decode()
    assert "<body><h1>Été</h1><aside>Une <b>carte</b></aside></body>" in text


@pytest.mark.parametrize(
    "content",
    [b"", b" \n", b"\x00\x01", b"<!-- x -->", b"<html></html>", b"\xef\xbb\xbf", b"<title>&#1;&#xD800;</title>"],
)
def test_an_empty_page_is_an_empty_document(content: bytes) -> None:
    assert main_text(content).startswith(b"<!DOCTYPE html>\n<html>")


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        pytest.param("<p>été".encode(), "utf-8", id="header"),
        pytest.param("<p>été".encode("cp1252"), "iso-8859-1", id="latin-1-is-cp1252"),
        pytest.param("<p>été".encode("utf-8-sig"), "iso-8859-1", id="bom-over-header"),
        pytest.param("<p>été".encode("utf-16"), None, id="bom-utf-16"),
        pytest.param('<meta charset="iso-8859-15"><p>été'.encode("iso-8859-15"), None, id="meta"),
        pytest.param(
            '<meta http-equiv="Content-Type" content="text/html; charset=windows-1252"><p>été'.encode("cp1252"),
            None,
            id="meta-http-equiv",
        ),
        pytest.param('<?xml version="1.0" encoding="ISO-8859-1"?><p>été'.encode("cp1252"), None, id="xml"),
        pytest.param('<meta charset="utf-16"><p>été'.encode(), None, id="meta-utf-16-is-utf-8"),
        pytest.param("<p>été".encode(), "no-such-charset", id="unknown-charset"),
        pytest.param("<p>été".encode(), "base64", id="a-codec-that-is-not-for-text"),
        pytest.param("<p>été".encode("cp1252"), None, id="nothing-said"),
    ],
)
def test_accents_survive_every_way_to_name_an_encoding(content: bytes, charset: str | None) -> None:
    assert decoded(content, charset).endswith("<p>été")


async def test_it_runs_in_a_worker_process() -> None:
    workers = Workers(Parsing(workers=1))
    text = await workers.run(main_text, PAGE.encode(), charset="utf-8", timeout_s=60)
    await workers.close()
    assert text == main_text(PAGE.encode(), charset="utf-8")
