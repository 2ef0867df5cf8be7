"""Subtitles, notebooks, LaTeX, AsciiDoc and XML."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ragline.errors import ParseFailed
from ragline.pipelines.parse import SUPPORTED, parse
from ragline.types import Parsed

Read = Callable[[str, bytes], Parsed]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(name: str, data: bytes) -> Parsed:
        file = tmp_path / "blob"
        file.write_bytes(data)
        return parse(file, name, SUPPORTED[Path(name).suffix])

    return read


def shown(parsed: Parsed) -> list[str]:
    return [f"{element.kind}{element.level or ''} {element.text}" for element in parsed.elements]


SRT = """1
00:00:01,000 --> 00:00:03,000
<i>Bonjour à tous,</i>

2
00:00:03,200 --> 00:00:05,000
bienvenue à l’été.

3
00:01:05,000 --> 00:01:07,000
- {\\an8}Déjà ?

- Oui.
4
00:01:07,000 --> 00:01:08,000
Fin.
"""


def test_subtitles_become_paragraphs_with_their_time(read: Read) -> None:
    expected = ["text [00:00:01] Bonjour à tous, bienvenue à l’été.", "text [00:01:05] - Déjà ? - Oui. Fin."]
    assert shown(read("a.srt", SRT.encode("cp1252"))) == expected
    assert shown(read("a.srt", SRT.replace("\n", "\r\n").encode("utf-8-sig"))) == expected


def test_webvtt_without_its_head_notes_and_styles(read: Read) -> None:
    text = (
        "WEBVTT - Titre\nKind: captions\n\nNOTE rien\nde plus\n\nSTYLE\n::cue { color: red }\n\n"
        "intro\n00:11.000 --> 00:13.000 align:left\n<v Zoé>Nous sommes <c.x>à</c> Nîmes &amp; Alès\n\n"
        "01:00:00.000 --> 01:00:02.000\n<v Léa>Oui.\n"
    )
    assert shown(read("a.vtt", text.encode())) == [
        "text [00:00:11] Zoé: Nous sommes à Nîmes & Alès",
        "text [01:00:00] Léa: Oui.",
    ]


def test_subtitles_that_scroll_are_not_doubled(read: Read) -> None:
    text = (
        "WEBVTT\n\n00:01.000 --> 00:02.000\nune ligne\n\n00:02.000 --> 00:02.010\nune ligne\n\n"
        "00:02.010 --> 00:03.000\nune ligne\nla suite\n\n00:03.000 --> 00:04.000\nla suite\nla fin\n\n"
        "00:04.000 --> 00:05.000\nOui.\n\n00:05.000 --> 00:06.000\nOui.\n"
    )
    assert shown(read("a.vtt", text.encode())) == ["text [00:00:01] une ligne la suite la fin Oui. Oui."]


def test_a_long_talk_is_cut_at_sentences_after_half_a_minute(read: Read) -> None:
    times = [f"00:{number // 60:02}:{number % 60:02}" for number in range(120)]
    cues = [f"{number}\n{time},000 --> {time},900\nPhrase {number}." for number, time in enumerate(times, start=1)]
    elements = read("a.srt", "\n\n".join(cues).encode()).elements
    assert [element.text[:10] for element in elements] == ["[00:00:00]", "[00:00:31]", "[00:01:02]", "[00:01:33]"]
    assert sum(element.text.count("Phrase") for element in elements) == 120


def test_a_notebook_is_its_cells_and_what_they_wrote(read: Read) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Été\n", "\n", "Du *texte*"]},
        {
            "cell_type": "code",
            "source": "x = 1\nx",
            "outputs": [
                {"output_type": "stream", "text": ["sortie é\n"]},
                {"output_type": "execute_result", "data": {"text/plain": "1", "text/html": "<b>1</b>"}},
                {"output_type": "display_data", "data": {"image/png": "iVBORw0"}},
                {"output_type": "error", "ename": "KeyError", "evalue": "'é'", "traceback": ["..."]},
            ],
        },
        {"cell_type": "raw", "source": "brut"},
    ]
    parsed = read("a.ipynb", json.dumps({"cells": cells, "metadata": {"title": "T"}, "nbformat": 4}).encode())
    assert shown(parsed) == [
        "title1 # Été",
        "text Du texte",
        "code x = 1\nx",
        "text sortie é",
        "text 1",
        "text KeyError: 'é'",
        "text brut",
    ]
    assert parsed.about == {"title": "T"}


@pytest.mark.parametrize("data", [b"[1]", b'{"cells": 3}', b'{"worksheets": [1]}', b"null"])
def test_what_is_no_notebook_says_so(read: Read, data: bytes) -> None:
    with pytest.raises(ParseFailed, match=r"^'a.ipynb' is no notebook"):
        read("a.ipynb", data)


LATEX = r"""\documentclass{article}
\usepackage[utf8]{inputenc} % un commentaire
\title{L'\'et\'e \`a N\^imes\thanks{merci}}
\author{Zo\"e}
\begin{document}
\maketitle
\begin{abstract}Un r\'esum\'e.\end{abstract}
\section{Le c{\oe}ur \emph{chaud}}\label{a}
Un texte~\cite{x} avec \textbf{du gras}, 10\,\% et $a_1 \times {b}$.\footnote{Une note.}

\subsection*{Listes}
\begin{itemize}
\item premier % pas ceci
\item[b)] second
\end{itemize}
\begin{tabular}{l|r}
\hline
ville & prix \\ \hline
N\^imes & 3\,\euro{} \\
\end{tabular}
\begin{verbatim}
code % reste {ici}
\end{verbatim}
% \section{jamais}
\input{chapitre2}
\end{document}
ignored
"""


def test_latex_becomes_titles_text_lists_tables_and_code(read: Read) -> None:
    parsed = read("a.tex", LATEX.encode())
    assert shown(parsed) == [
        "title1 L'été à Nîmes",
        "title2 Abstract",
        "text Un résumé.",
        "title2 Le cœur chaud",
        "text Un texte x avec du gras, 10 % et $a_1 \\times {b}$.",
        "text Une note.",
        "title3 Listes",
        "list - premier",
        "list - b): second",
        "table ville | prix\nNîmes | 3 €",
        "code code % reste {ici}",
    ]
    assert parsed.about == {"title": "L'été à Nîmes", "author": "Zoë"}
    assert parsed.notes == ["it takes 'chapitre2' from another file, which is not part of it; add that file, too"]


ADOC = """= L'été
Zoé <zoe@b.fr>
:author: Zoé
:toc:

// un commentaire
Un *texte* avec un https://a.fr[lien]
sur deux lignes.

== Partie

* un
** dedans
. premier
+
suite

Terme:: définition

[source,python]
----
x = "é"
----

.Légende
|===
|ville |prix

|Nîmes
|3
|===

include::autre.adoc[]
"""


def test_asciidoc_becomes_titles_text_lists_tables_and_code(read: Read) -> None:
    parsed = read("a.adoc", ADOC.encode())
    assert shown(parsed) == [
        "title1 L'été",
        "text Zoé <zoe@b.fr>\n:author: Zoé\n:toc:",
        "text Un texte avec un lien\nsur deux lignes.",
        "title2 Partie",
        "list - un",
        "list   - dedans",
        "list - premier",
        "text suite",
        "text Terme: définition",
        'code x = "é"',
        "text Légende",
        "table ville | prix\nNîmes | 3",
    ]
    assert parsed.notes == ["it takes 'autre.adoc' from another file, which is not part of it; add that file, too"]


JATS = """<?xml version="1.0"?><article><front><journal-meta><journal-title>Revue</journal-title></journal-meta>
<article-meta><article-id>12</article-id>
<title-group><article-title>L’été <italic>chaud</italic></article-title></title-group>
<contrib-group><contrib><name><surname>Durand</surname><given-names>Zoé</given-names></name></contrib></contrib-group>
<abstract><p>Le résumé.</p></abstract></article-meta></front>
<body><sec><title>Méthode</title><p>Voici <xref>[1]</xref> la liste :<list><list-item><p>un</p></list-item>
<list-item><p>deux</p></list-item></list>et la suite.</p><sec><title>Mesures</title><p>H<sub>2</sub>O</p>
<table-wrap><label>Tab. 1</label><caption><title>Les prix</title></caption>
<table><thead><tr><th>ville</th><th>prix</th></tr></thead>
<tbody><tr><td>Nîmes</td><td>3</td></tr></tbody></table></table-wrap></sec></sec></body>
<back><ref-list><title>Références</title><ref><label>1</label><mixed-citation><name><surname>Petit</surname>
<given-names>A</given-names></name><year>2020</year></mixed-citation></ref></ref-list></back></article>"""


def test_an_article_has_titles_paragraphs_tables_and_references(read: Read) -> None:
    parsed = read("a.nxml", JATS.encode())
    assert shown(parsed) == [
        "title1 L’été chaud",
        "text article-id: 12\ncontrib-group: Durand Zoé",
        "text Le résumé.",
        "text journal-title: Revue",
        "title2 Méthode",
        "text Voici [1] la liste :",
        "list - un",
        "list - deux",
        "text et la suite.",
        "title3 Mesures",
        "text H2O",
        "text Tab. 1 Les prix",
        "table ville | prix\nNîmes | 3",
        "title2 Références",
        "text 1 Petit A 2020",
    ]
    assert parsed.about == {"title": "L’été chaud"}


def test_docbook_has_titles_paragraphs_items_and_listings(read: Read) -> None:
    text = """<book xmlns="http://docbook.org/ns/docbook"><info><title>Le livre</title><author>Zoé</author></info>
    <chapter><title>Un</title><para>Texte <emphasis>fort</emphasis>.</para><itemizedlist><listitem><para>a</para>
    </listitem></itemizedlist><section><title>Deux</title><programlisting>x = 1
  y = 2</programlisting></section></chapter></book>"""
    assert shown(read("a.xml", text.encode())) == [
        "title1 Le livre",
        "text author: Zoé",
        "title2 Un",
        "text Texte fort.",
        "list - a",
        "title3 Deux",
        "code x = 1\n  y = 2",
    ]


def test_records_named_like_a_document_stay_records(read: Read) -> None:
    assert shown(read("a.xml", "<book><title>Émile</title><year>1762</year></book>".encode())) == [
        "text title: Émile\nyear: 1762"
    ]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param('<?xml version="1.0"?><a><b>été</b></a>'.encode("utf-16"), id="utf-16"),
        pytest.param("<a><b>été</b></a>".encode("cp1252"), id="cp1252-undeclared"),
        pytest.param('<?xml version="1.0" encoding="utf-8"?><a><b>été</b></a>'.encode("cp1252"), id="declared-wrongly"),
        pytest.param('<?xml version="1.0" encoding="iso-8859-1"?><a><b>été</b></a>'.encode("latin-1"), id="latin-1"),
        pytest.param(b"<a><b>&eacute;t&eacute;</b></a>", id="entities-of-html"),
        pytest.param('\n<?xml version="1.0"?><a><b>été</b></a>'.encode(), id="blank-line-first"),
    ],
)
def test_xml_in_the_encodings_in_which_it_comes(read: Read, data: bytes) -> None:
    assert shown(read("a.xml", data)) == ["text b: été"]


@pytest.mark.parametrize(
    ("name", "repeated"),
    [
        ("a.tex", "\\section{"),
        ("a.tex", "\\begin{tabular}{"),
        ("a.tex", "\\begin{verbatim}"),
        ("a.tex", "\\'{"),
        ("a.tex", "$"),
        ("a.adoc", "|===\n"),
        ("a.adoc", "----\n"),
        ("a.adoc", "*a "),
        ("a.adoc", "link:"),
        ("a.srt", "00:00:01,000 --> "),
        ("a.srt", "00:00:01,000 --> 00:00:02,000\n"),
        ("a.vtt", "<v "),
        ("a.xml", "<a>"),
        ("a.xml", "&a;"),
        ("a.ipynb", "["),
        ("a.csv", '"'),
        ("a.csv", ","),
        ("a.txt", "1.1 "),
        ("a.txt", "=\n"),
        ("a.py", "def "),
        ("a.py", "#\n"),
    ],
)
def test_hostile_text_ends_soon(read: Read, name: str, repeated: str) -> None:
    start = time.process_time()
    with suppress(ParseFailed):
        read(name, (repeated * (200_000 // len(repeated)) + "\n\nfin\n").encode())
    assert time.process_time() - start < 3


def test_what_no_store_takes_is_left_out_everywhere(read: Read) -> None:
    source = "# Été\ud800\n\n| a\ud800 | b |\n|---|---|\n| c\0 | d |\n"
    cells = [{"cell_type": "markdown", "metadata": {}, "source": source}]
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"title": "x\ud800\0y"}, "cells": cells}
    parsed = read("a.ipynb", json.dumps(book).encode())
    said = json.dumps([parsed.about, parsed.notes, [repr(element) for element in parsed.elements]], ensure_ascii=False)
    assert "\0" not in said
    assert "\\x00" not in said
    assert "ud800" not in said.encode("utf-8").decode()
    (markup,) = (element.html for element in parsed.elements if element.kind == "table")
    assert markup is not None
    assert markup.count("<tr>") == 2
