"""From elements to passages."""

from __future__ import annotations

import itertools
import math
import random
import re
import time
from collections.abc import Sequence
from typing import get_args

import pytest

from ragline.config.settings import Chunking, Profile
from ragline.pipelines.chunk import chunk
from ragline.pipelines.chunking.embedded import MAX_HEADING_CHARS, text_to_embed
from ragline.pipelines.chunking.pieces import CountTokens
from ragline.pipelines.parse import document_text
from ragline.types import Chunk, Element, ElementKind


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def count_signs(texts: Sequence[str]) -> list[int]:
    """Count a token for each word of a letter to eight, each sign and each line end, as subword tokenizers do."""
    return [len(re.findall(r"\w{1,8}|[^\w ]", text)) for text in texts]


def count_quarters(texts: Sequence[str]) -> list[int]:
    return [math.ceil(len(text) / 4) for text in texts]


def cut(elements: Sequence[Element], max_tokens: int = 40, overlap_tokens: int = 0) -> list[Chunk]:
    settings = Chunking(max_tokens=max_tokens, overlap_tokens=overlap_tokens)
    return chunk(elements, settings=settings, count_tokens=count_words)


def sentence(words: int, name: str = "w") -> str:
    return " ".join(f"{name}{number}" for number in range(words)).capitalize() + "."


def words(count: int, name: str = "w") -> Element:
    return Element(sentence(count, name))


def title(text: str, level: int = 1) -> Element:
    return Element(text, "title", level)


def random_document(seed: int) -> list[Element]:
    dice = random.Random(seed)
    kinds: list[ElementKind] = ["title", "text", "text", "text", "list", "table", "code"]
    signs = [
        "mot",
        "Été",
        "a",
        "supercalifragilistique",
        "x" * 90,
        ".",
        "!",
        "\n",
        "。",
        "«",
        "»",
        " ",
        "\t",
        "👩‍👩‍👧",
        "\u3000",
        "?",
        "\nQ: ",
        "\n- ",
        " | ",
        "}\n",
    ]
    elements = []
    for _ in range(dice.randrange(25)):
        kind = dice.choice(kinds)
        length = dice.choice([0, 1, 3, 8, 30, 200]) if kind != "title" else dice.choice([1, 2, 3, 30])
        text = "".join(dice.choice(signs) + dice.choice(["", " ", " "]) for _ in range(length))
        level, headers = (dice.randrange(4) if kind == "title" else 0), (dice.randrange(3) if kind == "table" else 0)
        sheet = dice.choice([None, None, None, "été"])
        elements.append(Element(text, kind, level, dice.choice([None, 1, 2]), sheet=sheet, headers=headers))
    return elements


@pytest.mark.parametrize("seed", range(120))
@pytest.mark.parametrize("count_tokens", [count_words, count_signs, count_quarters])
def test_no_letter_is_lost_and_no_passage_is_too_long(seed: int, count_tokens: CountTokens) -> None:
    elements = random_document(seed)
    dice = random.Random(seed)
    profile: Profile = dice.choice(get_args(Profile))
    settings = Chunking(profile=profile, max_tokens=dice.choice([16, 24, 64]), overlap_tokens=dice.choice([0, 6, 100]))
    text, _ = document_text(elements)
    chunks = chunk(elements, settings=settings, count_tokens=count_tokens)
    covered = bytearray(len(text))
    for number, passage in enumerate(chunks):
        assert passage.index == number
        assert passage.text == text[passage.start : passage.end]
        assert passage.text.strip()
        assert count_tokens([passage.text])[0] <= settings.max_tokens
        covered[passage.start : passage.end] = b"x" * (passage.end - passage.start)
    assert not "".join(sign for sign, seen in zip(text, covered, strict=True) if not seen).strip()
    for earlier, later in itertools.pairwise(chunks):
        assert earlier.start < later.start
        assert earlier.end < later.end


@pytest.mark.parametrize("elements", [[], [Element("")], [Element(" \n"), Element("\t", "code")]])
def test_nothing_gives_nothing(elements: list[Element]) -> None:
    assert cut(elements) == []


def test_small_siblings_share_a_passage_until_it_is_a_quarter_full() -> None:
    chunks = cut([title("One"), words(4), title("Two"), words(9), title("Three"), words(3)])
    assert [passage.text.split("\n")[0] for passage in chunks] == ["One", "Three"]
    assert [passage.heading for passage in chunks] == ["One", "Three"]


def test_a_small_section_does_not_run_into_the_next_chapter() -> None:
    chunks = cut([title("Guide"), words(20), title("Last words", 2), words(3), title("Annex"), words(3)])
    assert [passage.heading for passage in chunks] == ["Guide", "Guide › Last words", "Annex"]


def test_the_heading_is_the_path_of_titles_above() -> None:
    elements = [title("Guide"), title("Set up", 2), words(20), title("Linux", 3), words(20), title("Use", 2), words(20)]
    paths = [passage.heading for passage in cut(elements)]
    assert paths == ["Guide › Set up", "Guide › Set up › Linux", "Guide › Use"]


def test_a_title_goes_with_what_follows_it() -> None:
    chunks = cut([words(9, "a"), title("Terms"), words(38, "b")])
    assert [passage.text.split()[0] for passage in chunks] == ["A0", "Terms"]


@pytest.mark.parametrize("seed", range(60))
def test_no_passage_ends_with_a_title_that_announces_text(seed: int) -> None:
    dice = random.Random(seed)
    elements = []
    for number in range(40):
        elements += [title(f"Title {number}", dice.randrange(1, 4))] * (dice.random() < 0.5)
        elements.append(Element(" ".join(sentence(dice.randrange(1, 40)) for _ in range(dice.randrange(1, 4)))))
    chunks = cut(elements, max_tokens=dice.choice([16, 32, 64]), overlap_tokens=dice.choice([0, 8]))
    assert not [passage.text for passage in chunks if passage.text.split("\n")[-1].startswith("Title")]


def test_a_paragraph_too_long_for_its_title_and_itself_is_divided_after_a_sentence() -> None:
    paragraph = Element(" ".join(sentence(13, name) for name in "abc"))
    chunks = cut([title("Terms of the contract"), paragraph])
    assert [passage.text.split()[-1] for passage in chunks] == ["b12.", "c12."]
    assert chunks[0].text.startswith("Terms of the contract\n\nA0")


def test_a_paragraph_that_fits_is_not_divided() -> None:
    paragraphs = [
        Element(sentence(12, "a") + " " + sentence(12, "b")),
        Element(sentence(12, "c") + " " + sentence(12, "d")),
    ]
    assert [passage.text for passage in cut(paragraphs)] == [paragraph.text for paragraph in paragraphs]


def test_long_text_is_divided_between_sentences_that_are_repeated_up_to_the_overlap() -> None:
    text = " ".join(sentence(8, name) for name in "abcdefgh")
    first, second = cut([Element(text)], overlap_tokens=10)
    assert first.text.split()[-1] == "e7."
    assert second.text.split()[0] == "E0"
    assert second.text.split()[-1] == "h7."


def test_a_new_section_repeats_nothing() -> None:
    chunks = cut([words(8), title("Next"), words(30), title("Third"), words(30)], overlap_tokens=20)
    assert sum(len(passage.text.split()) for passage in chunks) == 70


def test_tables_are_divided_between_rows_without_repeating_any() -> None:
    rows = [f"| {number} | some value |" for number in range(30)]
    chunks = cut([Element("\n".join(rows), "table")], overlap_tokens=12)
    assert [row for passage in chunks for row in passage.text.split("\n")] == rows


def test_code_keeps_its_indentation_inside_of_a_passage() -> None:
    code = "def f():\n    return 1\n\n\ndef g():\n    return 2"
    assert cut([Element(code, "code")])[0].text == code


def test_a_sentence_longer_than_a_passage_is_divided_between_words() -> None:
    text = " ".join(f"w{number}" for number in range(100))
    chunks = cut([Element(text)], overlap_tokens=0)
    assert " ".join(passage.text for passage in chunks) == text


def test_abbreviations_in_small_letters_do_not_end_a_sentence() -> None:
    text = f"{sentence(15, 'a')} Voir p. ex. la page suivante, etc. pour en savoir plus. {sentence(20, 'b')}"
    assert cut([Element(text)])[0].text.endswith("plus.")


def test_the_page_is_the_one_where_the_passage_starts() -> None:
    chunks = cut([Element(sentence(15), page=3), Element(sentence(15), page=4), Element(sentence(15), page=5)])
    assert [passage.page for passage in chunks] == [3, 5]


def test_each_passage_has_its_language_and_a_short_one_that_of_the_document() -> None:
    french = Element(
        "Le contrat est conclu pour une durée de deux ans et peut être résilié par chacune des parties. " * 2
    )
    english = Element("The contract is made for a term of two years and may be ended by any of the parties. " * 2)
    short = Element("Contact: Jean Dupont, Paris")
    assert [passage.language for passage in cut([french, english, french, title("X"), short])] == [
        "fr",
        "en",
        "fr",
        "fr",
    ]


def test_the_embedded_text_has_the_titles_that_the_passage_lacks() -> None:
    elements = [title("Guide"), title("Install", 2), words(30, "a"), words(30, "b")]
    first, second = cut(elements)
    assert text_to_embed(first, "guide.md") == first.text
    assert text_to_embed(second, "guide.md") == "Guide › Install\n" + second.text


def test_the_name_stands_before_the_titles_and_neither_is_embedded_without_prefix() -> None:
    elements = [title("Guide"), title("Install", 2), words(30, "a"), words(30, "b")]
    second = cut(elements)[1]
    assert text_to_embed(second, "notice de pose.md") == "notice de pose › Guide › Install\n" + second.text
    assert text_to_embed(second, "notice de pose.md", prefix=False) == second.text
    named = [title("Notice de pose"), words(30, "a"), words(30, "b")]
    assert text_to_embed(cut(named)[1], "notice_de_pose.pdf") == "Notice de pose\n" + cut(named)[1].text


@pytest.mark.parametrize(
    ("name", "heading"),
    [("conditions_de-garantie 2023.pdf", "conditions de garantie 2023\n"), ("aq00012.txt", ""), ("README", "")],
)
def test_a_file_name_of_several_words_stands_in_for_titles(name: str, heading: str) -> None:
    (passage,) = cut([words(5)])
    assert text_to_embed(passage, name) == heading + passage.text


def test_the_heading_of_the_embedded_text_is_bounded_and_keeps_the_deepest_title() -> None:
    elements = [title("A" * 1000, 1), title("B" * 90, 2), title("Deep", 3), words(30, "a"), words(30, "b")]
    chunks = cut(elements)
    embedded = text_to_embed(chunks[-1], "")
    assert embedded.startswith("B" * 90 + " › Deep\n")
    assert len(embedded) <= MAX_HEADING_CHARS + 1 + len(chunks[-1].text)


@pytest.mark.parametrize(
    "elements",
    [
        pytest.param([Element("abcdefghij" * 100_000)], id="1 MB without a blank"),
        pytest.param([Element("abcde fghij " * 80_000)], id="1 MB without a sentence"),
        pytest.param([Element(f"tiny {number}") for number in range(20_000)], id="20k tiny elements"),
        pytest.param([title(f"tiny {n}", n % 12) for n in range(20_000)], id="20k titles"),
        pytest.param([Element("a | b\n" * 100_000, "table")], id="100k rows"),
        pytest.param([Element(" " * 1_000_000 + "a" + "\n" * 1_000_000)], id="2 MB of blanks"),
        pytest.param([Element("?! »" * 250_000)], id="250k signs that end sentences"),
        pytest.param([Element("\n".join(" " * (n % 90) + "}" for n in range(30_000)), "code")], id="30k braces"),
        pytest.param([Element("# x\n" * 100_000, "code")], id="100k comments"),
        pytest.param([Element("\t" * 1_000_000 + "x", "code")], id="a million tabs"),
        pytest.param([Element("- a\n" * 100_000, "list")], id="100k items"),
        pytest.param([Element("question" + " " * 1_000_000)], id="a question of blanks"),
        pytest.param([Element("Q: a ?\n" * 50_000)], id="50k questions"),
        pytest.param([Element("a | b\n" * 20, "table", headers=2)] * 4_000, id="4k tables"),
        pytest.param([Element("a" * 100_000 + " | b\nc | d", "table", headers=1)] * 10, id="wide headings"),
    ],
)
@pytest.mark.parametrize("profile", get_args(Profile))
def test_time_grows_with_length_only(elements: list[Element], profile: Profile) -> None:
    started = time.process_time()
    chunks = chunk(elements, settings=Chunking(profile=profile), count_tokens=count_quarters)
    assert chunks
    assert time.process_time() - started < 4
