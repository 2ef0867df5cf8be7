"""What has to do with a question, and what is only the nearest noise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragline.connectors.vectors.bm25 import query_vector
from ragline.connectors.vectors.protocol import Query
from ragline.retrieval.relevance import Noise, asks_nothing, is_about_documents, judged
from ragline.types import Hit
from tests.vectors.made import EAST, point

QUESTION = "Combien de temps dure la garantie de la pompe ?"
NOISE = Noise(mean=0.1, deviation=0.1)


def relevance(
    text: str, cosine: float, *, language: str = "fr", asked: str = QUESTION, noise: Noise | None = None
) -> float:
    hit = Hit(point(text, language=language).passage, 0.0, cosine)
    query = Query(EAST, query_vector(asked))
    [found] = judged(query, [hit], language="fr", packaged=noise is None, noise=noise)
    return found.relevance


@pytest.mark.parametrize("noise", [None, NOISE], ids=["packaged", "another-model"])
def test_near_and_in_the_same_words_is_relevant_and_far_is_not(noise: Noise | None) -> None:
    near, far = (0.87, 0.76) if noise is None else (0.7, 0.15)
    assert relevance("La garantie de la pompe dure 27 mois.", near, noise=noise) > 0.9
    assert relevance("Le chat dort sur le canapé.", far, noise=noise) < 0.01


def test_a_paraphrase_counts_by_its_meaning_and_a_code_by_its_word() -> None:
    assert relevance("Elle est couverte durant deux ans et trois mois.", 0.87) > 0.3
    assert relevance("Référence ZP-8841, stock 3", 0.80, asked="ZP-8841") > 0.9


def test_passages_in_another_language_need_not_share_words_unless_they_are_few() -> None:
    assert relevance("The device is covered for 27 months.", 0.82, language="en") > 0.5
    assert relevance("Something else entirely.", 0.73, language="en") < 0.01
    ours = [Hit(point(f"Le chat {n} dort.", language="fr").passage, 0.0, 0.76) for n in range(3)]
    guessed = Hit(point("Retrieved 12 November 2007. 64.", language="en").passage, 0.0, 0.80)
    found = judged(Query(EAST, query_vector(QUESTION)), [*ours, guessed], language="fr", packaged=True)
    assert [hit.relevance < 0.01 for hit in found] == [True] * 4


@pytest.mark.parametrize(
    ("question", "nothing"),
    [
        ("merci", True),
        ("Bonjour !", True),
        ("???", True),
        ("Thanks a lot", False),
        ("Combien ?", False),
        ("E-105", False),
    ],
)
def test_thanks_and_greetings_ask_nothing(question: str, nothing: bool) -> None:
    assert asks_nothing(question) is nothing


def test_a_heading_or_lead_counts_as_said() -> None:
    passage = point("27 mois.", language="fr").passage
    titled = replace(passage, chunk=replace(passage.chunk, heading="Garantie de la pompe"))
    query = Query(EAST, query_vector(QUESTION))
    bare, headed = judged(query, [Hit(passage, 0, 0.82), Hit(titled, 0, 0.82)], language="fr", packaged=True)
    assert bare.relevance < headed.relevance / 3


def test_what_cannot_be_judged_is_kept() -> None:
    hit = Hit(point("Le chat dort.", language="fr").passage, 0.0, 0.1)
    wordless, unknown = Query(EAST, query_vector("🌞 !")), Query(EAST, query_vector(QUESTION))
    assert judged(wordless, [hit], language="fr", packaged=True)[0].relevance == 1
    assert judged(unknown, [hit], language="fr", packaged=False)[0].relevance == 1


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("Expliquez les concepts dans ce document.", True),
        ("Fais-moi un résumé", True),
        ("Summarise it, please", True),
        ("TL;DR", True),
        ("Traduis en anglais", True),
        ("Quelle est la garantie ?", False),
        ("Who wrote the contract?", False),
    ],
)
def test_questions_about_what_was_given_as_such(question: str, about: bool) -> None:
    assert is_about_documents(question) is about
