"""`POST /api/v1/retrieval/search`: what is found, what may be seen, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.desk import Desk, Person

PUMP = "The warranty period of the Zephyr pump is 27 months."
LIBRARY = "La bibliothèque de Nordhaven ouvre à 9 heures et ferme à 20 heures."


async def search(who: Person, query: str, *references: dict[str, Any], **wishes: Any) -> httpx.Response:
    body = {"query": query, "files": list(references), **wishes}
    return await who.client.post("/api/v1/retrieval/search", json=body)


def file(id: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "id": id, **more}


def collection(id: str, **more: Any) -> dict[str, Any]:
    return {"type": "collection", "id": id, **more}


async def test_passages_come_with_their_scores_and_their_place(desk: Desk) -> None:
    pump = await desk.upload(desk.admin, "pump.txt", PUMP, year=2024)
    library = await desk.upload(desk.admin, "library.txt", LIBRARY, year=2020)
    both = await desk.collection(desk.admin, "both", pump, library)
    found = (await search(desk.admin, "warranty of the pump", collection(both), min_relevance=0)).json()
    first, second = found["passages"]
    assert (first["text"], first["name"], first["file_id"]) == (PUMP, "pump.txt", pump)
    assert (first["start"], first["end"], first["metadata"]) == (0, len(PUMP), {"year": 2024})
    assert first["score"] > second["score"]
    assert first["lexical"] > second["lexical"] == 0
    assert -1 <= second["cosine"] < first["cosine"] <= 1
    assert 0 <= second["relevance"] <= first["relevance"] <= 1
    assert (found["notes"], found["below"]) == ([], 0)
    old = (await search(desk.admin, "warranty", collection(both, metadata={"year": 2020}), min_relevance=0)).json()
    assert [passage["name"] for passage in old["passages"]] == ["library.txt"]
    one = (await search(desk.admin, "warranty", file(pump), file(library), min_relevance=0, top_k=1)).json()
    assert [passage["name"] for passage in one["passages"]] == ["pump.txt"]
    none = (await search(desk.admin, "zebra crossing", collection(both), min_relevance=1)).json()
    assert (none["passages"], none["below"]) == ([], 2)


async def test_what_another_has_is_404_as_what_is_not_there(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    pump = await desk.upload(ada, "pump.txt", PUMP)
    pumps = await desk.collection(ada, "pumps", pump)
    for reference in (file(pump), collection(pumps), file("nope"), collection("nope")):
        answer = await search(bob, "warranty", reference)
        assert answer.status_code == 404
        assert answer.headers["X-Ragline-Error"] == "NotFound"
        assert answer.json()["detail"] == f"no {reference['type']} {reference['id']!r}"
    assert (await search(ada, "warranty", collection(pumps))).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        pytest.param({"files": []}, ["body", "files"], id="nothing-named"),
        pytest.param({"files": [{"type": "text", "content": "a"}]}, ["body", "files", 0], id="text"),
        pytest.param({"top_k": 0}, ["body", "top_k"], id="none"),
        pytest.param({"top_k": 201}, ["body", "top_k"], id="too-many"),
        pytest.param({"min_relevance": 2}, ["body", "min_relevance"], id="relevance"),
        pytest.param({"fusion": "best"}, ["body", "fusion"], id="fusion"),
        pytest.param({"topk": 3}, ["body", "topk"], id="unknown"),
        pytest.param({"query": None}, ["body", "query"], id="no-query"),
    ],
)
async def test_what_is_malformed_is_422_with_its_place(desk: Desk, wrong: dict[str, Any], place: list[Any]) -> None:
    body = {"query": "a", "files": [file("nope")]} | wrong
    answer = await desk.admin.client.post("/api/v1/retrieval/search", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == place


async def test_all_of_a_file_is_no_search(desk: Desk) -> None:
    pump = await desk.upload(desk.admin, "pump.txt", PUMP)
    answer = await search(desk.admin, "warranty", file(pump, context="full"))
    assert answer.status_code == 400
    assert "or to all of one" in answer.json()["detail"]


@pytest.mark.parametrize("query", ["", " ", "\x00", "le la les", "🦓" * 1000, "a " * 50_000, "'; DROP TABLE files; --"])
async def test_odd_queries_are_answered(desk: Desk, query: str) -> None:
    pump = await desk.upload(desk.admin, "pump.txt", PUMP)
    answer = await search(desk.admin, query, file(pump))
    assert answer.status_code == 200, answer.text


async def test_a_stranger_is_401(desk: Desk) -> None:
    client = await desk.client()
    answer = await client.post("/api/v1/retrieval/search", json={"query": "a", "files": [file("a")]})
    assert answer.status_code == 401
