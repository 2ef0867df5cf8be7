"""What a chat may refer to: files, collections, texts, pages; whole, filtered, several at once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ragline.config.settings import Retrieval
from ragline.connectors.fetch import Pages
from ragline.errors import Unavailable
from ragline.types import EVERYBODY
from tests.api.desk import Desk, Person, open_desk
from tests.models.loopback import Loopback
from tests.sources.site import Page, Site, serving
from tests.test_ingest import Here

PUMP = "The warranty period of the Zephyr pump is 27 months."
LIBRARY = "La bibliothèque de Nordhaven ouvre à 9 heures et ferme à 20 heures."
ASKED = "How long is the warranty of the Zephyr pump?"


async def chat(who: Person, *files: Any, question: str = ASKED, **more: Any) -> httpx.Response:
    body = {"model": "echo", "messages": [{"role": "user", "content": question}], "files": list(files), **more}
    return await who.client.post("/api/chat/completions", json=body)


async def sources(who: Person, *files: Any, **more: Any) -> list[dict[str, Any]]:
    answer = await chat(who, *files, **more)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["sources"]
    return found


def prompt(backend: Loopback) -> str:
    """What the model was sent in the end."""
    return str(backend.seen[-1].body["messages"][-1]["content"])


def asked(backend: Loopback) -> bool:
    return any(seen.path == "/v1/chat/completions" for seen in backend.seen)


def file(id: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "id": id, **more}


def collection(id: str, **more: Any) -> dict[str, Any]:
    return {"type": "collection", "id": id, **more}


def note(content: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "name": "note", "content": content, **more}


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


def chapters(count: int) -> list[str]:
    return [f"Chapitre {n}. La Loire coule à travers la ville n° {n}, de péniche en péniche." for n in range(count)]


@pytest.fixture
async def tight(tmp_path: Path, models_folder: Path, backend: Loopback) -> AsyncIterator[Desk]:
    """A desk with room for few passages."""
    few = Retrieval(context_tokens=300, full_tokens=100, top_k=3, min_relevance=0)
    async with open_desk(tmp_path, models_folder, backend_url=backend.url, retrieval=few) as opened:
        yield opened


@asynccontextmanager
async def reading(desk: Desk, site: Site) -> AsyncIterator[Site]:
    """Let a desk take a site for one of the public internet; every other address of the machine stays private."""
    pages = Pages(
        Here(desk.app.settings.parsing),
        max_bytes=100_000,
        timeout_s=2,
        ports=None,
        is_public=lambda address: address == "127.0.0.1",
    )
    desk.api.state.app = replace(desk.app, pages=pages)
    yield site
    await pages.close()


@pytest.fixture
async def web(desk: Desk, site: Site) -> AsyncIterator[Site]:
    async with reading(desk, site):
        yield site


async def test_a_source_is_the_reference_as_it_was_sent_and_says_what_the_file_is(desk: Desk) -> None:
    ada = await desk.person("ada")
    file_id = await desk.upload(ada, "zéphyr.txt", PUMP)
    sent = file(file_id, name="Zéphyr", status="uploaded", itemId="x1", collection_name="", file={"id": file_id})
    [source] = await sources(ada, sent)
    assert source["source"] == sent
    assert source["document"] == [PUMP]
    [about] = source["metadata"]
    record = await desk.app.records.files.get(file_id)
    assert (
        about.items()
        >= {
            "name": "zéphyr.txt",
            "source": "zéphyr.txt",
            "file_id": file_id,
            "created_by": ada.user.id,
            "hash": record.sha256,
            "file_hash": record.sha256,
            "size": len(PUMP),
            "content_type": "text/plain",
            "start_index": 0,
            "citation": 1,
        }.items()
    )
    [distance] = source["distances"]
    assert 0.5 < distance <= 1


async def test_the_same_reference_twice_is_one_entry_and_a_document_through_two_is_one_source(
    desk: Desk, backend: Loopback
) -> None:
    ada = await desk.person("ada")
    pump, library = await desk.upload(ada, "pump.txt", PUMP), await desk.upload(ada, "library.txt", LIBRARY)
    both = await desk.collection(ada, "both", pump, library)
    assert len(await sources(ada, file(pump), file(pump, name="again"))) == 1
    first, second = await sources(ada, collection(both), file(pump))
    assert sorted(first["document"]) == sorted([PUMP, LIBRARY])
    assert (second["document"], second["distances"]) == ([], [])
    assert len(re.findall(r'<source id="\d"', prompt(backend))) == 2
    first, second = await sources(ada, file(pump), collection(both))
    assert (first["document"], second["document"]) == ([PUMP], [LIBRARY])


async def test_each_passage_has_its_own_distance_and_the_nearest_comes_first(tight: Desk) -> None:
    texts = [PUMP, LIBRARY, "Kite, 340 grams, blue, see drawing K-77 of the workshop in Lorient."]
    ids = [await tight.upload(tight.admin, f"{n}.txt", text) for n, text in enumerate(texts)]
    several = await tight.collection(tight.admin, "several", *ids)
    question = "When does the library of Norwich open, and when does it close? K-77"
    looked = {"query": question, "files": [collection(several)]}
    answer = await tight.admin.client.post("/api/v1/retrieval/search", json=looked)
    cosines = {each["text"]: each["cosine"] for each in answer.json()["passages"]}
    assert list(cosines) != sorted(cosines, key=lambda text: -cosines[text])  # words count in the order of a search
    [source] = await sources(tight.admin, collection(several), question=question)
    assert sorted(source["document"]) == sorted(cosines)
    own = [(1 + cosines[text]) / 2 for text in source["document"]]
    assert source["distances"] == pytest.approx(own)
    assert own == sorted(set(own), reverse=True)


async def test_a_text_is_taken_whole_and_has_no_distances(desk: Desk, backend: Loopback) -> None:
    ada = await desk.person("ada")
    sent = note("The Zephyr pump warranty is 99 months.", id="x")
    [source] = await sources(ada, sent)
    assert source["source"] == sent
    assert source["document"] == ["The Zephyr pump warranty is 99 months."]
    assert source["metadata"][0]["name"] == "note"
    assert "distances" not in source
    assert "file_id" not in source["metadata"][0]
    assert '<source id="1" name="note">' in prompt(backend)
    assert await desk.app.vectors.count() == 0


async def test_of_a_long_text_the_best_passages_are_chosen_and_nothing_is_stored(tight: Desk) -> None:
    filler = "\n\n".join(chapters(30))
    [source] = await sources(tight.admin, note(f"{filler}\n\n{PUMP}\n\n{filler}"))
    assert PUMP in source["document"][0]
    assert len(source["document"]) <= 3
    assert "distances" not in source
    assert await tight.app.vectors.count() == 0
    assert await tight.app.records.files.page(tight.admin.user, limit=1, offset=0) == ([], 0)


async def test_a_long_text_leaves_room_for_a_file_and_the_other_way_round(tight: Desk) -> None:
    pump = await tight.upload(tight.admin, "pump.txt", PUMP)
    library = await tight.upload(tight.admin, "loire.txt", "\n\n".join(chapters(30)))
    long, stored = await sources(tight.admin, note("\n\n".join(chapters(20))), file(pump))
    assert stored["document"] == [PUMP]
    assert long["document"]
    short, _ = await sources(tight.admin, note(PUMP), file(library))
    assert short["document"] == [PUMP]


async def test_a_text_beyond_what_can_be_looked_through_is_413(desk: Desk, backend: Loopback) -> None:
    answer = await chat(desk.admin, note("mot " * 125_001))
    assert answer.status_code == 413
    assert "500000 are allowed" in answer.json()["detail"]
    assert not asked(backend)


async def test_a_whole_file_has_all_of_its_text_once_and_no_distances(desk: Desk, backend: Loopback) -> None:
    ada = await desk.person("ada")
    text = "\n\n".join(f"Article {n}. {LIBRARY}" for n in range(60))
    code = await desk.upload(ada, "code.txt", text)
    both = await desk.collection(ada, "both", code, await desk.upload(ada, "pump.txt", PUMP))
    [source] = await sources(ada, file(code, context="full"))
    assert source["source"] == file(code, context="full")
    assert source["document"] == [text]
    assert "distances" not in source
    assert source["metadata"][0]["file_id"] == code
    searched, whole = await sources(ada, collection(both), file(code, context="full"))
    assert (searched["document"], whole["document"]) == ([PUMP], [text])
    assert prompt(backend).count("Article 59.") == 1


async def test_a_whole_collection_is_all_of_its_files(desk: Desk) -> None:
    ada = await desk.person("ada")
    pump, library = await desk.upload(ada, "pump.txt", PUMP), await desk.upload(ada, "library.txt", LIBRARY)
    both = await desk.collection(ada, "both", pump, library)
    [source] = await sources(ada, collection(both, context="full"), question="Bonjour")
    found = zip(source["document"], (about["file_id"] for about in source["metadata"]), strict=True)
    assert sorted(found) == sorted([(PUMP, pump), (LIBRARY, library)])
    assert "distances" not in source


async def test_what_is_too_long_to_be_taken_whole_is_413_with_the_way_out(tight: Desk, backend: Loopback) -> None:
    short = await tight.upload(tight.admin, "pump.txt", PUMP)
    long = await tight.upload(tight.admin, "loire.txt", "La Loire coule à travers la ville. " * 20)
    assert (await chat(tight.admin, file(short, context="full"))).status_code == 200
    backend.forget()
    answer = await chat(tight.admin, file(long, context="full"))
    assert answer.status_code == 413
    said = answer.json()["detail"]
    tokens = re.search(r"whole: (\d+) tokens, and 100 are allowed", said)
    assert tokens is not None
    assert int(tokens[1]) > 100
    assert "retrieval.full_tokens" in said
    assert "leave out 'context': 'full'" in said
    both = await tight.collection(tight.admin, "both", short, long)
    answer = await chat(tight.admin, collection(both, context="full"))
    assert (answer.status_code, "of 2 files, and 100" in answer.json()["detail"]) == (413, True)
    assert not asked(backend)


async def test_metadata_filters_a_collection_and_a_file(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    old = await desk.upload(ada, "old.txt", "The warranty of the Zephyr pump was 12 months.", year=2020, lang="en")
    new = await desk.upload(ada, "new.txt", PUMP, year=2024, lang="en")
    french = await desk.upload(ada, "neuf.txt", "La garantie de la pompe dure 27 mois.", year=2024, lang="fr")
    all_of_them = await desk.collection(ada, "pumps", old, new, french)
    await desk.app.records.grants.replace(all_of_them, {EVERYBODY: "read"})

    async def documents(**metadata: Any) -> set[str]:
        found = set()
        for who in (ada, bob, desk.admin):
            [source] = await sources(who, collection(all_of_them, metadata=metadata))
            assert source["source"]["metadata"] == metadata
            found.add(frozenset(about["file_id"] for about in source["metadata"]))
        [same] = found
        return set(same)

    assert await documents(year=2024) == {new, french}
    assert await documents(year={"lt": 2024}) == {old}
    assert await documents(lang=["fr", "de"]) == {french}
    assert await documents(name="new.txt", content_type="text/plain") == {new}
    assert await documents(year={"gte": 2000}) == {old, new, french}
    assert await documents(year=1999) == set()
    kept, left = await sources(ada, file(new, metadata={"year": 2024}), file(old, metadata={"year": 2024}))
    assert (kept["document"], left["document"]) == ([PUMP], [])
    [whole] = await sources(ada, collection(all_of_them, context="full", metadata={"lang": "fr"}))
    assert [about["file_id"] for about in whole["metadata"]] == [french]


async def test_a_filter_that_leaves_too_many_files_is_422_and_one_that_leaves_all_is_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragline.retrieval.references.MAX_FILTERED_FILES", 1)
    ids = [await desk.upload(desk.admin, f"{n}.txt", f"{PUMP} {n}", n=n) for n in range(3)]
    three = await desk.collection(desk.admin, "three", *ids)
    answer = await chat(desk.admin, collection(three, metadata={"n": {"gt": 0}}))
    assert (answer.status_code, "leave 2 files" in answer.json()["detail"]) == (422, True)
    [source] = await sources(desk.admin, collection(three, metadata={"n": {"gte": 0}}))
    assert len(source["document"]) == 3


async def test_a_filter_that_fits_nothing_searches_nothing_else(desk: Desk, backend: Loopback) -> None:
    await desk.upload(desk.admin, "secret.txt", PUMP)
    empty = await desk.collection(desk.admin, "empty", await desk.upload(desk.admin, "library.txt", LIBRARY))
    [source] = await sources(desk.admin, collection(empty, metadata={"year": 1}))
    assert source["document"] == []
    assert "27 months" not in prompt(backend)


async def test_what_is_unknown_hidden_or_deleted_is_404_and_no_model_is_asked(desk: Desk, backend: Loopback) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    hidden = await desk.upload(ada, "pump.txt", PUMP)
    inside = await desk.collection(ada, "pumps", hidden)
    gone = await desk.upload(bob, "gone.txt", LIBRARY)
    assert (await bob.client.delete(f"/api/v1/files/{gone}")).status_code == 200
    unknown = "00000000-0000-4000-8000-000000000000"
    for make, ids in ((file, (hidden, gone, inside, unknown)), (collection, (inside, hidden, unknown))):
        said = set()
        for id in ids:
            for more in ({}, {"context": "full"}, {"metadata": {"a": 1}}):
                answer = await chat(bob, note("a text"), make(id, **more))
                assert answer.status_code == 404
                said.add(answer.json()["detail"].replace(id, "…"))
        assert len(said) == 1
    assert not asked(backend)


@pytest.mark.parametrize(
    ("files", "place"),
    [
        pytest.param("x", ["body", "files"], id="text"),
        pytest.param({}, ["body", "files"], id="object"),
        pytest.param(["x"], ["body", "files", 0], id="list-of-texts"),
        pytest.param([{"id": "x"}], ["body", "files", 0], id="no-type"),
        pytest.param([{"type": "doc", "id": "x"}], ["body", "files", 0], id="unknown-type"),
        pytest.param([note("a"), {"type": "file"}], ["body", "files", 1, "file", "id"], id="no-id"),
        pytest.param([file("")], ["body", "files", 0, "file", "id"], id="empty-id"),
        pytest.param([file("a\x00b")], ["body", "files", 0, "file", "id"], id="nul"),
        pytest.param([file("x" * 257)], ["body", "files", 0, "file", "id"], id="long-id"),
        pytest.param([file("x", context="ful")], ["body", "files", 0, "file", "context"], id="context"),
        pytest.param([{"type": "text", "name": "a"}], ["body", "files", 0, "text", "content"], id="no-content"),
        pytest.param([note(" \n")], ["body", "files", 0, "text", "content"], id="blank"),
        pytest.param([{"type": "url"}], ["body", "files", 0, "url", "url"], id="no-url"),
        pytest.param([{"type": "url", "url": "file:///etc/passwd"}], ["body", "files", 0, "url", "url"], id="scheme"),
        pytest.param([{"type": "url", "url": "http://a:b@x/"}], ["body", "files", 0, "url", "url"], id="password"),
        pytest.param([file("x", metadata={"a": {"like": 1}})], ["body", "files", 0, "file", "metadata"], id="filter"),
        pytest.param([file("x", metadata=[1])], ["body", "files", 0, "file", "metadata"], id="filter-is-a-list"),
    ],
)
async def test_what_is_malformed_is_422_with_its_place(desk: Desk, files: Any, place: list[Any]) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": ASKED}], "files": files}
    answer = await desk.admin.client.post("/api/chat/completions", json=body)
    assert answer.status_code == 422
    [problem] = answer.json()["detail"]
    assert problem["loc"] == place


async def test_where_a_filter_is_wrong_is_said(desk: Desk) -> None:
    answer = await chat(desk.admin, file("x", metadata={"year": {"like": 1}}))
    assert "metadata.year.like: no operator 'like'; known: eq, ne" in answer.json()["detail"][0]["msg"]


async def test_no_files_at_all_is_no_sources(desk: Desk) -> None:
    asking = {"model": "echo", "messages": [{"role": "user", "content": ASKED}]}
    for body in (asking, asking | {"files": None}, asking | {"files": []}):
        answer = await desk.admin.client.post("/api/chat/completions", json=body)
        assert (answer.status_code, "sources" in answer.json()) == (200, False)


async def test_a_chat_that_is_stored_nowhere_is_404_and_one_of_the_client_is_none_of_ours(
    desk: Desk, backend: Loopback
) -> None:
    answer = await chat(desk.admin, note(PUMP), chat_id="00000000-0000-4000-8000-000000000000")
    assert (answer.status_code, "leave chat_id out" in answer.json()["detail"]) == (404, True)
    assert not asked(backend)
    assert (await chat(desk.admin, note(PUMP), chat_id="local:été")).status_code == 200
    assert "chat_id" not in backend.seen[-1].body


async def test_a_text_as_the_pages_of_open_webui_send_it(desk: Desk) -> None:
    sent = {"type": "text", "name": "page", "file": {"data": {"content": PUMP}, "meta": {}}, "status": "uploaded"}
    [source] = await sources(desk.admin, sent)
    assert source["document"] == [PUMP]


async def test_a_chat_waits_for_a_file_and_a_filter_is_known_before_it_is_ready(desk: Desk) -> None:
    made = await desk.admin.client.post(
        "/api/v1/files/",
        files={"file": ("pump.txt", PUMP.encode(), "text/plain")},
        data={"metadata": json.dumps({"year": 2024})},
    )
    both = await desk.collection(desk.admin, "pumps", made.json()["id"])
    one, other = await sources(
        desk.admin, file(made.json()["id"], context="full"), collection(both, metadata={"year": 2024})
    )
    assert (one["document"], other["document"]) == ([PUMP], [])


async def test_a_file_that_nobody_processes_is_409_at_once(desk: Desk, backend: Loopback) -> None:
    made = await desk.admin.client.post(
        "/api/v1/files/?process=false", files={"file": ("pump.txt", PUMP.encode(), "text/plain")}
    )
    async with asyncio.timeout(10):
        answer = await chat(desk.admin, file(made.json()["id"]))
    assert (answer.status_code, "without being processed" in answer.json()["detail"]) == (409, True)
    assert not asked(backend)


async def test_a_page_is_fetched_read_and_named_in_the_sources(desk: Desk, web: Site, backend: Loopback) -> None:
    menu = "<nav><a href='/'>Accueil</a></nav>"
    web.html("/garantie", f"{menu}<main><h1>Garantie</h1><p>{PUMP} {LIBRARY}</p></main>")
    sent = {"type": "url", "url": f"{web.url}/garantie", "id": "u1"}
    [source] = await sources(desk.admin, sent)
    assert source["source"] == sent
    [text] = source["document"]
    assert PUMP in text
    assert "Accueil" not in text
    [about] = source["metadata"]
    assert (about["url"], about["source"]) == (sent["url"], sent["url"])
    assert about["content_type"] == "text/html"
    assert "distances" not in source
    assert f'name="{about["name"]}"' in prompt(backend)
    assert await desk.app.vectors.count() == 0


async def test_of_a_long_page_the_best_passages_have_distances(tight: Desk, site: Site) -> None:
    paragraphs = "".join(f"<p>{chapter}</p>" for chapter in chapters(30))
    site.html("/long", f"<main>{paragraphs}<p>{PUMP}</p></main>")
    async with reading(tight, site):
        [source] = await sources(tight.admin, {"type": "url", "url": f"{site.url}/long", "name": "La Loire"})
    assert len(source["distances"]) == len(source["document"])
    assert any(PUMP in text for text in source["document"])
    assert source["metadata"][0]["name"] == "La Loire"


@pytest.mark.parametrize(
    ("url", "status", "said"),
    [
        pytest.param("http://127.0.0.2:{port}/a", 403, "refused", id="private"),
        pytest.param("http://[::ffff:127.0.0.1]:{port}/a", 403, "refused", id="mapped"),
        pytest.param("http://localhost.localdomain.invalid/", 404, "not reachable", id="no-such-host"),
        pytest.param("{site}/to-private", 403, "refused", id="redirected"),
        pytest.param("{site}/nowhere", 404, "no such page (404)", id="404"),
        pytest.param("{site}/no", 404, "does not give this page", id="401"),
        pytest.param("{site}/fails", 404, "not reachable, or its server fails", id="500"),
        pytest.param("{site}/large", 413, "larger than 100000 bytes", id="large"),
        pytest.param("{site}/image", 400, "no document", id="image"),
    ],
)
async def test_a_page_that_does_not_come_tells_nothing_of_the_network(
    desk: Desk, web: Site, backend: Loopback, url: str, status: int, said: str
) -> None:
    web.pages["/a"] = Page(b"secret")
    web.pages["/to-private"] = Page(status=302, headers={"Location": f"http://127.0.0.2:{web.port}/a"})
    web.pages["/no"] = Page(b"who are you", status=401)
    web.pages["/fails"] = Page(b"trace", status=500)
    web.pages["/large"] = Page(b"x" * 100_001, "text/plain")
    web.pages["/image"] = Page(b"\x89PNG", "image/png")
    given = url.format(site=web.url, port=web.port)
    answer = await chat(desk.admin, {"type": "url", "url": given})
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    if status == 403:
        assert "127.0.0.2" not in answer.json()["detail"].replace(given, "")
    assert "/a" not in web.asked
    assert not asked(backend)


async def test_a_name_that_leads_inside_looks_like_one_that_leads_nowhere(desk: Desk) -> None:
    async def found(host: str, _: int) -> list[str]:
        if host == "inside.example":
            return ["10.0.0.7"]
        raise Unavailable(f"{host!r}: no such host")

    pages = Pages(Here(desk.app.settings.parsing), resolve=found)
    desk.api.state.app = replace(desk.app, pages=pages)
    said = []
    for host in ("inside.example", "nowhere.example"):
        answer = await chat(desk.admin, {"type": "url", "url": f"http://{host}/a"})
        said.append((answer.status_code, answer.json()["detail"].replace(host, "HOST")))
    await pages.close()
    assert said[0] == said[1]
    assert (said[0][0], "10.0.0.7" in said[0][1]) == (404, False)


async def test_only_the_ports_of_the_web_are_asked_and_no_address_of_this_machine(desk: Desk, site: Site) -> None:
    for url in (site.url, f"http://example.org:{site.port}/", "http://127.0.0.1/", "http://169.254.169.254/latest"):
        answer = await chat(desk.admin, {"type": "url", "url": url})
        assert (answer.status_code, "refused" in answer.json()["detail"]) == (403, True)
    assert site.asked == []


async def test_nine_pages_in_one_chat_are_too_many(desk: Desk) -> None:
    pages = [{"type": "url", "url": f"https://example.org/{n}"} for n in range(9)]
    answer = await chat(desk.admin, *pages)
    assert (answer.status_code, "more than 8" in answer.json()["detail"]) == (422, True)


async def test_everything_at_once_streams_its_sources_first(desk: Desk, web: Site) -> None:
    web.html("/page", f"<main><p>{LIBRARY} {LIBRARY}</p></main>")
    pump = await desk.upload(desk.admin, "pump.txt", PUMP)
    inside = await desk.collection(desk.admin, "pumps", pump)
    files = [note("Une note."), {"type": "url", "url": f"{web.url}/page"}, file(pump), collection(inside)]
    answer = await chat(desk.admin, *files, stream=True)
    first, *rest = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    found = json.loads(first)["sources"]
    assert [len(source["document"]) for source in found] == [1, 1, 1, 0]
    assert sorted(about["citation"] for source in found for about in source["metadata"]) == [1, 2, 3]
    assert rest[-1] == "[DONE]"
