"""Table 1.2 of the contract: retrieval."""

from __future__ import annotations

from typing import Any

import pytest

from .house import UNKNOWN, House, detail, good, invalid

RETRIEVAL = "/api/v1/retrieval"
QUERY = "warranty of the Zephyr pump"
CHUNK = {"name", "source", "file_id", "hash", "file_hash", "size", "content_type", "created_by", "start_index"}


def ask(house: House, route: str, who: Any = None, **body: Any) -> Any:
    return (who or house.admin).client.post(f"{RETRIEVAL}/query/{route}", json={"query": QUERY} | body)


def test_a_file_is_queried(house: House) -> None:
    body = good(ask(house, "doc", collection_name=f"file-{house.zephyr}"))
    lists = [body[key] for key in ("ids", "documents", "metadatas", "distances")]
    assert [len(each) for each in lists] == [1, 1, 1, 1]
    assert len({len(each[0]) for each in lists}) == 1
    assert "27 months" in body["documents"][0][0]
    assert set(body["metadatas"][0][0]) >= CHUNK
    assert all(0 <= distance <= 1 for distance in body["distances"][0])


def test_a_collection_is_queried_by_its_id(house: House) -> None:
    body = good(ask(house, "doc", collection_name=house.pumps))
    assert len(body["documents"][0]) == 2
    assert "27 months" in body["documents"][0][0]
    assert body["distances"][0] == sorted(body["distances"][0], reverse=True)


@pytest.mark.parametrize(("k", "found"), [(1, 1), (2, 2), (0, 2)])
def test_k_bounds_what_is_found_and_0_is_the_default(house: House, k: int, found: int) -> None:
    assert len(good(ask(house, "doc", collection_name=house.pumps, k=k))["documents"][0]) == found
    assert len(good(ask(house, "collection", collection_names=[house.pumps], k=k))["documents"][0]) == found


def test_a_hybrid_query_is_understood(house: House) -> None:
    for hybrid in (True, False):
        assert good(ask(house, "doc", collection_name=house.pumps, hybrid=hybrid))["documents"][0]


def test_collections_are_queried_together(house: House) -> None:
    names = [f"file-{house.zephyr}", f"file-{house.library}"]
    body = good(ask(house, "collection", collection_names=names))
    assert {each["file_id"] for each in body["metadatas"][0]} == {house.zephyr, house.library}
    assert body["distances"][0] == sorted(body["distances"][0], reverse=True)


@pytest.mark.parametrize("name", [UNKNOWN, f"file-{UNKNOWN}"])
def test_an_unknown_collection_is_404(house: House, name: str) -> None:
    assert UNKNOWN in detail(ask(house, "doc", collection_name=name), 404)
    assert UNKNOWN in detail(ask(house, "collection", collection_names=[house.pumps, name]), 404)


def test_what_belongs_to_another_is_404(house: House) -> None:
    for name in (house.pumps, f"file-{house.zephyr}"):
        id = name.removeprefix("file-")
        assert id in detail(ask(house, "doc", house.user, collection_name=name), 404)
        assert id in detail(ask(house, "collection", house.user, collection_names=[name]), 404)


def test_what_is_no_query_is_422(house: House) -> None:
    assert ask(house, "doc", collection_name=house.pumps, k=-1).status_code == 422
    assert ask(house, "collection", collection_names=[house.pumps], k=-1).status_code == 422
    invalid(ask(house, "doc"))
    invalid(ask(house, "collection"))
    invalid(ask(house, "doc", collection_name=house.pumps, query=None))


def test_no_collections_find_nothing(house: House) -> None:
    answer = ask(house, "collection", collection_names=[])
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        assert answer.json()["documents"] == [[]]


def test_a_text_is_processed_and_found(house: House) -> None:
    name = f"txt-{next(house.numbers)}"
    text = "The Halcyon kite weighs 340 grams, même l'été."
    sent = {"name": "note", "content": text, "collection_name": name}
    body = good(house.user.client.post(f"{RETRIEVAL}/process/text", json=sent))
    assert (body["status"], body["content"]) == (True, text)
    found = good(ask(house, "doc", house.user, collection_name=body["collection_name"], query="Halcyon kite"))
    assert found["documents"] == [[text]]
    detail(ask(house, "doc", house.other, collection_name=body["collection_name"]), 404)
    invalid(house.user.client.post(f"{RETRIEVAL}/process/text", json={"name": "note"}))


def test_a_file_is_processed(house: House) -> None:
    file_id = house.upload(who=house.user)
    body = good(house.user.client.post(f"{RETRIEVAL}/process/file", json={"file_id": file_id}))
    assert body["status"] is True
    assert "27 months" in body["content"]
    assert body["filename"] == good(house.user.client.get(f"/api/v1/files/{file_id}"))["filename"]
    assert body["collection_name"] == f"file-{file_id}"
    assert UNKNOWN in detail(house.user.client.post(f"{RETRIEVAL}/process/file", json={"file_id": UNKNOWN}), 404)
    assert house.zephyr in detail(
        house.user.client.post(f"{RETRIEVAL}/process/file", json={"file_id": house.zephyr}), 404
    )


def test_a_file_that_was_left_unprocessed_is_processed_on_demand(house: House) -> None:
    sent = {"file": ("plus-tard.txt", "Traité plus tard.".encode(), "text/plain")}
    file_id = good(house.user.client.post("/api/v1/files/?process=false", files=sent))["id"]
    body = good(house.user.client.post(f"{RETRIEVAL}/process/file", json={"file_id": file_id}))
    assert body["content"] == "Traité plus tard."
    found = good(ask(house, "doc", house.user, collection_name=f"file-{file_id}", query="Traité"))
    assert found["documents"] == [["Traité plus tard."]]


def test_what_a_collection_knows_of_a_file_is_deleted(house: House) -> None:
    file_id = house.upload(who=house.user)
    made = house.collection(file_id, who=house.user)
    sent = {"collection_name": made, "file_id": file_id}
    assert good(house.user.client.post(f"{RETRIEVAL}/delete", json=sent))["status"] is True
    assert good(house.user.client.get(f"/api/v1/knowledge/{made}/files"))["total"] == 0


@pytest.mark.parametrize("path", ["config", "embedding"])
def test_the_settings_are_shown_to_the_administrator(house: House, path: str) -> None:
    body = good(house.admin.client.get(f"{RETRIEVAL}/{path}"))
    assert isinstance(body, dict)
    assert body
    assert "sk-" not in str(body)
    detail(house.user.client.get(f"{RETRIEVAL}/{path}"), 403)
