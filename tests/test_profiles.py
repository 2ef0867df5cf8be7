"""What passages keep together by their profile: rows under their headings, questions with answers, definitions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ragline.config.settings import Chunking, Profile
from ragline.pipelines.chunk import chunk
from ragline.pipelines.chunking.embedded import text_to_embed
from ragline.types import Chunk, Element


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def cut(elements: Sequence[Element], profile: Profile = "auto", *, max_tokens: int = 40) -> list[Chunk]:
    settings = Chunking(profile=profile, max_tokens=max_tokens, overlap_tokens=8)
    return chunk(elements, settings=settings, count_tokens=count_words)


def sheet(first: int, last: int, *, name: str = "Ventes", member: str = "") -> Element:
    """Return the rows of a sheet from `first` to `last` under the headings of its row 1, 7 words each."""
    numbers = [1, *range(first, last + 1)]
    lines = [["Ville", "Unités", "Prix"], *(["Orléans", str(number), "12 €"] for number in numbers[1:])]
    tags = ["th", *["td"] * (len(lines) - 1)]
    html = "".join(
        f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in line)}</tr>" for tag, line in zip(tags, lines, strict=True)
    )
    return Element(
        "\n".join(" | ".join(line) for line in lines),
        "table",
        page=1,
        member=member,
        html=f"<table>{html}</table>",
        sheet=name,
        rows=tuple(numbers),
        columns=("A", "C"),
        headers=1,
    )


def test_every_passage_of_a_table_is_embedded_under_its_headings_and_has_whole_rows() -> None:
    chunks = cut([Element("Ventes", "title", 1, page=1), sheet(2, 13)])
    assert [passage.cells for passage in chunks] == ["A1:C6", "A7:C11", "A12:C13"]
    assert [passage.lead for passage in chunks] == ["", "Ville | Unités | Prix", "Ville | Unités | Prix"]
    assert chunks[1].text.split("\n")[0] == "Orléans | 7 | 12 €"
    assert text_to_embed(chunks[1], "") == "Ventes\nVille | Unités | Prix\n" + chunks[1].text
    assert {(passage.kind, passage.sheet, passage.heading) for passage in chunks} == {("table", "Ventes", "Ventes")}


def test_the_markup_of_a_passage_has_the_headings_and_its_own_rows() -> None:
    chunks = cut([sheet(2, 13)])
    heading = "<tr><th>Ville</th><th>Unités</th><th>Prix</th></tr>"
    rows = "<tr><td>Orléans</td><td>12</td><td>12 €</td></tr><tr><td>Orléans</td><td>13</td><td>12 €</td></tr>"
    assert chunks[-1].html == f"<table>{heading}{rows}</table>"


def test_a_passage_over_two_groups_of_rows_counts_the_repeated_headings_once() -> None:
    [passage] = cut([sheet(2, 3), sheet(4, 5)])
    assert passage.text.count("Ville") == 2
    assert passage.cells == "A1:C5"
    assert passage.html is not None
    assert (passage.html.count("<th>"), passage.html.count("<tr>")) == (3, 5)
    late = cut([sheet(2, 4), sheet(5, 7)], max_tokens=30)[-1]
    assert (late.text.split("\n")[0], late.cells) == ("Ville | Unités | Prix", "A5:C7")


def test_a_row_longer_than_a_passage_has_no_markup_and_no_word_is_lost() -> None:
    row = " ".join(f"mot{number}" for number in range(70))
    element = Element(f"Nom | Texte\na | {row}", "table", html="<tr><th>x</th></tr><tr><td>y</td></tr>", headers=1)
    chunks = cut([element])
    assert len(chunks) > 1
    assert {passage.html for passage in chunks} == {None}
    assert " ".join(passage.text for passage in chunks).split() == element.text.split()


@pytest.mark.parametrize("html", [None, "", "<table><tr><td>1</td></tr></table>", "<tr" * 9])
def test_markup_that_does_not_fit_the_lines_is_left_out(html: str | None) -> None:
    [passage] = cut([Element("a | b\n1 | 2", "table", html=html)])
    assert (passage.html, passage.kind) == (None, "table")


def test_wide_headings_are_cut_at_a_cell_and_leave_room_for_rows() -> None:
    headings = " | ".join(f"colonne {number}" for number in range(40))
    rows = [" | ".join(str(number) for number in range(6)) for _ in range(9)]
    chunks = cut([Element("\n".join([headings, *rows]), "table", headers=1)])
    assert len(chunks) > 2
    assert all(len(passage.lead.split()) <= 20 for passage in chunks)
    assert chunks[-1].lead.startswith("colonne 0 | colonne 1")
    assert headings.startswith(chunks[-1].lead + " |")


def test_nothing_of_two_sheets_or_two_files_shares_a_passage() -> None:
    elements = [
        Element("Un mot.", page=None),
        Element("Nord", "title", 1, page=1),
        sheet(2, 3, name="Nord"),
        Element("Sud", "title", 1, page=2),
        Element("Ville | 3", "table", page=2, sheet="Sud", rows=(4,), columns=("B", "B")),
        Element("facture.pdf", "title", 1, member="facture.pdf"),
        Element("Total : 12 €", page=1, member="facture.pdf"),
        Element("Cordialement"),
    ]
    found = [(passage.member, passage.sheet, passage.cells, passage.heading) for passage in cut(elements)]
    assert found == [
        ("", None, None, ""),
        ("", "Nord", "A1:C3", "Nord"),
        ("", "Sud", "B4", "Sud"),
        ("facture.pdf", None, None, "facture.pdf"),
        ("", None, None, "Sud"),
    ]


def test_a_file_inside_the_document_stands_under_its_own_titles_only() -> None:
    elements = [
        Element("Lettre", "title", 1),
        Element("Bonjour."),
        Element("a.zip", "title", 1, member="a.zip"),
        Element("b.txt", "title", 2, member="a.zip/b.txt"),
        Element("Le contenu.", member="a.zip/b.txt"),
        Element("c.txt", "title", 2, member="a.zip/c.txt"),
        Element("Autre contenu.", member="a.zip/c.txt"),
        Element("Au revoir."),
    ]
    paths = [passage.heading for passage in cut(elements)]
    assert paths == ["Lettre", "a.zip", "a.zip › b.txt", "a.zip › c.txt", "Lettre"]


def test_the_pages_and_the_kind_are_those_of_most_of_the_passage() -> None:
    elements = [
        Element("Mot " * 9 + ".", page=3),
        Element("- un\n- deux", "list", page=4),
        Element("x", "code", page=5),
    ]
    [passage] = cut(elements)
    assert (passage.page, passage.page_end, passage.kind) == (3, 5, "text")


def test_the_table_profile_keeps_tables_apart_from_the_text_around() -> None:
    elements = [Element("Avant."), Element("Prix", "title", 1), sheet(2, 3), Element("Après.", sheet="Ventes", page=1)]
    plain = [Element(one.text, one.kind, one.level, headers=one.headers) for one in elements]
    assert len(cut(plain)) == 1
    assert [passage.text.split()[0] for passage in cut(plain, "table")] == ["Avant.", "Prix", "Après."]


def test_an_item_of_a_list_is_kept_whole_with_its_continuation() -> None:
    items = [f"{number}. " + "mot " * 12 + f"\n   fin{number}" for number in range(6)]
    chunks = cut([Element("\n".join(items), "list")])
    assert [passage.text.count("fin") for passage in chunks] == [2, 2, 2]
    assert all(passage.text.rstrip()[-4:-1] == "fin" for passage in chunks)


CLASS = '''import os
import sys

# what it is
@decorated
class Pump:
    """A pump."""

    def first(self) -> int:
        total = 0
        for number in range(9):
            total += number

        return total

    def second(self) -> str:
        return "été"


def third(
    argument: int,
) -> None:
    print(argument)
'''


@pytest.mark.parametrize("size", ["elements", "one element"])
def test_definitions_are_kept_whole_with_their_comments_and_indentation(size: str) -> None:
    blocks = CLASS.rstrip().split("\n\n") if size == "elements" else [CLASS.rstrip()]
    chunks = cut([Element(block.strip("\n"), "code") for block in blocks], "code", max_tokens=20)
    firsts = [passage.text.split("\n")[0] for passage in chunks]
    assert firsts == ["import os", "    def first(self) -> int:", "    def second(self) -> str:"]
    assert chunks[0].text.endswith('"""A pump."""')
    assert chunks[1].text.endswith("        return total")
    assert chunks[2].text.endswith("    print(argument)")


def test_plain_text_is_code_in_the_code_profile() -> None:
    text = "si a :\n    b\n    c\nsi d :\n    e\n    f"
    [passage] = cut([Element(text)], "code")
    assert passage.text == text
    chunks = cut([Element("\n".join([text] * 8))], "code", max_tokens=16)
    assert all(passage.text.startswith("si ") for passage in chunks)


FAQ = [
    Element("FAQ", "title", 1),
    Element("Combien dure la garantie ?", "title", 2),
    Element("Elle dure 27 mois."),
    Element("Où réparer ?", "title", 2),
    Element("Chez le revendeur."),
    Element("Avec la facture."),
    Element("Contact", "title", 2),
    Element("Écrivez-nous."),
]


def test_a_title_that_asks_is_a_passage_with_its_answer() -> None:
    assert [passage.heading for passage in cut(FAQ)] == ["FAQ › Combien dure la garantie ?", "FAQ"]
    found = [(passage.heading, passage.text.split("\n")[-1]) for passage in cut(FAQ, "qa")]
    assert found == [
        ("FAQ › Combien dure la garantie ?", "Elle dure 27 mois."),
        ("FAQ › Où réparer ?", "Avec la facture."),
        ("FAQ › Contact", "Écrivez-nous."),
    ]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("Q:", "A:"),
        ("Question :", "Réponse :"),
        ("Q 1.", "R 1."),
        ("**Q:**", "**A:**"),
        ("QUESTION n° 3 :", "RÉPONSE :"),
    ],
)
def test_marked_questions_are_passages_with_their_answers(asked: str, answered: str) -> None:
    pairs = [f"{asked} Quel mot{number} ?\n{answered} Celui-ci." for number in range(3)]
    together = cut([Element("Préambule."), Element("\n".join(pairs))], "qa")
    apart = cut([Element("Préambule."), *(Element(line) for pair in pairs for line in pair.split("\n"))], "qa")
    assert [passage.text for passage in together] == ["Préambule.", *pairs]
    assert [passage.text.split() for passage in apart] == [["Préambule."], *(pair.split() for pair in pairs)]


def test_a_long_answer_keeps_its_question_before_each_part() -> None:
    answer = " ".join(f"Phrase numéro {number} de la réponse." for number in range(20))
    chunks = cut(
        [Element(f"Question : Pourquoi ?\nRéponse : {answer}"), Element("Question : Et ?\nRéponse : Non.")], "qa"
    )
    assert [passage.lead for passage in chunks] == ["", *["Question : Pourquoi ?"] * (len(chunks) - 2), ""]
    assert len(chunks) > 3
    assert text_to_embed(chunks[1], "x.txt") == "Question : Pourquoi ?\n" + chunks[1].text


def test_lines_that_ask_count_where_nothing_is_marked() -> None:
    elements = [Element("Où ?"), Element("Là."), Element("Quand ?\nDemain."), Element("Et puis. Vraiment ? Oui.")]
    assert [passage.text for passage in cut(elements, "qa")] == [
        "Où ?\n\nLà.",
        "Quand ?\nDemain.\n\n" + elements[-1].text,
    ]


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        (["Question | Réponse"], ["Un | Deux", "Trois | Quatre"]),
        (["Thème | Question | Réponse | Lien"], ["a | Un | Deux | b", "c | Trois | Quatre"]),
        ([], ["Où ? | Là", "Quand ? | Demain"]),
    ],
)
def test_each_row_of_a_table_of_questions_is_a_passage(head: list[str], rows: list[str]) -> None:
    elements = [Element("\n".join([*head, *rows]), "table", headers=len(head)), Element("Fin.")]
    texts = [passage.text for passage in cut(elements, "qa")]
    assert texts == ["\n".join([*head, rows[0]]), rows[1], "Fin."]


def test_without_questions_the_qa_profile_cuts_prose() -> None:
    elements = [Element("Titre", "title", 1), Element("Un texte. " * 30), Element("a | b | c\n1 | 2 | 3", "table")]
    assert cut(elements, "qa") == cut(elements, "prose")
