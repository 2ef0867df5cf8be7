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
    [found] = judged(asked, query, [hit], packaged=noise is None, noise=noise)
    return found.relevance


@pytest.mark.parametrize("noise", [None, NOISE], ids=["packaged", "another-model"])
def test_near_and_in_the_same_words_is_relevant_and_far_is_not(noise: Noise | None) -> None:
    near, far = (0.87, 0.76) if noise is None else (0.7, 0.15)
    assert relevance("La garantie de la pompe dure 27 mois.", near, noise=noise) > 0.9
    assert relevance("Le chat dort sur le canapé.", far, noise=noise) < 0.01


def test_a_paraphrase_counts_by_its_meaning_and_a_code_by_its_word() -> None:
    assert relevance("Elle est couverte durant deux ans et trois mois.", 0.87) > 0.3
    assert relevance("Référence ZP-8841, stock 3", 0.80, asked="ZP-8841") > 0.9


def test_passages_in_another_language_need_not_share_words() -> None:
    assert relevance("The device is covered for 27 months.", 0.83, language="en") > 0.5
    assert relevance("Something else entirely.", 0.73, language="en") < 0.01


@pytest.mark.parametrize(("cosine", "kept"), [(0.824, False), (0.826, True)], ids=["as-near", "nearer"])
def test_one_in_another_language_has_to_be_nearer_than_those_in_the_questions(cosine: float, kept: bool) -> None:
    ours = [Hit(point(f"Le chat {n} dort.", language="fr").passage, 0.0, 0.82) for n in range(3)]
    other = Hit(point("The device is covered for 27 months.", language="en").passage, 0.0, cosine)
    found = judged(QUESTION, Query(EAST, query_vector(QUESTION)), [*ours, other], packaged=True)
    assert [hit.relevance > 0.05 for hit in found] == [False, False, False, kept]


def test_a_word_that_all_passages_have_says_less_than_one_that_few_have() -> None:
    asked = "capital of Mongolia"
    texts = ("The capital is Ottawa.", "The capital is Paris.", "A capital letter.", "Horses of Mongolia.")
    hits = [Hit(point(text).passage, 0.0, 0.8) for text in texts]
    ottawa, *_, horses = judged(asked, Query(EAST, query_vector(asked)), hits, packaged=True)
    assert ottawa.relevance < horses.relevance / 5


def test_forms_that_a_passage_in_its_language_cannot_have_do_not_count() -> None:
    asked = "maladies cardiaques"  # in English `maladi`, `cardiaqu` would be other words than in French
    assert relevance("Les maladies cardiaques.", 0.80, asked=asked) == pytest.approx(
        relevance("Ottawa", 0.80, asked="Ottawa")
    )


def test_words_that_the_store_has_are_not_analysed_again() -> None:
    hit = Hit(point("Le chat dort.", language="fr").passage, 0.0, 0.8)
    query = Query(EAST, query_vector(QUESTION))
    stored = {hit.passage.id: frozenset(query.sparse.indices)}
    [found] = judged(QUESTION, query, [hit], packaged=True, known=stored)
    [analysed] = judged(QUESTION, query, [hit], packaged=True)
    assert found.relevance > 0.5
    assert analysed.relevance < 0.01


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
    bare, headed = judged(QUESTION, query, [Hit(passage, 0, 0.82), Hit(titled, 0, 0.82)], packaged=True)
    assert bare.relevance < headed.relevance / 3


def test_what_cannot_be_judged_is_kept() -> None:
    hit = Hit(point("Le chat dort.", language="fr").passage, 0.0, 0.1)
    wordless, unknown = Query(EAST, query_vector("🌞 !")), Query(EAST, query_vector(QUESTION))
    assert judged("🌞 !", wordless, [hit], packaged=True)[0].relevance == 1
    assert judged(QUESTION, unknown, [hit], packaged=False)[0].relevance == 1


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
