"""`/v1/vector_stores`: collections, as OpenAI's own client calls them."""

from __future__ import annotations

import os
import time
from typing import Any

import openai
import pytest

from ragline.types import EVERYBODY
from tests.api.desk import Desk
from tests.api.test_v1_files import sdk

PUMP = "La garantie de la pompe Zéphyr dure 27 mois."
MILL = "The mill at Évreux grinds wheat on Tuesdays."
NONE = "00000000-0000-0000-0000-000000000000"


async def test_a_file_uploaded_and_put_into_a_store_is_found_by_a_search(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    store = await client.vector_stores.create(name="Évaluations", description="notes d'été")
    assert (store.object, store.name, store.status, store.metadata) == ("vector_store", "Évaluations", "completed", {})
    added = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id,
        file=("pompe.txt", PUMP.encode()),
        attributes={"année": 2024, "lang": "fr", "ok": True},
    )
    assert (added.object, added.status, added.last_error) == ("vector_store.file", "completed", None)
    assert added.attributes == {"année": 2024, "lang": "fr", "ok": True}
    await client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("mill.txt", MILL.encode()))
    page = await client.vector_stores.search(store.id, query="Combien de temps dure la garantie ?", max_num_results=1)
    [best] = page.data
    assert (best.file_id, best.filename, best.content[0].text) == (added.id, "pompe.txt", PUMP)
    assert 0.5 < best.score <= 1
    assert best.attributes == added.attributes
    known = await client.vector_stores.retrieve(store.id)
    assert (known.file_counts.completed, known.file_counts.total) == (2, 2)
    assert known.usage_bytes == len(PUMP.encode()) + len(MILL.encode())
    text = await client.vector_stores.files.content(added.id, vector_store_id=store.id)
    assert [part.text for part in text.data] == [PUMP]


async def test_a_store_is_a_collection(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    file_id = await desk.upload(ada, "pompe.txt", PUMP)
    store = await client.vector_stores.create(name="pompes", file_ids=[file_id, file_id])
    listed = (await ada.client.get("/api/v1/knowledge/")).json()["items"]
    assert [(one["id"], one["name"], one["file_count"]) for one in listed] == [(store.id, "pompes", 1)]
    assert (await client.vector_stores.update(store.id, name="pompes, été")).name == "pompes, été"
    assert (await ada.client.get(f"/api/v1/knowledge/{store.id}")).json()["name"] == "pompes, été"
    gone = await client.vector_stores.delete(store.id)
    assert (gone.object, gone.deleted) == ("vector_store.deleted", True)
    with pytest.raises(openai.NotFoundError):
        await client.vector_stores.retrieve(store.id)
    assert (await client.files.retrieve(file_id)).status == "processed"


async def test_filters_threshold_and_several_questions_narrow_a_search(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    pump, mill = await desk.upload(ada, "p.txt", PUMP, year=2024), await desk.upload(ada, "m.txt", MILL, year=2020)
    store = (await client.vector_stores.create(name="s", file_ids=[pump, mill])).id

    async def found(query: Any, **more: Any) -> set[str]:
        return {hit.file_id for hit in (await client.vector_stores.search(store, query=query, **more)).data}

    assert await found("wheat") == {pump, mill}
    assert await found("wheat", filters={"type": "gte", "key": "year", "value": 2024}) == {pump}
    both = {"type": "or", "filters": [{"type": "eq", "key": "year", "value": year} for year in (2020, 2024)]}
    assert await found("wheat", filters=both) == {pump, mill}
    assert await found("wheat", filters={"type": "eq", "key": "year", "value": 1999}) == set()
    assert await found("wheat", ranking_options={"score_threshold": 1.0}) == set()
    assert await found(["grind wheat", "garantie pompe"], max_num_results=2) == {pump, mill}
    await client.vector_stores.files.update(pump, vector_store_id=store, attributes={"year": 1999, "neu": "é"})
    assert await found("wheat", filters={"type": "eq", "key": "year", "value": 1999}) == {pump}
    page = await client.vector_stores.search(store, query=["wheat", "pompe"])
    assert page.model_extra is not None
    assert page.model_extra["search_query"] == ["wheat", "pompe"]


async def test_attributes_replace_each_other_and_leave_what_a_file_came_with(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    file = await client.files.create(file=("p.txt", PUMP.encode()), purpose="user_data")
    store = (await client.vector_stores.create(name="s")).id
    added = await client.vector_stores.files.create(store, file_id=file.id, attributes={"a": 1.5, "b": "x"})
    assert added.attributes == {"a": 1.5, "b": "x"}
    again = await client.vector_stores.files.update(file.id, vector_store_id=store, attributes={"b": False})
    assert again.attributes == {"b": False}
    assert (await client.files.retrieve(file.id)).purpose == "user_data"
    none = await client.vector_stores.files.update(file.id, vector_store_id=store, attributes=None)
    assert none.attributes == {}


async def test_a_file_that_is_taken_out_is_found_no_more_and_stays(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    file_id = await desk.upload(ada, "p.txt", PUMP)
    store = (await client.vector_stores.create(name="s", file_ids=[file_id])).id
    assert len((await client.vector_stores.search(store, query="garantie")).data) == 1
    gone = await client.vector_stores.files.delete(file_id, vector_store_id=store)
    assert (gone.id, gone.object, gone.deleted) == (file_id, "vector_store.file.deleted", True)
    assert (await client.vector_stores.search(store, query="garantie")).data == []
    with pytest.raises(openai.NotFoundError, match="in vector store"):
        await client.vector_stores.files.delete(file_id, vector_store_id=store)
    assert (await client.files.retrieve(file_id)).status == "processed"


async def test_lists_of_stores_and_files_go_on_in_both_directions(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    files = [await desk.upload(ada, f"{n}.txt", f"{PUMP} {n}") for n in range(3)]
    stores = [(await client.vector_stores.create(name=f"s{n}", file_ids=files)).id for n in range(5)]
    down = [store.id async for store in client.vector_stores.list(limit=2)]
    assert sorted(down) == sorted(stores)
    assert [store.id async for store in client.vector_stores.list(limit=2, order="asc")] == down[::-1]
    before = await client.vector_stores.list(before=down[3], limit=2)
    assert ([store.id for store in before.data], before.has_more) == (down[1:3], True)
    inside = [file.id async for file in client.vector_stores.files.list(stores[0], limit=1)]
    assert sorted(inside) == sorted(files)
    failed = await client.vector_stores.files.list(stores[0], filter="failed")
    assert (failed.data, failed.has_more) == ([], False)
    assert len((await client.vector_stores.files.list(stores[0], filter="completed")).data) == 3
    both = await ada.client.get(f"/v1/vector_stores?after={down[0]}&before={down[1]}")
    assert both.status_code == 422


async def test_a_batch_is_told_apart_from_other_files_and_kept_on_disk_for_thirty_days(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    store = (await client.vector_stores.create(name="s", file_ids=[await desk.upload(ada, "m.txt", MILL)])).id
    uploads = [("a.txt", PUMP.encode()), ("b.txt", b"Un autre texte, plus court."), ("vide.txt", b"  \n ")]
    batch = await client.vector_stores.file_batches.upload_and_poll(store, files=uploads)
    assert (batch.object, batch.status) == ("vector_store.files_batch", "completed")
    counts = batch.file_counts
    assert (counts.completed, counts.failed, counts.total) == (2, 1, 3)
    known = await client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store)
    assert known == batch
    names = {
        (await client.files.retrieve(file.id)).filename: file
        async for file in client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store, limit=2)
    }
    assert set(names) == {"a.txt", "b.txt", "vide.txt"}
    broken = names["vide.txt"].last_error
    assert broken is not None
    assert broken.code == "invalid_file"
    failed = await client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store, filter="failed")
    assert [file.id for file in failed.data] == [names["vide.txt"].id]
    cancelled = await client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store)
    assert cancelled.status == "completed"
    [kept] = (desk.app.settings.data_dir / "blobs" / "batches").iterdir()
    os.utime(kept, (time.time() - 31 * 24 * 3600,) * 2)
    await client.vector_stores.file_batches.create(store, file_ids=[names["a.txt"].id])
    with pytest.raises(openai.NotFoundError, match="30 days"):
        await client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store)


async def test_a_batch_gives_each_file_attributes_and_a_wrong_id_adds_nothing(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    one, two = await desk.upload(ada, "1.txt", PUMP), await desk.upload(ada, "2.txt", MILL)
    store = (await client.vector_stores.create(name="s")).id
    with pytest.raises(openai.NotFoundError, match=NONE):
        await client.vector_stores.file_batches.create(store, file_ids=[one, NONE])
    assert (await client.vector_stores.retrieve(store)).file_counts.total == 0
    await client.vector_stores.file_batches.create(
        store, files=[{"file_id": one, "attributes": {"n": 1}}, {"file_id": two, "attributes": {"n": 2}}]
    )
    listed = [file async for file in client.vector_stores.files.list(store)]
    assert {file.id: file.attributes for file in listed} == {one: {"n": 1}, two: {"n": 2}}


async def test_cancelling_a_batch_stops_files_that_wait(desk: Desk) -> None:
    ada = await desk.person("ada")
    client = sdk(desk, ada)
    store = (await client.vector_stores.create(name="s")).id
    words = "".join(f"Paragraphe {n} : la pompe Zéphyr tourne à {n} tours.\n\n" for n in range(4000))
    files = [await client.files.create(file=(f"{n}.txt", f"{n} {words}".encode()), purpose="assistants") for n in "123"]
    batch = await client.vector_stores.file_batches.create(store, file_ids=[file.id for file in files])
    assert (batch.status, batch.file_counts.in_progress) == ("in_progress", 3)
    stopped = await client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store)
    assert (stopped.status, stopped.file_counts.cancelled) == ("cancelled", 3)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        pytest.param("", {"metadata": {"a": "b"}}, 400, "metadata", id="metadata"),
        pytest.param("", {"expires_after": {"anchor": "last_active_at", "days": 1}}, 400, "expires", id="expires"),
        pytest.param(
            "", {"chunking_strategy": {"type": "static", "static": {}}}, 400, "chunking_strategy", id="chunking"
        ),
        pytest.param("", {"name": "a\0"}, 422, "name", id="nul"),
        pytest.param("/{store}/files", {"file_id": NONE}, 404, NONE, id="no-file"),
        pytest.param("/{store}/files", {"file_id": "x", "attributes": {"a": None}}, 422, "attributes", id="null"),
        pytest.param("/{store}/files", {"file_id": "x", "attributes": {"a": "x" * 513}}, 422, "attributes", id="long"),
        pytest.param(
            "/{store}/files",
            {"file_id": "x", "attributes": {str(n): n for n in range(17)}},
            422,
            "attributes",
            id="many",
        ),
        pytest.param(
            "/{store}/files", {"file_id": "x", "attributes": {"knowledge_id": "y"}}, 422, "another name", id="reserved"
        ),
        pytest.param("/{store}/file_batches", {}, 400, "file_ids", id="empty-batch"),
        pytest.param(
            "/{store}/file_batches",
            {"file_ids": ["a"], "files": [{"file_id": "b"}]},
            400,
            "one of them",
            id="two-lists",
        ),
        pytest.param("/{store}/search", {"query": "a", "max_num_results": 51}, 422, "max_num_results", id="most"),
        pytest.param("/{store}/search", {"query": []}, 422, "query", id="no-query"),
        pytest.param("/{store}/search", {"query": "a", "rewrite_query": True}, 400, "rewrite_query", id="rewrite"),
        pytest.param("/{store}/search", {"query": "a", "filters": {"type": "eq"}}, 422, "filters", id="filter"),
    ],
)
async def test_what_is_not_done_is_refused(desk: Desk, path: str, body: dict[str, Any], status: int, said: str) -> None:
    ada = await desk.person("ada")
    store = await desk.collection(ada, "s")
    answer = await ada.client.post("/v1/vector_stores" + path.format(store=store), json=body)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert len((await ada.client.get("/v1/vector_stores")).json()["data"]) == 1


async def test_another_users_store_is_one_that_does_not_exist(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    file_id = await desk.upload(ada, "p.txt", PUMP)
    store = await desk.collection(ada, "s", file_id)
    batch = (await sdk(desk, ada).vector_stores.file_batches.create(store, file_ids=[file_id])).id
    own = await desk.collection(bob, "bob's")
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("POST", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("GET", "/files", None),
        ("POST", "/files", {"file_id": file_id}),
        ("GET", f"/files/{file_id}", None),
        ("POST", f"/files/{file_id}", {"attributes": {}}),
        ("DELETE", f"/files/{file_id}", None),
        ("GET", f"/files/{file_id}/content", None),
        ("POST", "/file_batches", {"file_ids": [file_id]}),
        ("GET", f"/file_batches/{batch}", None),
        ("POST", f"/file_batches/{batch}/cancel", None),
        ("GET", f"/file_batches/{batch}/files", None),
        ("POST", "/search", {"query": "garantie"}),
    ]
    for method, path, body in calls:
        hidden = await bob.client.request(method, f"/v1/vector_stores/{store}{path}", json=body)
        unknown = await bob.client.request(method, f"/v1/vector_stores/{NONE}{path}", json=body)
        assert (hidden.status_code, unknown.status_code) == (404, 404), (method, path, hidden.text)
        assert hidden.text.replace(store, NONE) == unknown.text
    taken = await bob.client.post(f"/v1/vector_stores/{own}/files", json={"file_id": file_id})
    nothing = await bob.client.post(f"/v1/vector_stores/{own}/files", json={"file_id": NONE})
    assert (taken.status_code, taken.text.replace(file_id, NONE)) == (404, nothing.text)
    assert (await bob.client.get(f"/v1/vector_stores/{own}/file_batches/{batch}")).status_code == 404
    assert [one["id"] for one in (await bob.client.get("/v1/vector_stores")).json()["data"]] == [own]


async def test_whom_a_store_is_shared_with_to_read_may_search_and_not_change(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    file_id = await desk.upload(ada, "p.txt", PUMP)
    store = await desk.collection(ada, "s", file_id)
    await desk.app.records.grants.replace(store, {EVERYBODY: "read"})
    client = sdk(desk, bob)
    where: Any = {"type": "eq", "key": "filename", "value": "p.txt"}
    for found in (
        await client.vector_stores.search(store, query="garantie"),
        await client.vector_stores.search(store, query="garantie", filters=where),
    ):
        assert [hit.file_id for hit in found.data] == [file_id]
    mine = await desk.upload(bob, "b.txt", MILL)
    for change in (
        client.vector_stores.update(store, name="x"),
        client.vector_stores.delete(store),
        client.vector_stores.files.create(store, file_id=mine),
        client.vector_stores.files.delete(file_id, vector_store_id=store),
        client.vector_stores.files.update(file_id, vector_store_id=store, attributes={"a": 1}),
        client.vector_stores.file_batches.create(store, file_ids=[mine]),
    ):
        with pytest.raises(openai.PermissionDeniedError):
            await change
    assert (await client.vector_stores.retrieve(store)).file_counts.total == 1


async def test_a_key_for_one_store_sees_and_searches_nothing_else(desk: Desk) -> None:
    ada = await desk.person("ada")
    one = await desk.collection(ada, "one", await desk.upload(ada, "p.txt", PUMP))
    mill = await desk.upload(ada, "m.txt", MILL)
    other = await desk.collection(ada, "other", mill)
    key, _ = await desk.app.records.keys.add(ada.user.id, name="limited", collections=[one])
    limited = await desk.client(key)
    assert [store["id"] for store in (await limited.get("/v1/vector_stores")).json()["data"]] == [one]
    found = (await limited.post(f"/v1/vector_stores/{one}/search", json={"query": "wheat"})).json()["data"]
    assert [hit["filename"] for hit in found] == ["p.txt"]
    assert (await limited.post(f"/v1/vector_stores/{other}/search", json={"query": "wheat"})).status_code == 404
    assert (await limited.post(f"/v1/vector_stores/{one}/files", json={"file_id": mill})).status_code == 404
    assert (await limited.post("/v1/vector_stores", json={"name": "new"})).status_code == 403
    asked = {"model": "extractive", "input": "wheat?", "tools": [{"type": "file_search", "vector_store_ids": [other]}]}
    assert (await limited.post("/v1/responses", json=asked)).status_code == 404


@pytest.mark.parametrize("id", ["%2e%2e%2fx", "vsfb_" + "0" * 32, "x" * 300, "a%00b", "%ed%a0%80"])
async def test_odd_ids_are_unknown(desk: Desk, id: str) -> None:
    ada = await desk.person("ada")
    store = await desk.collection(ada, "s")
    for path in (f"/v1/vector_stores/{id}", f"/v1/vector_stores/{store}/file_batches/{id}", f"/v1/files/{id}"):
        answer = await ada.client.get(path)
        assert answer.status_code in (404, 405, 422), (path, answer.text)
