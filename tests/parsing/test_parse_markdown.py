"""Markdown: titles, paragraphs, lists, tables and code, without their marks and without loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ragline.pipelines.parse import parse
from ragline.pipelines.parse_types import MARKDOWN
from ragline.pipelines.readers.text.markdown_inline import words_of
from ragline.types import Element, Parsed

Read = Callable[[str], Parsed]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str) -> Parsed:
        file = tmp_path / "blob"
        file.write_text(text, encoding="utf-8")
        return parse(file, "été.md", MARKDOWN)

    return read


def shown(parsed: Parsed) -> list[str]:
    return [f"{element.kind}{element.level or ''} {element.text}" for element in parsed.elements]


def test_the_blocks_of_a_document(read: Read) -> None:
    text = """# Été à *Nîmes*

Il fait **chaud**
dans la ville.

Sous-titre
----------

> Une citation
> sur deux lignes

1. un
   - dedans `code`

   suite
2. deux

```python
x = {"é": 1}

y = 2
```

| ville | prix |
|-------|-----:|
| Nîmes | **3** |
| a \\| b |  |

    indenté

***

[^1]: Une note de bas de page.
"""
    assert shown(read(text)) == [
        "title1 Été à Nîmes",
        "text Il fait chaud dans la ville.",
        "title2 Sous-titre",
        "text Une citation sur deux lignes",
        "list 1. un",
        "list   - dedans code",
        "list   suite",
        "list 2. deux",
        'code x = {"é": 1}\n\ny = 2',
        "table ville | prix\nNîmes | 3\na | b",
        "code indenté",
        "text [^1]: Une note de bas de page.",
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("un *mot* et __deux__ ~~trois~~", "un mot et deux trois", id="emphasis"),
        pytest.param("a_b_c, snake_case_name et 5 * 6 = 30", "a_b_c, snake_case_name et 5 * 6 = 30", id="no-emphasis"),
        pytest.param("***gras et italique***", "gras et italique", id="three"),
        pytest.param('[le site](https://a.fr/x_(y) "Titre") d’ici', "le site d’ici", id="link"),
        pytest.param("[texte][ref] et [^2]", "texte et [^2]", id="reference"),
        pytest.param("[![état](a.svg)](https://b.fr)", "état", id="badge"),
        pytest.param("<https://a.fr> et <b@c.fr>", "https://a.fr et b@c.fr", id="bare-link"),
        pytest.param("`a*b*` et ``c`d``", "a*b* et c`d", id="code"),
        pytest.param(r"\*pas gras\* \# \[x\]", "*pas gras* # [x]", id="escaped"),
        pytest.param("&eacute;t&eacute; &lt;x&gt; &amp;amp;", "été <x> &amp;", id="entities"),
        pytest.param("List<String> et x < y", "List<String> et x < y", id="no-html"),
        pytest.param("<b>gras</b> H<sub>2</sub>O", "gras H2O", id="html"),
        pytest.param("une  \nligne\\\nautre<br>\nfin\nsuite", "une\nligne\nautre\nfin suite", id="breaks"),
        pytest.param("$a_1 * b_1 * c$ et $5", "$a_1 * b_1 * c$ et $5", id="formula"),
        pytest.param('[ref]: https://a.fr "Titre"', "", id="where-links-lead"),
    ],
)
def test_the_words_of_a_paragraph(source: str, expected: str) -> None:
    assert words_of(source) == expected


def test_front_matter_is_kept_and_tells_of_the_document(read: Read) -> None:
    parsed = read('---\ntitle: "L’été"\nauthors: [Zoé, Léa]\ndate: 2024-07-01\ntags: [eau]\n---\n\n## Plage\n\nx\n')
    assert parsed.about == {"title": "L’été", "author": "Zoé, Léa", "date": "2024-07-01"}
    assert shown(parsed) == [
        "title1 L’été",
        'text title: "L’été"\nauthors: [Zoé, Léa]\ndate: 2024-07-01\ntags: [eau]',
        "title2 Plage",
        "text x",
    ]


def test_a_rule_at_the_top_is_no_front_matter(read: Read) -> None:
    assert shown(read("---\nBonjour\n\n---\n\nx\n")) == ["text Bonjour", "text x"]


def test_html_blocks_give_their_text(read: Read) -> None:
    text = (
        "<details>\n<summary>Résumé</summary>\n\nCaché mais **là**.\n\n</details>\n\n<!-- rien -->\n\n"
        "<table><tr><td>A</td><td>B</td></tr>\n<tr><td>1</td><td>2</td></tr></table>\n\n<script>\nalert(1)\n</script>\n"
    )
    assert shown(read(text)) == ["text Résumé", "text Caché mais là.", "text A | B\n1 | 2"]


def test_no_word_of_a_document_is_lost(read: Read) -> None:
    words = [f"mot{number}" for number in range(40)]
    text = (
        "# {}\n\n{} *{}* [{}](u) `{}` **{}**\n\n- {}\n  - {}\n\n    {}\n\n  > {}\n\n> - {}\n>\n> {}\n\n"
        "| {} | {} |\n|---|---|\n"
        "| {} | {} |\n\n```\n{}\n```\n\n    {}\n\n{}\n===\n\n<div>{}</div>\n\n![{}](u)\n\n[^x]: {}\n\n"
        "1) {}\n\n* {}\n\n+ {}\n"
    )
    count = text.count("{}")
    found = "\n".join(element.text for element in read(text.format(*words)).elements)
    assert [word for word in words[:count] if word not in found] == []


@pytest.mark.parametrize(
    "repeated",
    ["[", "![", "*a ", "**a", "_a*", "`a``", "<a ", "<b", "[a](", "[a](x", "\\", "&", "$a", "> ", "- ", "~~a", "<!--"],
)
def test_hostile_text_takes_no_longer_than_other_text(read: Read, repeated: str) -> None:
    text = repeated * (150_000 // len(repeated))
    start = time.process_time()
    assert read(text + "\n\nfin").elements[-1].text
    assert time.process_time() - start < 3


def test_a_megabyte_takes_less_than_a_second(read: Read) -> None:
    section = (
        "## Partie\n\nUn paragraphe avec *des* mots, un [lien](https://a.fr) et `du code`. "
        + "Encore. " * 40
        + "\n\n- item\n\n"
    )
    text = section * (1_000_000 // len(section))
    read("x")
    start = time.process_time()
    parsed = read(text)
    assert time.process_time() - start < 1
    assert len(parsed.elements) == 3 * text.count("## ")
    assert parsed.elements[0] == Element("Partie", "title", level=2)
