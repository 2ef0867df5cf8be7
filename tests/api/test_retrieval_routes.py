"""Retrieval by itself: queries, and what is made searchable in one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ragline.config.settings import Embedder
from ragline.connectors.fetch import Pages
from ragline.types import EVERYBODY, FileRecord
from tests.api.desk import Desk, Person
from tests.sources.site import Page, Site, serving
from tests.test_ingest import Here

PUMP = "The warranty period of the Zephyr pump is 27 months."
LIBRARY = "La bibliothèque de Nordhaven ouvre à 9 heures et ferme à 20 heures."
KITE = "Le cerf-volant Halcyon pèse 340 grammes."
UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def call(who: Person, path: str, **body: Any) -> httpx.Response:
    return await who.client.post(f"/api/v1/retrieval/{path}", json=body)


async def said(who: Person, path: str, **body: Any) -> dict[str, Any]:
    answer = await call(who, path, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def limited(desk: Desk, who: Person, *collection_ids: str) -> Person:
    """Return the same person with a key that is limited to collections."""
    key, _ = await desk.app.records.keys.add(who.user.id, name="limited", collections=collection_ids)
    return replace(who, key=key, client=await desk.client(key))


@pytest.fixture
async def web(desk: Desk) -> AsyncIterator[Site]:
    with serving() as site:
        pages = Pages(Here(desk.app.settings.parsing), ports=None, is_public=lambda address: address == "127.0.0.1")
        desk.api.state.app = replace(desk.app, pages=pages)
        yield site
        await pages.close()


async def test_a_file_and_a_collection_are_queried_by_meaning_and_by_words(desk: Desk) -> None:
    ada = await desk.person("ada")
    pump, library = await desk.upload(ada, "pump.txt", PUMP), await desk.upload(ada, "library.txt", LIBRARY)
    both = await desk.collection(ada, "both", pump, library)
    one = await said(ada, "query/doc", collection_name=f"file-{pump}", query="warranty")
    assert set(one) == {"ids", "documents", "metadatas", "distances"}
    assert one["documents"] == [[PUMP]]
    assert one["metadatas"][0][0].items() >= {"name": "pump.txt", "file_id": pump, "start_index": 0}.items()
    assert len(one["metadatas"][0][0]["hash"]) == 64
    assert [len(lists[0]) for lists in one.values()] == [1, 1, 1, 1]
    many = await said(ada, "query/collection", collection_names=[both], query="warranty")
    assert set(many) == {"documents", "metadatas", "distances"}
    assert many["documents"][0][0] == PUMP
    assert sorted(many["documents"][0]) == sorted([PUMP, LIBRARY])
    assert all(0 <= distance <= 1 for distance in many["distances"][0])
    first = await said(ada, "query/collection", collection_names=[both, f"file-{pump}"], query="warranty", k=1)
    assert first["documents"] == [[PUMP]]
    by_name = await said(ada, "query/doc", collection_name="both", query="warranty", k=0, hybrid=False)
    assert by_name["documents"][0][0] == PUMP
    assert by_name["distances"][0] == sorted(by_name["distances"][0], reverse=True)


async def test_no_names_and_no_words_find_nothing(desk: Desk) -> None:
    nothing: dict[str, Any] = {"documents": [[]], "metadatas": [[]], "distances": [[]]}
    assert await said(desk.admin, "query/collection", collection_names=[], query="warranty") == nothing
    pump = await desk.upload(desk.admin, "pump.txt", PUMP)
    found = await said(desk.admin, "query/doc", collection_name=f"file-{pump}", query=" ")
    assert found == nothing | {"ids": [[]]}


async def test_without_words_only_the_meaning_counts(desk: Desk) -> None:
    names = [await desk.upload(desk.admin, f"{n}.txt", text) for n, text in enumerate((PUMP, LIBRARY, KITE))]
    three = await desk.collection(desk.admin, "three", *names)
    body = {"collection_name": three, "query": "Halcyon"}
    dense = await said(desk.admin, "query/doc", **body, hybrid=False)
    both = await said(desk.admin, "query/doc", **body)
    assert dense["distances"][0] == sorted(dense["distances"][0], reverse=True)
    assert both["documents"][0][0] == KITE


async def test_where_words_change_the_order_distances_still_fall(desk: Desk) -> None:
    texts = (PUMP, LIBRARY, "Kite, 340 grams, blue, see drawing K-77 of the workshop in Lorient.")
    names = [await desk.upload(desk.admin, f"{n}.txt", text) for n, text in enumerate(texts)]
    three = await desk.collection(desk.admin, "three", *names)
    body = {"collection_name": three, "query": "When does the library of Norwich open, and when does it close? K-77"}
    dense = await said(desk.admin, "query/doc", **body, hybrid=False)
    both = await said(desk.admin, "query/doc", **body)
    assert dense["ids"][0] != both["ids"][0]
    nearness = dict(zip(dense["ids"][0], dense["distances"][0], strict=True))
    own = [nearness[one] for one in both["ids"][0]]
    assert own != sorted(own, reverse=True)
    assert both["distances"][0] == pytest.approx([min(own[: rank + 1]) for rank in range(3)])


@pytest.mark.parametrize(
    ("body", "place"),
    [
        pytest.param({"query": "a"}, "collection_name", id="no-name"),
        pytest.param({"collection_name": "a"}, "query", id="no-query"),
        pytest.param({"collection_name": "a", "query": "a", "k": -1}, "k", id="negative"),
        pytest.param({"collection_name": "a", "query": "a", "k": 201}, "k", id="many"),
        pytest.param({"collection_name": "a\x00", "query": "a"}, "collection_name", id="nul"),
        pytest.param({"collection_name": "", "query": "a"}, "collection_name", id="empty"),
    ],
)
async def test_a_query_that_is_malformed_is_422(desk: Desk, body: dict[str, Any], place: str) -> None:
    answer = await call(desk.admin, "query/doc", **body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", place]


async def test_what_another_has_is_404_as_what_is_not_there(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    pump = await desk.upload(ada, "pump.txt", PUMP)
    pumps = await desk.collection(ada, "pumps", pump)
    own = await desk.collection(bob, "own")

    async def alike(path: str, key: str, *names: str, **body: Any) -> None:
        said = set()
        for name in names:
            answer = await call(bob, path, **body, **{key: name})
            assert answer.status_code == 404, (path, name, answer.text)
            said.add(answer.json()["detail"].replace(name.removeprefix("file-"), "…"))
        assert len(said) == 1

    await alike("query/doc", "collection_name", f"file-{pump}", f"file-{UNKNOWN}", query="a")
    await alike("query/doc", "collection_name", pumps, UNKNOWN, "pumps", query="a")
    await alike("process/text", "collection_name", pumps, UNKNOWN, name="a", content="a")
    await alike("process/web", "collection_name", pumps, UNKNOWN, url="https://example.org/")
    await alike("process/file", "file_id", pump, UNKNOWN)
    await alike("process/files/batch", "collection_name", pumps, UNKNOWN, files=[])
    await alike("delete", "collection_name", pumps, UNKNOWN, file_id=pump)
    await alike("delete", "file_id", pump, UNKNOWN, collection_name=own)
    for name in (pumps, UNKNOWN):
        answer = await call(bob, "query/collection", collection_names=[own, name], query="a")
        assert (answer.status_code, name in answer.json()["detail"]) == (404, True)
    found = await said(bob, "process/files/batch", collection_name=own, files=[{"id": pump}, {"file_id": UNKNOWN}])
    assert [each["error"].replace(each["file_id"], "…") for each in found["errors"]] == ["no file '…'"] * 2
    assert found["results"] == []


async def test_a_text_is_searchable_when_it_is_answered_and_stored_once(desk: Desk) -> None:
    ada = await desk.person("ada")
    body = {"name": "note", "content": KITE, "collection_name": "été"}
    for _ in range(2):
        done = await said(ada, "process/text", **body)
        assert done.items() >= {"status": True, "collection_name": "été", "content": KITE}.items()
        assert (await said(ada, "query/doc", collection_name="été", query="Halcyon"))["documents"] == [[KITE]]
    await said(ada, "process/text", name="autre", content=PUMP, collection_name="été")
    listed = (await ada.client.get("/api/v1/knowledge/")).json()
    assert [(each["name"], each["file_count"]) for each in listed["items"]] == [("été", 2)]


async def test_texts_sent_at_once_make_one_collection(desk: Desk) -> None:
    ada = await desk.person("ada")
    await asyncio.gather(
        *(said(ada, "process/text", name=f"n{n}", content=f"{KITE} {n}", collection_name="vite") for n in range(4))
    )
    listed = (await ada.client.get("/api/v1/knowledge/")).json()
    assert [(each["name"], each["file_count"]) for each in listed["items"]] == [("vite", 4)]


async def test_a_text_without_a_collection_is_found_as_a_file(desk: Desk) -> None:
    done = await said(desk.admin, "process/text", name="rapport.pdf", content=KITE)
    assert done["collection_name"] == f"file-{done['file_id']}"
    assert done["filename"] == "rapport.pdf.txt"
    found = await said(desk.admin, "query/doc", collection_name=done["collection_name"], query="Halcyon")
    assert found["documents"] == [[KITE]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"name": "a", "content": " \n "}, 422, id="blank"),
        pytest.param({"name": "a", "content": ""}, 422, id="empty"),
        pytest.param({"name": "a", "content": "a\x00b"}, 422, id="nul"),
        pytest.param({"name": "", "content": "a"}, 422, id="no-name"),
        pytest.param({"name": "..", "content": "a"}, 400, id="no-usable-name"),
        pytest.param({"content": "a"}, 422, id="name-missing"),
        pytest.param({"name": "a", "content": "a", "collection_name": "file-x"}, 400, id="a-file-is-no-collection"),
    ],
)
async def test_a_text_that_cannot_be_stored_is_refused(desk: Desk, body: dict[str, Any], status: int) -> None:
    assert (await call(desk.admin, "process/text", **body)).status_code == status


async def test_who_may_only_read_a_collection_cannot_put_anything_into_it(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    pump = await desk.upload(ada, "pump.txt", PUMP)
    pumps = await desk.collection(ada, "pumps", pump)
    await desk.app.records.grants.replace(pumps, {EVERYBODY: "read"})
    kite = await desk.upload(bob, "kite.txt", KITE)
    for path, body in (
        ("process/text", {"name": "a", "content": "a"}),
        ("process/web", {"url": "https://example.org/"}),
        ("process/file", {"file_id": kite}),
        ("process/files/batch", {"files": [{"id": kite}]}),
        ("delete", {"file_id": pump}),
    ):
        assert (await call(bob, path, collection_name=pumps, **body)).status_code == 403, path
    assert (await said(bob, "query/doc", collection_name=pumps, query="warranty"))["documents"] == [[PUMP]]
    assert (await call(bob, "process/file", file_id=pump, content="mine")).status_code == 403
    await desk.app.records.grants.replace(pumps, {bob.user.id: "write"})
    await said(bob, "process/text", name="a", content=LIBRARY, collection_name=pumps)
    await said(bob, "process/file", file_id=kite, collection_name=pumps)
    found = await said(ada, "query/doc", collection_name=pumps, query="Halcyon")
    assert sorted(found["documents"][0]) == sorted([PUMP, LIBRARY, KITE])


async def test_a_key_limited_to_collections_sees_and_fills_only_these(desk: Desk) -> None:
    ada = await desk.person("ada")
    inside, outside = await desk.upload(ada, "pump.txt", PUMP), await desk.upload(ada, "kite.txt", KITE)
    pumps, kites = await desk.collection(ada, "pumps", inside), await desk.collection(ada, "kites", outside)
    few = await limited(desk, ada, pumps)
    for name in (pumps, "pumps", f"file-{inside}"):
        assert (await said(few, "query/doc", collection_name=name, query="warranty"))["documents"] == [[PUMP]]
    for name in (kites, "kites", f"file-{outside}"):
        assert (await call(few, "query/doc", collection_name=name, query="Halcyon")).status_code == 404
    text = {"name": "a", "content": LIBRARY}
    assert (await call(few, "process/text", **text)).status_code == 403
    assert (await call(few, "process/text", **text, collection_name="new")).status_code == 403
    assert (await call(few, "process/text", **text, collection_name="kites")).status_code == 403
    assert (await call(few, "process/text", **text, collection_name=kites)).status_code == 404
    await said(few, "process/text", **text, collection_name="pumps")
    found = await said(few, "query/collection", collection_names=["pumps"], query="Nordhaven")
    assert sorted(found["documents"][0]) == sorted([PUMP, LIBRARY])


async def test_a_file_is_put_into_a_collection_processed_and_given_another_text(desk: Desk) -> None:
    ada = await desk.person("ada")
    stored = await ada.client.post(
        "/api/v1/files/?process=false", files={"file": ("pump.txt", PUMP.encode(), "text/plain")}
    )
    file_id = stored.json()["id"]
    done = await said(ada, "process/file", file_id=file_id)
    assert done.items() >= {"status": True, "collection_name": f"file-{file_id}", "filename": "pump.txt"}.items()
    assert done["content"] == PUMP
    await said(ada, "process/file", file_id=file_id, collection_name="pumps")
    assert (await said(ada, "query/doc", collection_name="pumps", query="warranty"))["documents"] == [[PUMP]]
    done = await said(ada, "process/file", file_id=file_id, content=KITE)
    assert done["content"] == KITE
    assert (await said(ada, "query/doc", collection_name="pumps", query="Halcyon"))["documents"] == [[KITE]]


async def test_a_file_that_cannot_be_read_is_422_with_the_reason(desk: Desk) -> None:
    sent = await desk.admin.client.post("/api/v1/files/", files={"file": ("a.pdf", b"%PDF-1.4 broken", "x")})
    answer = await call(desk.admin, "process/file", file_id=sent.json()["id"])
    assert (answer.status_code, "a.pdf" in answer.json()["detail"]) == (422, True)
    batch = await said(desk.admin, "process/files/batch", files=[{"id": sent.json()["id"]}], collection_name="b")
    assert (batch["results"][0]["status"], batch["errors"]) == ("failed", [])


async def test_a_batch_is_searchable_and_a_file_can_leave_again(desk: Desk) -> None:
    ada = await desk.person("ada")
    pump, kite = await desk.upload(ada, "pump.txt", PUMP), await desk.upload(ada, "kite.txt", KITE)
    files = [{"id": pump, "filename": "ignored"}, {"file_id": kite}, {"id": pump}]
    done = await said(ada, "process/files/batch", files=files, collection_name="lot")
    assert done == {
        "collection_name": "lot",
        "results": [{"file_id": each, "status": "completed", "error": None} for each in (pump, kite)],
        "errors": [],
    }
    found = await said(ada, "query/doc", collection_name="lot", query="Halcyon")
    assert sorted(found["documents"][0]) == sorted([PUMP, KITE])
    assert await said(ada, "delete", collection_name="lot", file_id=kite) == {"status": True}
    assert await said(ada, "delete", collection_name="lot", file_id=kite) == {"status": False}
    assert (await said(ada, "query/doc", collection_name="lot", query="Halcyon"))["documents"] == [[PUMP]]
    assert (await call(ada, "process/files/batch", files=[{}], collection_name="lot")).status_code == 422
    assert (await call(ada, "delete", collection_name=f"file-{pump}", file_id=pump)).status_code == 400


async def test_a_page_becomes_a_file_that_says_where_it_is_from(desk: Desk, web: Site) -> None:
    web.html("/%C3%A9t%C3%A9/pompe", f"<nav>Accueil</nav><main><h1>Pompe</h1><p>{PUMP} {LIBRARY}</p></main>")
    done = await said(desk.admin, "process/web", url=f"{web.url}/été/pompe", collection_name="web")
    assert done["collection_name"] == "web"
    assert PUMP in done["content"]
    record: FileRecord = await desk.app.records.files.get(done["file_id"])
    assert record.metadata["url"] == f"{web.url}/%C3%A9t%C3%A9/pompe"
    assert record.filename == done["filename"]
    assert record.filename.endswith("_été_pompe.html")
    found = await said(desk.admin, "query/doc", collection_name="web", query="warranty")
    assert PUMP in found["documents"][0][0]
    filtered = {"type": "collection", "id": "", "metadata": {"url": record.metadata["url"]}}
    filtered["id"] = (await desk.app.records.collections.named("web", desk.admin.user)).id
    body = {"model": "extractive", "messages": [{"role": "user", "content": "warranty?"}], "files": [filtered]}
    answer = await desk.admin.client.post("/api/chat/completions", json=body)
    assert answer.json()["sources"][0]["metadata"][0]["file_id"] == record.id


async def test_a_page_that_does_not_come_makes_neither_file_nor_collection(desk: Desk, web: Site) -> None:
    web.pages["/no"] = Page(status=500)
    for url, status in (
        (f"{web.url}/no", 404),
        (f"{web.url}/nowhere", 404),
        (f"http://127.0.0.2:{web.port}/", 403),
        ("ftp://example.org/", 422),
        ("http://[::1", 400),
    ):
        answer = await call(desk.admin, "process/web", url=url, collection_name="web")
        assert answer.status_code == status, answer.text
    assert (await desk.admin.client.get("/api/v1/knowledge/")).json()["total"] == 0
    assert (await desk.admin.client.get("/api/v1/files/")).json()["total"] == 0


@pytest.fixture
def secret(desk: Desk) -> Desk:
    chosen = Embedder(kind="openai", model="bge-m3", url="https://me:hush@models/v1", api_key=SecretStr("sk-hush"))
    settings = desk.app.settings.model_copy(update={"embedder": chosen})
    desk.api.state.app = replace(desk.app, settings=settings)
    return desk


async def test_administrators_see_what_is_set_without_secrets(secret: Desk) -> None:
    ada = await secret.person("ada")
    for path in ("config", "embedding"):
        assert (await ada.client.get(f"/api/v1/retrieval/{path}")).status_code == 403
    config = (await secret.admin.client.get("/api/v1/retrieval/config")).json()
    assert config.items() >= {"status": True, "TOP_K": 8, "CHUNK_SIZE": 256, "CHUNK_OVERLAP": 32}.items()
    assert config["retrieval"]["full_tokens"] == 32_000
    shown = await secret.admin.client.get("/api/v1/retrieval/embedding")
    assert shown.json().items() >= {"RAG_EMBEDDING_ENGINE": "openai", "RAG_EMBEDDING_MODEL": "bge-m3"}.items()
    assert "hush" not in shown.text
