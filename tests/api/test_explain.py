"""The route that explains a search: all steps, all scores, and nothing that the caller may not see."""

from __future__ import annotations

from typing import Any

import pytest

from ragline.config.settings import Retrieval

from .desk import Desk, Person, open_desk

PUMP = "La garantie de la pompe Zéphyr est de 27 mois."
SERVICE = "La pompe Zéphyr se règle au moyen d'une clé de 13, une fois par an."
LIBRARY = "La bibliothèque municipale ouvre le samedi matin à neuf heures."
COPY = "La garantie, de la pompe ZÉPHYR, est de 27 mois !"


async def explained(who: Person, question: str, *names: str, **more: Any) -> dict[str, Any]:
    body = {"query": question, "collection_names": list(names), **more}
    answer = await who.client.post("/api/v1/retrieval/explain", json=body)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def outcomes(said: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["outcome"] for one in said["passages"]}


async def shelf(desk: Desk, who: Person, **files: str) -> str:
    ids = [await desk.upload(who, f"{name}.txt", text) for name, text in files.items()]
    return await desk.collection(who, "rayon", *ids)


async def test_each_passage_has_its_places_and_scores(desk: Desk) -> None:
    ada = await desk.person("ada")
    rayon = await shelf(desk, ada, pump=PUMP, library=LIBRARY)
    said = await explained(ada, "Quelle est la garantie de la pompe ?", rayon)
    pump, library = said["passages"]
    assert (pump["name"], library["name"]) == ("pump.txt", "library.txt")
    assert pump["orders"]["dense"]["rank"] == pump["orders"]["words"]["rank"] == pump["orders"]["final"]["rank"] == 1
    assert pump["orders"]["dense"]["score"] == pump["cosine"] > library["cosine"]
    assert pump["lexical"] > 0 == library["lexical"]
    assert "words" not in library["orders"]
    assert library["orders"]["fused"]["rank"] == 2
    assert pump["relevance"] > 0.9
    assert (pump["outcome"], pump["text"]) == ("shown", PUMP)
    assert [stage["name"] for stage in said["stages"]] == [
        "resolved", "embedded", "candidates", "fused", "relevant", "context",
    ]  # fmt: skip
    assert all(stage["ms"] >= 0 for stage in said["stages"])
    assert said["candidates"] == 2
    assert (said["context"][0]["number"], said["context"][0]["name"]) == (1, "pump.txt")
    assert said["context_tokens"] == sum(one["tokens"] for one in said["context"]) <= said["budget_tokens"]


async def test_the_words_are_those_that_are_searched_for(desk: Desk) -> None:
    ada = await desk.person("ada")
    rayon = await shelf(desk, ada, pump=PUMP, service=SERVICE, library=LIBRARY)
    said = await explained(ada, "Quelle est la garantie des pompes, pompe ZP-8841 ?", rayon)
    words = {word["word"]: word["passages"] for word in said["words"]}
    assert words == {
        "Quelle": None, "est": None, "la": None, "garantie": 1, "des": None, "pompes": 2, "pompe": 2, "ZP-8841": 0,
    }  # fmt: skip


async def test_it_says_why_a_passage_is_left_out(desk: Desk) -> None:
    ada = await desk.person("ada")
    rayon = await shelf(desk, ada, pump=PUMP, copy=COPY, service=SERVICE, library=LIBRARY)
    question = "Quelle est la garantie de la pompe Zéphyr ?"
    said = await explained(ada, question, rayon, min_relevance=0.0)
    first, second = sorted(("pump.txt", "copy.txt"), key=[p["name"] for p in said["passages"]].index)
    assert outcomes(said) == {first: "shown", second: "repeated", "service.txt": "shown", "library.txt": "shown"}
    few = await explained(ada, question, rayon, top_k=1, min_relevance=0.0)
    assert [one["outcome"] for one in few["passages"]] == ["shown", "beyond", "outranked", "outranked"]
    assert [one["relevance"] is None for one in few["passages"]] == [False, False, True, True]
    strict = await explained(ada, question, rayon, min_relevance=0.9999999)
    assert set(outcomes(strict).values()) <= {"irrelevant", "shown", "repeated"}
    assert outcomes(strict)["library.txt"] == "irrelevant"
    assert strict["weighing"]["min_relevance"] == 0.9999999
    alike = await explained(ada, question, rayon, top_k=2, diversity=0.9, min_relevance=0.0)
    assert outcomes(alike)[second] == "alike"


async def test_what_does_not_fit_into_the_context_says_so(tmp_path: Any, models_folder: Any) -> None:
    async with open_desk(tmp_path, models_folder, retrieval=Retrieval(context_tokens=20)) as desk:
        rayon = await shelf(desk, desk.admin, pump=PUMP, service=SERVICE)
        said = await explained(desk.admin, "garantie pompe Zéphyr", rayon, min_relevance=0.0)
        assert sorted(outcomes(said).values()) == ["no_room", "shown"]
        assert said["budget_tokens"] == 20 >= said["context_tokens"] > 0


async def test_without_a_place_everything_visible_is_searched_and_nothing_else(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    pump = await desk.upload(ada, "pump.txt", PUMP)
    await desk.upload(bob, "service.txt", SERVICE)
    shared = await desk.collection(bob, "partagé", await desk.upload(bob, "library.txt", LIBRARY))
    await desk.app.records.grants.replace(shared, {ada.user.id: "read"})
    assert set(outcomes(await explained(ada, "pompe Zéphyr"))) == {"pump.txt", "library.txt"}
    assert set(outcomes(await explained(desk.admin, "pompe Zéphyr"))) == {"pump.txt", "service.txt", "library.txt"}
    assert set(outcomes(await explained(ada, "pompe", f"file-{pump}"))) == {"pump.txt"}
    for who, name in ((bob, f"file-{pump}"), (ada, "aucune"), (bob, "file-x")):
        answer = await who.client.post("/api/v1/retrieval/explain", json={"query": "pompe", "collection_names": [name]})
        assert answer.status_code == 404, answer.text


async def test_a_key_limited_to_a_collection_sees_only_that(desk: Desk) -> None:
    ada = await desk.person("ada")
    rayon = await shelf(desk, ada, library=LIBRARY)
    await desk.upload(ada, "pump.txt", PUMP)
    key, _ = await desk.app.records.keys.add(ada.user.id, name="limited", collections=[rayon])
    limited = Person(ada.user, key, await desk.client(key))
    assert set(outcomes(await explained(limited, "pompe Zéphyr"))) == {"library.txt"}


async def test_a_follow_up_is_searched_for_with_the_question_before(desk: Desk) -> None:
    ada = await desk.person("ada")
    rayon = await shelf(desk, ada, pump=PUMP, library=LIBRARY)
    alone = await explained(ada, "Et en 2024 ?", rayon)
    assert alone["searched"] == ""
    said = await explained(ada, "Et en 2024 ?", rayon, before=["Quelle est la garantie de la pompe Zéphyr ?"])
    assert said["searched"] == "Quelle est la garantie de la pompe Zéphyr ? Et en 2024 ?"
    assert said["passages"][0]["name"] == "pump.txt"


async def test_nothing_asked_is_nothing_found(desk: Desk) -> None:
    said = await explained(desk.admin, " ")
    assert (said["passages"], said["candidates"], said["context"], said["words"]) == ([], 0, [], [])


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"top_k": 0}, id="no-passages"),
        pytest.param({"dense_weight": 1.1}, id="weight"),
        pytest.param({"fusion": "sum"}, id="fusion"),
        pytest.param({"unknown": 1}, id="unknown"),
        pytest.param({"before": ["a"] * 5}, id="many-before"),
        pytest.param({"before": ["a" * 8001]}, id="long-before"),
        pytest.param({"collection_names": ["a\x00"]}, id="nul"),
    ],
)
async def test_wrong_wishes_are_named(desk: Desk, more: dict[str, Any]) -> None:
    answer = await desk.admin.client.post("/api/v1/retrieval/explain", json={"query": "pompe", **more})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][1] == next(iter(more))


async def test_a_long_question_says_how_much_was_cut_off(desk: Desk) -> None:
    await desk.upload(desk.admin, "pump.txt", PUMP)
    said = await explained(desk.admin, "pompe " * 2000)
    assert (said["cut_off"], len(said["question"])) == (4000, 8000)
    assert said["words"][0] == {"word": "pompe", "passages": 1}
