"""A passage is right where file, page and snippet fit, whatever the typography."""

from __future__ import annotations

import time

import pytest

from ragline.retrieval.evaluation.matching import Seen, fits, ranking
from ragline.retrieval.evaluation.metrics import scores
from ragline.retrieval.evaluation.sets import Place

TEXT = "La garantie légale de\nconformité dure vingt-sept\u00a0mois à compter de l’achat de la pompe Zéphyr."
SEEN = Seen("id-1", "Garantie Été.pdf", TEXT, page=3, page_end=4)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(Place("Garantie Été.pdf"), id="name"),
        pytest.param(Place("garantie e\u0301te\u0301.PDF"), id="case-and-decomposed"),
        pytest.param(Place("contrats/2024/Garantie Été.pdf"), id="path"),
        pytest.param(Place("C:\\contrats\\Garantie Été.pdf"), id="windows-path"),
        pytest.param(Place("id-1"), id="id"),
        pytest.param(Place("id-1", 3), id="first-page"),
        pytest.param(Place("id-1", 4), id="last-page"),
        pytest.param(Place("", None, "vingt-sept mois"), id="snippet-alone"),
        pytest.param(Place("id-1", 3, "GARANTIE légale de conformité"), id="line-end"),
        pytest.param(Place("id-1", 3, "« à compter de l'achat »"), id="apostrophe-and-quotes"),
        pytest.param(Place("id-1", None, "confor\u00admité dure"), id="soft-hyphen"),
        pytest.param(
            Place("id-1", None, "à compter de l'achat de la pompe Zéphyr. Voir p. 5"), id="four-fifths-at-the-end"
        ),
    ],
)
def test_it_fits(place: Place) -> None:
    assert fits(SEEN, place)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(Place("Garantie.pdf"), id="another-name"),
        pytest.param(Place("id-1", 5), id="another-page"),
        pytest.param(Place("id-1", None, "gar"), id="part-of-a-word"),
        pytest.param(Place("id-1", None, "sept moi"), id="cut-word"),
        pytest.param(Place("id-1", None, "dure vingt-huit mois"), id="short-and-nearly"),
        pytest.param(Place("id-1", None, "l'achat de la pompe Zéphyr, laquelle doit être entretenue"), id="half-of-it"),
        pytest.param(Place("Garantie Été.pdf", 3, "absent"), id="not-in-it"),
    ],
)
def test_it_does_not_fit(place: Place) -> None:
    assert not fits(SEEN, place)


def test_without_pages_no_page_fits() -> None:
    assert not fits(Seen("a", "a.md", "text"), Place("a.md", 1))


def test_a_script_without_blanks_is_found_inside() -> None:
    assert fits(Seen("a", "a.md", "東京は日本の首都であり"), Place("", None, "日本の首都"))


def test_a_place_counts_once_where_it_was_found_first() -> None:
    found = [Seen(id, f"{id}.md", "") for id in ("x", "a", "a", "y", "b")]
    order = ranking(found, [Place("a.md"), Place("b.md")])
    assert (order.index("a.md"), order.index("b.md"), len(order)) == (1, 4, 5)


def test_one_passage_that_fits_all_places_is_a_perfect_search() -> None:
    places = [Place("", None, "vingt-sept mois"), Place("id-1")]
    order = ranking([SEEN], places)
    assert scores(order, {place.label: 1 for place in places})[0] == pytest.approx(1.0)


def test_a_huge_snippet_of_one_sign_takes_no_time() -> None:
    began = time.perf_counter()
    assert not fits(Seen("a", "a.md", "a" * 200_000 + "b"), Place("", None, "a" * 2000 + "c" * 2000))
    assert time.perf_counter() - began < 2
