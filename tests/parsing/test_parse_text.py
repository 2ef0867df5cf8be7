"""Plain text, source code, separated values, JSON and XML, in the encodings in which they come."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ragline.errors import ParseFailed
from ragline.pipelines.parse import SUPPORTED, parse
from ragline.types import Element

Read = Callable[[str, bytes], list[Element]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(name: str, data: bytes) -> list[Element]:
        file = tmp_path / "blob"
        file.write_bytes(data)
        return list(parse(file, name, SUPPORTED[Path(name).suffix]).elements)

    return read


CAFE = "Un café crème à la façade dorée, s’il vous plaît — 3 €."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_french_is_decoded(read: Read, encoding: str) -> None:
    assert read("a.txt", CAFE.encode(encoding)) == [Element(CAFE)]


def test_utf_16_of_the_other_byte_order_is_decoded(read: Read) -> None:
    assert read("a.txt", b"\xfe\xff" + CAFE.encode("utf-16-be")) == [Element(CAFE)]


def test_japanese_and_russian_are_guessed(read: Read) -> None:
    japanese = "人間は皆、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
    assert read("a.txt", japanese.encode("shift_jis")) == [Element(japanese)]
    russian = "Все люди рождаются свободными и равными в своём достоинстве и правах. " * 3
    assert read("a.txt", russian.encode("cp1251")) == [Element(russian.strip())]


def test_damaged_utf_8_stays_readable(read: Read) -> None:
    assert (
        read("a.txt", "début ".encode() + b"\xff\xfe" + " de l’été".encode())[0].text == "début \ufffd\ufffd de l’été"
    )


def test_blank_lines_part_paragraphs_and_lists(read: Read) -> None:
    text = "First line\r\nsecond line.\r\n\r\n \r\n- one\r\n- two\r\n\fNext page\r\n"
    assert read("a.txt", text.encode()) == [
        Element("First line\nsecond line."),
        Element("- one\n- two", "list"),
        Element("Next page"),
    ]


def test_a_text_without_blank_lines_is_cut_at_line_ends(read: Read) -> None:
    lines = [f"line {number}" for number in range(5000)]
    elements = read("a.log", "\n".join(lines).encode())
    assert len(elements) == 3
    assert max(len(element.text) for element in elements) <= 20_000
    assert "\n".join(element.text for element in elements).split("\n") == lines


def test_source_code_is_cut_before_the_definitions_at_the_top(read: Read) -> None:
    source = (
        "import os\n\nclass Café:\n    def prix(self):\n        x = 1\n\n        return x\n\n    def nom(self): ...\n"
        "# what follows\n@cache\ndef f():\n    pass\n\n\ndef g():\n    pass\n"
    )
    assert read("a.py", source.encode()) == [
        Element("import os", "code"),
        Element(
            "class Café:\n    def prix(self):\n        x = 1\n\n        return x\n\n    def nom(self): ...\n"
            "# what follows\n@cache\ndef f():\n    pass",
            "code",
        ),
        Element("def g():\n    pass", "code"),
    ]
    script = "function a() {\n  b();\n\n  c();\n}\nfunction d() {\n}\n"
    assert [element.text for element in read("a.js", script.encode())] == [
        "function a() {\n  b();\n\n  c();\n}",
        "function d() {\n}",
    ]


def test_a_long_definition_is_cut_at_blank_lines(read: Read) -> None:
    body = "\n\n".join(f"    x{number} = 'é'\n    y = {number}" for number in range(1000))
    elements = read("a.py", f"def f():\n{body}\n".encode())
    assert 4 < len(elements) < 10
    assert "\n\n".join(element.text for element in elements) == f"def f():\n{body}"


def test_lines_that_are_underlined_or_numbered_are_titles(read: Read) -> None:
    text = """Le rapport
==========
Premier paragraphe.

1 Introduction

Voici le texte.

1.2 Méthode d'étude

Suite du texte.

Chapitre IV – Les résultats

Fin
---

1. Acheter du pain

2. Acheter du lait

3. Rentrer

2024 was a good year.

1.5 Liter sind genug.
"""
    assert [(element.kind, element.level, element.text) for element in read("a.txt", text.encode())] == [
        ("title", 1, "Le rapport"),
        ("text", 0, "Premier paragraphe."),
        ("title", 1, "1 Introduction"),
        ("text", 0, "Voici le texte."),
        ("title", 2, "1.2 Méthode d'étude"),
        ("text", 0, "Suite du texte."),
        ("title", 1, "Chapitre IV – Les résultats"),
        ("title", 2, "Fin"),
        ("list", 0, "1. Acheter du pain"),
        ("list", 0, "2. Acheter du lait"),
        ("list", 0, "3. Rentrer"),
        ("text", 0, "2024 was a good year."),
        ("text", 0, "1.5 Liter sind genug."),
    ]


def test_a_table_drawn_with_dashes_is_no_title(read: Read) -> None:
    text = "ville | prix\n------------\nLyon | 3"
    assert read("a.txt", text.encode()) == [Element(text)]


def test_items_that_go_on_indented_are_one_list(read: Read) -> None:
    text = "- premier\n  suite\n  - dedans\n- second"
    assert read("a.txt", text.encode()) == [Element(text, "list")]


def test_the_colours_of_a_terminal_are_left_out(read: Read) -> None:
    assert read("a.log", b"\x1b[1;32mok\x1b[0m \x1b]0;title\x07done\r\n")[0].text == "ok done"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("a.csv", "ville,prix\nLyon,3\n", "ville | prix\nLyon | 3", id="comma"),
        pytest.param(
            "a.csv", "ville;prix\nLyon;3,50\nNice;2,10\n", "ville | prix\nLyon | 3,50\nNice | 2,10", id="french"
        ),
        pytest.param("a.csv", 'a,b\n"x, ""y""\nz",2\n', 'a | b\nx, "y" z | 2', id="quotes"),
        pytest.param("a.csv", 'a,b\n"never closed,2\n3,4\n', 'a | b\n"never closed | 2\n3 | 4', id="unclosed-quote"),
        pytest.param("a.csv", "a,b\n", "a | b", id="only-a-header"),
        pytest.param("a.csv", "sep=;\r\na;b\r\n1;2\r\n", "a | b\n1 | 2", id="separator-said"),
        pytest.param("a.csv", "\ufeffville\tprix\nNîmes\t3\n", "ville | prix\nNîmes | 3", id="tabs-and-mark"),
        pytest.param(
            "a.csv",
            'nom;note\nZoé;"a, b, c\nd, e; f"\nLéa;"x"\n',
            "nom | note\nZoé | a, b, c d, e; f\nLéa | x",
            id="quoted-newline",
        ),
        pytest.param("a.csv", "a,b\r1,2\r3,4\r", "a | b\n1 | 2\n3 | 4", id="old-mac"),
        pytest.param("a.tsv", "a\tb\n1, 2\t3\n", "a | b\n1, 2 | 3", id="tabs"),
        pytest.param("a.tsv", "a,b\n1,2\n", "a | b\n1 | 2", id="commas-named-tsv"),
    ],
)
def test_separated_values_become_rows(read: Read, name: str, text: str, expected: str) -> None:
    elements = read(name, text.encode())
    assert [(element.kind, element.text) for element in elements] == [("table", expected)]
    assert (elements[0].html or "").count("<tr>") == expected.count("\n") + 1


def test_rows_have_the_numbers_of_the_spreadsheet_that_they_make(read: Read) -> None:
    elements = read("a.csv", "nom;prix\n\nNîmes;3\nAlès;4\n".encode("cp1252"))
    assert [(element.text, element.rows, element.columns, element.headers) for element in elements] == [
        ("nom | prix\nNîmes | 3\nAlès | 4", (1, 3, 4), ("A", "B"), 1)
    ]
    assert elements[0].sheet is None


def test_a_small_table_leaves_the_limit_of_other_readers_of_csv_alone(read: Read) -> None:
    before = csv.field_size_limit()
    read("petit.csv", b"a,b\n1,2\n")
    assert csv.field_size_limit() >= before  # a library that loads its own tables shares it


def test_twenty_rows_are_one_table_and_one_more_begins_the_next(read: Read) -> None:
    rows = [f"{number},x" for number in range(20)]
    assert len(read("a.csv", "\n".join(["n,v", *rows]).encode())) == 1
    second = read("a.csv", "\n".join(["n,v", *rows, "20,x"]).encode())[1]
    assert (second.text, second.rows) == ("n | v\n20 | x", (1, 22))


def test_json_becomes_lines_of_keys_and_values(read: Read) -> None:
    data = '{"nom": "Zoé", "age": 7, "vide": null, "adresse": {"ville": "Lyon", "rues": ["A", "B"]}, "ok": true}'
    assert [element.text for element in read("a.json", data.encode())] == [
        "nom: Zoé\nage: 7",
        "adresse.ville: Lyon\nadresse.rues[0]: A\nadresse.rues[1]: B",
        "ok: true",
    ]


def test_each_item_of_a_json_list_is_an_element(read: Read) -> None:
    assert [element.text for element in read("a.json", b'[{"q": "a", "n": 1.5}, {"q": "b"}]')] == [
        "q: a\nn: 1.5",
        "q: b",
    ]
    assert [element.text for element in read("a.jsonl", b'{"q": "a"}\n\n{"q": "b"}\n')] == ["q: a", "q: b"]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        pytest.param("a.json", b'\xef\xbb\xbf{"a": NaN}', ["a: NaN"], id="mark-and-nan"),
        pytest.param("a.json", '{"a": "é"}'.encode("utf-16"), ["a: é"], id="utf-16"),
        pytest.param("a.json", b'{"a": 1} {"a": 2}\n[{"a": 3}]', ["a: 1", "a: 2", "a: 3"], id="concatenated"),
        pytest.param("a.jsonl", b'{\n "a": 1\n}\n{\n "a": 2\n}', ["a: 1", "a: 2"], id="lines-that-are-none"),
        pytest.param("a.jsonl", '{"a": "x\u2028y"}\n'.encode(), ["a: x\u2028y"], id="separator-in-a-text"),
        pytest.param(
            "a.json",
            b'{"n": 2, "items": [{"q": "a"}, {"q": "b", "r": [{"s": 1}]}], "end": 0}',
            ["n: 2", "items[0].q: a", "items[1].q: b\nitems[1].r[0].s: 1", "end: 0"],
            id="list-of-records-inside",
        ),
    ],
)
def test_json_as_it_is_found(read: Read, name: str, data: bytes, expected: list[str]) -> None:
    assert [element.text for element in read(name, data)] == expected


def test_a_large_record_is_cut_between_its_objects(read: Read) -> None:
    rows = {f"clé{number}": {"a": "é" * 50, "b": number} for number in range(200)}
    elements = read("a.json", json.dumps({"rows": rows}).encode())
    assert max(len(element.text) for element in elements) < 2500
    assert all(element.text.split("\n")[0].endswith("é" * 50) for element in elements)
    assert sum(element.text.count("\n") + 1 for element in elements) == 400


def test_xml_becomes_records_and_paragraphs(read: Read) -> None:
    xml = """<?xml version="1.0"?><!-- no --><lib xmlns="urn:x"><book><name>Émile</name><year>1762</year></book>
    <book><name>Candide</name><note>see <i>also</i> Zadig</note></book></lib>"""
    assert [element.text for element in read("a.xml", xml.encode())] == [
        "name: Émile\nyear: 1762",
        "name: Candide",
        "see also Zadig",
    ]


def test_xml_reads_nothing_outside_itself(read: Read, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    xml = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{secret.as_uri()}">]><a><b>&e;</b><c>open</c></a>'
    assert read("a.xml", xml.encode()) == [Element("c: open")]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("a.json", b'{"a": 1', "'a.json' is not valid JSON: .* on line 1, column 8", id="json"),
        pytest.param("a.jsonl", b'{"a": 1}\n{]', "'a.jsonl' is not valid JSON: .* on line 2", id="json-lines"),
        pytest.param("a.json", b"[" * 100_000, "'a.json' is nested too deeply", id="deep-json"),
        pytest.param("a.json", b"[" * 150 + b"1" + b"]" * 150, "'a.json' is nested more than 100 levels", id="deeper"),
        pytest.param("a.json", b"[1] x", "'a.json' is not valid JSON: .* on line 1, column 5", id="more-than-json"),
        pytest.param("a.json", b"1" * 5000, "'a.json' is not valid JSON: it holds a number", id="endless-number"),
        pytest.param("a.xml", b"<a><b></a>", "'a.xml' is not well-formed XML", id="xml"),
        pytest.param("a.txt", b" \n\n ", "'a.txt' has no text", id="only-blanks"),
    ],
)
def test_what_is_wrong_is_said(read: Read, name: str, data: bytes, message: str) -> None:
    with pytest.raises(ParseFailed, match=message):
        read(name, data)
