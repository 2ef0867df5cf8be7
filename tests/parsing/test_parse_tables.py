"""Tables in groups under their headings, and numbers as their cells show them."""

from __future__ import annotations

import re

import pytest

from ragline.pipelines.readers.tables.numbers import shown
from ragline.pipelines.readers.tables.tables import MAX_ELEMENT_CHARS, table


def test_a_table_repeats_its_headings_every_twenty_rows() -> None:
    rows = [["Nom", "Note"], *([f"élève {number}", str(number)] for number in range(25))]
    first, second = table(rows, page=3)
    assert first.text.startswith("Nom | Note\nélève 0 | 0\nélève 1 | 1\n")
    assert first.text.count("\n") == 20
    assert second.text.split("\n") == ["Nom | Note", *(f"élève {number} | {number}" for number in range(20, 25))]
    assert (second.kind, second.page, second.headers) == ("table", 3, 1)
    assert second.html is not None
    assert second.html.startswith("<table><tr><th>Nom</th><th>Note</th></tr><tr><td>élève 20</td><td>20</td></tr>")


@pytest.mark.parametrize(
    ("rows", "headers"),
    [
        pytest.param([["Ville", "Habitants"], ["Nîmes", "148 104"]], 1, id="words-over-numbers"),
        pytest.param([["Question", "Réponse"], ["Où ?", "Ici"]], 1, id="words-over-words"),
        pytest.param([["Nîmes", "148 104"], ["Lyon", "522 250"]], 0, id="names-and-numbers"),
        pytest.param([["1", "2,5"], ["3", "4"]], 0, id="numbers"),
        pytest.param([["Pays", "2019", "2020"], ["France", "3,2", "4 %"]], 1, id="years-over-numbers"),
        pytest.param([["Zoé", "1987", "Nîmes"], ["Paul", "1990", "Lyon"]], 0, id="years-among-data"),
        pytest.param([["", "1", "2", "3"], ["Zoé", "x", "y", "z"]], 1, id="counted"),
        pytest.param([["Compte", "2024-01-01", "2024-02-01"], ["Loyer", "500 €", "500 €"]], 1, id="dates-over-amounts"),
        pytest.param([["a", "x" * 201], ["b", "1"]], 0, id="a-long-cell"),
        pytest.param([["a", "b"]], 0, id="one-row"),
        pytest.param(
            [["", "2023", "", "2024"], ["Région", "T1", "T2", "T1"], ["Gard", "1", "2", "3"], ["Ain", "4", "5", "6"]],
            2,
            id="groups-over-headings",
        ),
        pytest.param([["Nom", "Rôle"], ["Zoé", "chef"], ["Paul", "aide"], ["Ana", "7"]], 1, id="words-below-words"),
    ],
)
def test_headings_are_told_from_data(rows: list[list[str]], headers: int) -> None:
    (element,) = table(rows)
    assert element.headers == headers
    assert element.html is not None
    assert element.html.count("<tr><th>") == headers
    assert element.html.count("<tr>") == element.text.count("\n") + 1


def test_single_cells_above_the_headings_are_text() -> None:
    elements = list(table([["Liste de la classe"], [], ["Nom", "Note"], ["Zoé", "12"]]))
    assert [(element.kind, element.text) for element in elements] == [
        ("text", "Liste de la classe"),
        ("table", "Nom | Note\nZoé | 12"),
    ]


def test_empty_columns_are_left_out_and_blanks_are_single() -> None:
    (element,) = table([["", "Nom", "", "Note", ""], ["", "Zoé\n L.", " ", "12"], ["", "", "", "13"]])
    assert element.text == "Nom | Note\nZoé L. | 12\n | 13"


def test_the_headings_may_be_known() -> None:
    (element,) = table([["1", "2"], ["3", "4"], ["5", "6"]], headers=2)
    assert element.headers == 2
    (alone,) = table([["Nom", "Note"]], headers=1)
    assert (alone.text, alone.headers) == ("Nom | Note", 1)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([[f"c{column}" for column in range(900)]] * 2 + [["9"] * 900] * 30, id="900-columns"),
        pytest.param([[f"colonne {column} " * 9 for column in range(900)], ["9"] * 900], id="long-headings"),
        pytest.param([["Nom", "Texte"], ["Zoé", "mot " * 30_000], ["Ana", "x" * 50_000]], id="long-cells"),
        pytest.param([["Nom", "a"], *([""] * at + ["9"] * 300 for at in range(0, 9_000, 300))], id="diagonal"),
        pytest.param([["Nom", "Texte"], *([["Zoé", "mot " * 1_000]] * 9)], id="long-rows"),
    ],
)
def test_nothing_of_wide_tables_is_lost_and_elements_stay_small(rows: list[list[str]]) -> None:
    elements = list(table(rows))
    assert max(len(element.text) for element in elements) < MAX_ELEMENT_CHARS + 1_000
    assert all((element.html or "").count("<tr>") == element.text.count("\n") + 1 for element in elements)
    words = set(re.findall(r"\w+", " ".join(element.text for element in elements)))
    whole = {word for row in rows for cell in row for word in cell.split() if len(word) < 1_000}
    assert whole <= words
    assert sum(element.text.count("9") for element in elements) >= sum(cell == "9" for row in rows for cell in row)
    assert sum(element.text.count("x") for element in elements) >= sum(cell.count("x") for row in rows for cell in row)


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (0.125, "0.0%", "12.5%"),
        (1234.5, "#,##0.00 [$€-40C]", "1234.50 €"),
        (-3, '_-* #,##0.00\\ "€"_-;\\-* #,##0.00', "-3.00 €"),
        (5, "$#,##0", "$5"),
        (2.5, '0.0 "kg"', "2.5 kg"),
        (45000, "[$-40C]d mmmm yyyy;@", "2023-03-15"),
        (45000.5, "d/m/yy h:mm", "2023-03-15 12:00:00"),
        (0.75, "h:mm AM/PM", "18:00:00"),
        (1.5, "[h]:mm:ss", "36:00:00"),
        (59, "yyyy-mm-dd", "1900-02-28"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (1e12, "yyyy-mm-dd", "1000000000000"),
        (0.1 + 0.2, "General", "0.3"),
        (0.5, "# ?/?", "0.5"),
        (100000, "0.00E+00", "100000"),
        (3, '"' * 300, "3"),
    ],
)
def test_numbers_are_shown_as_in_their_cells(value: float, code: str, expected: str) -> None:
    assert shown(value, code) == expected


def test_dates_may_count_from_1904() -> None:
    assert shown(0.5, "yyyy-mm-dd", from_1904=True) == "12:00:00"
    assert shown(43538, "yyyy-mm-dd", from_1904=True) == "2023-03-15"
