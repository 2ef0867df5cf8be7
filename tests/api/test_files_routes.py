"""Files over HTTP: lists, and what an upload is refused for."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.desk import Desk, Person
from tests.api.shelves import completed, put, sources

NOTE = "La garantie de la pompe Zéphyr est de 27 mois."
ABSENT = "00000000-0000-4000-8000-000000000000"


async def test_the_list_has_texts_unless_they_are_not_wanted(desk: Desk) -> None:
    ada = await desk.person("ada")
    first = await desk.upload(ada, "été.txt", NOTE)
    second = await desk.upload(ada, "hiver.txt", "Rien.")
    listed = (await ada.client.get("/api/v1/files/?page=1")).json()
    assert listed["total"] == 2
    assert {item["id"]: item["data"] for item in listed["items"]} == {
        first: {"status": "completed", "content": NOTE, "error": None},
        second: {"status": "completed", "content": "Rien.", "error": None},
    }
    without = (await ada.client.get("/api/v1/files/?content=false")).json()
    assert [item["data"] for item in without["items"]] == [{"status": "completed", "error": None}] * 2
    assert (await ada.client.get("/api/v1/files/?page=2")).json() == {"items": [], "total": 2}
    assert (await ada.client.get("/api/v1/files/?page=0")).status_code == 422


async def test_fifty_files_are_a_page(desk: Desk) -> None:
    ada = await desk.person("ada")
    for number in range(51):
        await put(ada, f"{number}.txt", f"note {number}", query="?process=false")
    pages = [(await ada.client.get(f"/api/v1/files/?page={page}")).json() for page in (1, 2)]
    assert [len(page["items"]) for page in pages] == [50, 1]
    assert len({item["id"] for page in pages for item in page["items"]}) == 51


async def test_a_list_is_whole_where_a_text_is_lost(desk: Desk) -> None:
    ada = await desk.person("ada")
    file_id = await desk.upload(ada, "perdu.txt", NOTE)
    record = await desk.app.records.files.get(file_id)
    await desk.app.blobs.delete(f"texts/{file_id}-{record.version}")
    [item] = (await ada.client.get("/api/v1/files/")).json()["items"]
    assert item["data"]["content"] is None
    lost = await ada.client.get(f"/api/v1/files/{file_id}")
    assert (lost.status_code, "upload the file again" in lost.json()["detail"]) == (503, True)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        pytest.param("*", {"Été 1.txt", "ete 2.txt", "a[1].md"}, id="all"),
        pytest.param("éTÉ*", {"Été 1.txt", "ete 2.txt"}, id="case-and-accents"),
        pytest.param("ete ?.txt", {"Été 1.txt", "ete 2.txt"}, id="one-character"),
        pytest.param("ete", set(), id="whole-name"),
        pytest.param("*[1]*", {"a[1].md"}, id="no-character-classes"),
        pytest.param("nothing-like-it", set(), id="none"),
    ],
)
async def test_files_are_found_by_a_pattern(desk: Desk, pattern: str, names: set[str]) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    for name in ("Été 1.txt", "ete 2.txt", "a[1].md"):
        await put(ada, name, NOTE, query="?process=false")
    await put(bob, "ete 3.txt", NOTE, query="?process=false")
    for path in ("search", "user/search"):
        found = await ada.client.get(f"/api/v1/files/{path}", params={"filename": pattern})
        assert (found.status_code, {item["filename"] for item in found.json()}) == (200, names)
    part = await ada.client.get("/api/v1/files/search", params={"filename": "*", "skip": 1, "limit": 1})
    assert len(part.json()) == 1


async def test_files_are_counted(desk: Desk) -> None:
    ada = await desk.person("ada")
    await put(ada, "a.txt", NOTE, query="?process=false")
    await put(desk.admin, "b.txt", NOTE, query="?process=false")

    async def counts(who: Person) -> list[int]:
        return [(await who.client.get(f"/api/v1/files/{path}")).json() for path in ("count", "user/count")]

    assert (await counts(ada), await counts(desk.admin)) == ([1, 1], [2, 1])
    own = (await desk.admin.client.get("/api/v1/files/user/search")).json()
    assert [item["filename"] for item in own] == ["b.txt"]
    assert (await ada.client.get("/api/v1/files/search")).status_code == 422


async def test_a_file_that_is_only_stored_waits_until_it_is_asked_for(desk: Desk) -> None:
    ada = await desk.person("ada")
    one, two = [(await put(ada, f"{name}.txt", NOTE, query="?process=false")).json() for name in "ab"]
    assert (one["data"], one["hash"]) == ({"status": "pending"}, None)
    assert (await ada.client.post(f"/api/v1/files/{one['id']}/process/cancel")).status_code == 409
    await desk.upload(ada, "other.txt", "Another file goes through the queue meanwhile.")
    status = (await ada.client.get(f"/api/v1/files/{one['id']}/process/status")).json()
    assert (status["status"], status["stage"], status["position"]) == ("pending", "stored", None)
    assert await desk.app.records.queue.waiting() == 0
    shelf = await desk.collection(ada, "k", one["id"])
    await completed(desk, one["id"])
    [source] = await sources(ada, "Quelle garantie ?", type="collection", id=shelf)
    assert source["document"] == [NOTE]
    await desk.app.records.queue.again(two["id"])
    await completed(desk, two["id"])


@pytest.mark.parametrize(
    ("name", "content", "metadata", "said"),
    [
        pytest.param("a.txt", b"", None, "empty", id="empty"),
        pytest.param("a.txt", NOTE, "{", "not JSON", id="no-json"),
        pytest.param("a.txt", NOTE, "[1]", "not a JSON object", id="no-object"),
        pytest.param("a.txt", NOTE, {"knowledge_id": 7}, "knowledge_id must be an id", id="no-id"),
        pytest.param("a.txt", NOTE, {"knowledge_id": "a\0"}, "knowledge_id must be an id", id="nul"),
        pytest.param("a.txt", NOTE, {"ragline_source": "x"}, "ragline_source", id="reserved-key"),
        pytest.param("a.png", b"\x7fELF\x02\x01\x01" + bytes(99), None, "a program", id="type"),
        pytest.param("..", NOTE, None, "no usable name", id="name"),
    ],
)
async def test_a_wrong_upload_says_what_is_wrong_and_keeps_nothing(
    desk: Desk, name: str, content: bytes | str, metadata: object, said: str
) -> None:
    answer = await put(desk.admin, name, content, metadata=metadata)
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True), answer.text
    assert (await desk.admin.client.get("/api/v1/files/count")).json() == 0
    assert await desk.app.blobs.names("files") == []


async def test_two_parts_and_none_are_refused(desk: Desk) -> None:
    two = [("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))]
    assert (await desk.admin.client.post("/api/v1/files/", files=two)).status_code == 400
    assert (await desk.admin.client.post("/api/v1/files/", files=[("other", ("a.txt", b"a"))])).status_code == 422


async def test_a_key_of_some_collections_uploads_into_these_only(desk: Desk) -> None:
    ada = await desk.person("ada")
    inside, outside = [await desk.collection(ada, name) for name in ("dedans", "dehors")]
    before = await desk.upload(ada, "before.txt", "In none.")
    key, _ = await desk.app.records.keys.add(ada.user.id, name="narrow", collections=[inside])
    narrow = Person(ada.user, key, await desk.client(key))
    for metadata in (None, {"knowledge_id": outside}, {"knowledge_id": ABSENT}):
        refused = await put(narrow, "a.txt", NOTE, metadata=metadata)
        assert (refused.status_code, "limited to collections" in refused.json()["detail"]) == (403, True)
    made = (await put(narrow, "a.txt", NOTE, metadata={"knowledge_id": inside})).json()["id"]
    listed = (await narrow.client.get("/api/v1/files/")).json()
    assert ([item["id"] for item in listed["items"]], listed["total"]) == ([made], 1)
    own = await desk.app.records.files.get(before)
    same = await narrow.client.get("/api/v1/files/", params={"sha256": own.sha256})
    assert same.json() == {"items": [], "total": 0}
    create = await narrow.client.post("/api/v1/knowledge/create", json={"name": "k", "description": ""})
    assert (create.status_code, "limited" in create.json()["detail"]) == (403, True)
    assert (await narrow.client.delete("/api/v1/files/all")).status_code == 403


async def test_an_administrator_deletes_all_files_of_everybody(desk: Desk) -> None:
    ada = await desk.person("ada")
    file_id = await desk.upload(ada, "a.txt", NOTE)
    shelf = await desk.collection(ada, "k", file_id)
    await put(desk.admin, "b.txt", NOTE, query="?process=false")
    assert (await ada.client.delete("/api/v1/files/all")).status_code == 403
    assert (await ada.client.get(f"/api/v1/files/{file_id}")).status_code == 200
    answer = await desk.admin.client.delete("/api/v1/files/all")
    assert (answer.status_code, answer.json()) == (200, {"message": "All files deleted successfully"})
    assert (await desk.admin.client.get("/api/v1/files/count")).json() == 0
    assert (await ada.client.get(f"/api/v1/knowledge/{shelf}/files")).json()["total"] == 0
    async with asyncio.timeout(30):
        left = 1
        while left:
            await asyncio.sleep(0.05)
            left = await desk.app.vectors.count() + len(await desk.app.blobs.names("files"))
