"""Plain text, source code, separated values, JSON and XML, in the encodings in which they come."""

from __future__ import annotations

import csv
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
        return parse(file, name, SUPPORTED[Path(name).suffix], max_chars=1_000_000)

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


def test_source_code_keeps_its_indentation(read: Read) -> None:
    assert read("a.py", b"def f():\n    x = 1\n\n    return x\n") == [
        Element("def f():\n    x = 1", "code"),
        Element("    return x", "code"),
    ]


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
        pytest.param("a.tsv", "a\tb\n1, 2\t3\n", "a | b\n1, 2 | 3", id="tabs"),
    ],
)
def test_separated_values_become_rows(read: Read, name: str, text: str, expected: str) -> None:
    assert read(name, text.encode()) == [Element(expected, "table")]


def test_a_small_table_leaves_the_limit_of_other_readers_of_csv_alone(read: Read) -> None:
    before = csv.field_size_limit()
    read("petit.csv", b"a,b\n1,2\n")
    assert csv.field_size_limit() >= before  # a library that loads its own tables shares it


def test_twenty_rows_are_one_table_and_one_more_begins_the_next(read: Read) -> None:
    rows = [f"{number},x" for number in range(20)]
    assert len(read("a.csv", "\n".join(["n,v", *rows]).encode())) == 1
    assert read("a.csv", "\n".join(["n,v", *rows, "20,x"]).encode())[1] == Element("n | v\n20 | x", "table")


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
        pytest.param("a.xml", b"<a><b></a>", "'a.xml' is not well-formed XML", id="xml"),
        pytest.param("a.txt", b" \n\n ", "'a.txt' has no text", id="only-blanks"),
    ],
)
def test_what_is_wrong_is_said(read: Read, name: str, data: bytes, message: str) -> None:
    with pytest.raises(ParseFailed, match=message):
        read(name, data)
