"""Codes, numbers, dates and names are found however they are written, and before passages that have their parts."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from ragline.connectors.vectors.bm25 import analysis, ids_of, passage_vector, query_vector
from ragline.connectors.vectors.codes import codes_of
from ragline.connectors.vectors.figures import JOINT as J
from ragline.connectors.vectors.protocol import VectorStore
from ragline.types import Scope

from .made import point, query


def found(question: str, passage: str, language: str) -> set[int]:
    return set(query_vector(question).indices) & set(passage_vector(passage, language).indices)


@pytest.mark.parametrize("language", ["fr", "en", "de", "ja"])
@pytest.mark.parametrize(
    ("spelling", "written"),
    [
        pytest.param("zp8841", "ZP-8841|zp8841|ZP 8841|zp-8841|ZP_8841|ZP‑8841|ZP/8841", id="code"),
        pytest.param("ab12", "A/B-12|AB12|ab-12|A-B-12", id="slash"),
        pytest.param(f"v2{J}3{J}1", "v2.3.1|V2.3.1", id="version"),
        pytest.param(f"en60204{J}1", "EN 60204-1|EN60204-1|EN-60204-1|en60204-1", id="standard"),
        pytest.param(f"l121{J}1", "L. 121-1|L121-1|L.121-1|L 121-1", id="article-of-a-law"),
        pytest.param(f"2024{J}0117", "n° 2024-0117|2024/0117|№ 2024-0117|2024.0117", id="number-of-a-file"),
        pytest.param(f"1234{J}56", "1 234,56|1.234,56|1,234.56|1234.56|1234,56|1\u202f234,56|1'234.56", id="sum"),
        pytest.param("10000", "10 000|10000|10.000|10,000|10\u00a0000", id="thousands"),
        pytest.param("1234567", "1 234 567|1234567|1,234,567|1.234.567", id="millions"),
        pytest.param(f"12{J}5", "12,50|12.5|12,5", id="decimals"),
        pytest.param(
            f"2024{J}03{J}05",
            "2024-03-05|05/03/2024|5.3.2024|5 mars 2024|March 5, 2024|5th of March 2024|5. März 2024",
            id="date",
        ),
        pytest.param(f"2024{J}02{J}01", "1er février 2024|2024-02-01|01/02/2024|February 1st, 2024", id="first"),
        pytest.param(f"2024{J}03", "mars 2024|03/2024|2024-03|March 2024", id="month"),
        pytest.param("jeandupontacmefr", "Jean.Dupont@Acme.fr|jean.dupont@acme.fr", id="e-mail"),
        pytest.param("rapport2024v2pdf", "rapport_2024-v2.pdf|Rapport_2024-v2.PDF", id="file-name"),
        pytest.param("maxtokens", "max_tokens|maxTokens|MAX_TOKENS|MaxTokens", id="name-of-a-variable"),
        pytest.param(f"ab12cd34{J}99", "AB12-CD34-99|ab12cd34-99|AB12/CD34/99", id="sku"),
        pytest.param("0123456789", "01 23 45 67 89|0123456789|01.23.45.67.89|01-23-45-67-89", id="telephone"),
        pytest.param("9782070368228", "978-2-07-036822-8|9782070368228|978 2 07 036822 8", id="isbn"),
        pytest.param("h2o7", "H₂O-7|H2O-7", id="subscript"),
    ],
)
def test_what_is_written_in_one_way_is_found_by_another(spelling: str, written: str, language: str) -> None:
    [whole] = ids_of({spelling: 1.0})
    for way in written.split("|"):
        assert whole in passage_vector(f"Voici {way}, ici", language).indices, way
        assert whole in query_vector(f"Où est {way} ?").indices, way


@pytest.mark.parametrize(
    ("question", "exact", "others"),
    [
        pytest.param("garantie ZP-8841", "La pompe ZP-8841", ["le modèle ZP 12, le 8841 est épuisé"], id="code"),
        pytest.param("zp8841", "La pompe ZP-8841", ["ZP ZP ZP, 8841, 8841, 8841", "8841"], id="code-in-one"),
        pytest.param("ZP-8841", "La pompe zp8841", ["ZP ZP, 8841, 8841 ou 8841"], id="code-written-in-one"),
        pytest.param("v2.3.1", "version v2.3.1 du logiciel", ["v2 et v3, 1 et 2, 3, 1 v2"], id="version"),
        pytest.param("EN 60204-1", "norme EN 60204-1", ["60204 en 1, 60204, 1"], id="standard"),
        pytest.param("1234,56 €", "elle coûte 1 234,56 €", ["1234 pièces, 56 boîtes, 1234, 56"], id="sum"),
        pytest.param("15/03/2024", "fait le 15 mars 2024", ["15 fois 2024, 03 et 15", "03 2024 15"], id="date"),
        pytest.param("jean.dupont@acme.fr", "à jean.dupont@acme.fr", ["Jean Dupont, acme, fr, Jean"], id="e-mail"),
        pytest.param("max_tokens", "le réglage max_tokens", ["max de tokens, tokens max max"], id="variable"),
        pytest.param("C++", "écrit en C++", ["vitamine C c c"], id="c-plus-plus"),
    ],
)
async def test_the_exact_code_comes_before_its_parts(
    store: VectorStore, question: str, exact: str, others: Sequence[str]
) -> None:
    long = exact + " dans un très long passage sur tout autre chose" * 40
    texts = [long, *others, "rien de tel ici", "encore autre chose"]
    points = [point(text, file_id=f"f{number}", language="fr") for number, text in enumerate(texts)]
    await store.stage(points, version="v1")
    for number in range(len(texts)):
        await store.publish(f"f{number}", version="v1")
    hits = await store.candidates(query(question), Scope(), limit=10)
    assert max(hits, key=lambda hit: hit.lexical).passage.chunk.text == long


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        pytest.param("8841", "la pompe zp8841", id="number-inside-of-a-code"),
        pytest.param("ZP-8841", "la pompe ZP-8841-B", id="code-inside-of-a-code"),
        pytest.param("tokens", "le réglage maxTokens", id="word-inside-of-a-name"),
        pytest.param("server", "HTTPServer", id="word-after-capitals"),
        pytest.param("acme.fr", "jean.dupont@acme.fr", id="domain-of-an-address"),
        pytest.param("rapport", "rapport_2024.pdf", id="word-of-a-file-name"),
    ],
)
def test_the_parts_are_found_as_well(question: str, passage: str) -> None:
    assert found(question, passage, "fr")


@pytest.mark.parametrize("text", ["porte-monnaie", "le 1er et le 2e", "une phrase. Une autre", "polI", "été", "", "-"])
def test_words_are_no_codes(text: str) -> None:
    assert codes_of(text).wholes == {}


def test_a_code_is_worth_two_words_in_a_question() -> None:
    """Half of a word's weight for each of its parts, and for the whole half of it for each of its parts."""
    assert sorted(query_vector("heron ZP-8841").values) == [0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    "unit", ["a", "1 ", "a.", "1.", "_", "aB", "1,", "12 ", "2024-", "ab@", "夏", "janvier ", "\u0301", "'"]
)
def test_a_megabyte_takes_seconds(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    passage_vector(text, "fr")
    query_vector(text)
    assert time.process_time() - started < 20


def test_the_analysis_says_by_what_words_are_weighed() -> None:
    assert analysis(1.2, 0.75) != analysis(1.5, 0.75)
    assert analysis(1.2, 0.75).endswith("k1=1.2 b=0.75")


def test_passages_are_weighed_by_the_settings() -> None:
    """tf (k1 + 1) / (tf + k1 (1 - b + b length / average)), here with k1 2 and b 0: 3 x 2 / (2 + 2)."""
    assert list(passage_vector("heron heron", "en", k1=2, b=0).values) == [1.5]
