"""Collections over HTTP: their files, directories, and keeping them like a folder."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ragline.config.settings import Database
from ragline.connectors.records.store import open_records

from .running import Running
from .test_endpoints import events, finished

ABSENT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def stranger(server: Running) -> Iterator[httpx.Client]:
    """Another user, without rights on anything."""

    async def add() -> str:
        records = await open_records(Database(), data_dir=server.data_dir)
        user = await records.users.add(name="Eve", email="eve.knowledge@example.org", role="user", password_hash=None)
        key, _ = await records.keys.add(user.id, name="k")
        await records.close()
        return key

    with server.client(asyncio.run(add())) as opened:
        yield opened


@pytest.fixture
def shelf(client: httpx.Client) -> str:
    """A collection of its own for the test, as the beginning of its paths."""
    made = client.post("/api/v1/knowledge/create", json={"name": "Étagère", "description": "d"}).json()
    return f"/api/v1/knowledge/{made['id']}"


def put(client: httpx.Client, name: str, text: str, shelf: str | None = None, **metadata: str) -> str:
    """Upload a file, into a collection where one is given."""
    given = metadata | ({"knowledge_id": shelf.rsplit("/", 1)[1]} if shelf else {})
    answer = client.post("/api/v1/files/", files={"file": (name, text)}, data={"metadata": json.dumps(given)})
    assert answer.status_code == 200, answer.text
    file_id: str = answer.json()["id"]
    return file_id


def post(client: httpx.Client, path: str, body: object = None) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def listed(client: httpx.Client, shelf: str, **params: str) -> dict[str, str]:
    """Return path by id of the files of a collection."""
    found = client.get(f"{shelf}/files", params=params).json()["items"]
    return {file["id"]: f"{file['directory_path']}/{file['filename']}" for file in found}


ROUTES: list[tuple[str, str, object]] = [
    ("GET", "/files", None),
    ("GET", "/files/pending", None),
    ("POST", "/files/batch/add", [{"file_id": "FILE"}]),
    ("POST", "/file/add", {"file_id": "FILE"}),
    ("POST", "/file/remove", {"file_id": "FILE"}),
    ("POST", "/file/update", {"file_id": "FILE"}),
    ("POST", "/update", {"name": "taken over", "description": ""}),
    ("POST", "/reset", None),
    ("GET", "/dirs", None),
    ("POST", "/dirs/create", {"name": "theirs"}),
    ("POST", "/dirs/DIR/update", {"name": "theirs"}),
    ("DELETE", "/dirs/DIR/delete", None),
    ("POST", "/sync/diff", {"manifest": []}),
    ("POST", "/sync/cleanup", {"file_ids": ["FILE"], "dir_ids": ["DIR"]}),
    ("DELETE", "/delete", None),
]


def test_what_is_not_there_or_anothers_is_404_and_stays_as_it_was(
    client: httpx.Client, stranger: httpx.Client, shelf: str
) -> None:
    directory = post(client, f"{shelf}/dirs/create", {"name": "mine"})["id"]
    file = put(client, "mine.txt", "Mine alone.", shelf, directory_id=directory)
    before = client.get(f"{shelf}/").json()
    for method, route, form in ROUTES:
        path = route.replace("DIR", directory)
        body = json.loads(json.dumps(form).replace("FILE", file).replace("DIR", directory))
        for end in ("", "/"):
            foreign = stranger.request(method, f"{shelf}{path}{end}", json=body)
            absent = client.request(method, f"/api/v1/knowledge/{ABSENT}{path}{end}", json=body)
            assert (foreign.status_code, absent.status_code) == (404, 404), path
            assert "no collection" in foreign.json()["detail"]
    assert client.get(shelf).json() == before
    assert listed(client, shelf) == {file: "mine/mine.txt"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/files/batch/add", {"file_id": "x"}, id="no-list"),
        pytest.param("/files/batch/add", [{"file": "x"}], id="no-id"),
        pytest.param("/file/add", {"file_id": ""}, id="empty-id"),
        pytest.param("/file/remove", {"file_id": "a\0b"}, id="nul"),
        pytest.param("/file/update", {"file_id": 7}, id="number"),
        pytest.param("/update", {"name": "only"}, id="no-description"),
        pytest.param("/dirs/create", {"name": "a/b"}, id="slash"),
        pytest.param("/dirs/create", {"name": "x" * 256}, id="long"),
        pytest.param("/dirs/create", {}, id="no-name"),
        pytest.param("/sync/diff", {"manifest": {}}, id="no-manifest"),
        pytest.param("/sync/diff", {"manifest": [{"path": "", "checksum": "1"}]}, id="no-filename"),
        pytest.param("/sync/diff", {"manifest": [{"path": "..", "filename": "a", "checksum": "1"}]}, id="path"),
        pytest.param("/sync/diff", None, id="null"),
        pytest.param("/sync/cleanup", {"file_ids": "x"}, id="no-ids"),
    ],
)
def test_a_body_of_the_wrong_form_is_422(client: httpx.Client, shelf: str, path: str, body: object) -> None:
    answer = client.post(f"{shelf}{path}", json=body)
    assert (answer.status_code, bool(answer.json()["detail"])) == (422, True), answer.text


def test_a_manifest_that_is_no_json_is_422_in_the_usual_form(client: httpx.Client, shelf: str) -> None:
    for body in (b'{"manifest": [', b"", b'{"manifest": [{"path": "\\ud800"}]}'):
        answer = client.post(f"{shelf}/sync/diff", content=body)
        assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "json_invalid")
    answer = client.post(f"{shelf}/sync/diff", json={"manifest": [{"filename": 1, "checksum": "1"}]})
    [detail] = answer.json()["detail"]
    assert (detail["type"], detail["loc"]) == ("string_type", ["body", "manifest", 0, "filename"])


def test_files_are_listed_with_their_place_and_owner(client: httpx.Client, shelf: str) -> None:
    docs = post(client, f"{shelf}/dirs/create", {"name": "docs"})["id"]
    deep = post(client, f"{shelf}/dirs/create/", {"name": "été", "parent_id": docs})["id"]
    put(client, "Readme.md", "# Read me", shelf)
    put(client, "Garantie.md", "# Garantie", shelf, directory_id=deep)
    page = client.get(f"{shelf}/files/").json()
    assert (page["total"], [each["name"] for each in page["directories"]], page["breadcrumbs"]) == (2, ["docs"], [])
    [found] = client.get(f"{shelf}/files", params={"query": "GARÄNTIE"}).json()["items"]
    assert (found["directory_id"], found["directory_path"], found["has_original"]) == (deep, "docs/été", True)
    assert found["user"]["role"] == "admin"
    assert found["meta"]["name"] == found["filename"] == "Garantie.md"
    inside = client.get(f"{shelf}/files", params={"directory_id": docs}).json()
    assert (inside["items"], inside["total"]) == ([], 0)
    assert [each["id"] for each in inside["directories"]] == [deep]
    inside = client.get(f"{shelf}/files", params={"directory_id": deep}).json()
    assert [each["name"] for each in inside["breadcrumbs"]] == ["docs", "été"]
    assert [each["filename"] for each in inside["items"]] == ["Garantie.md"]
    top = client.get(f"{shelf}/files", params={"directory_id": "root"}).json()
    assert [each["filename"] for each in top["items"]] == ["Readme.md"]
    assert client.get(f"{shelf}/files", params={"directory_id": ABSENT}).status_code == 404
    assert client.get(f"{shelf}/files", params={"page": 0}).status_code == 422


def test_files_come_thirty_a_page(client: httpx.Client, shelf: str) -> None:
    for number in range(31):
        put(client, f"{number}.txt", f"number {number}", shelf)
    pages = [listed(client, shelf, page=str(page)) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [30, 1, 0]
    assert len(pages[0] | pages[1]) == 31


def test_pending_files_are_streamed_until_there_are_none(client: httpx.Client, shelf: str) -> None:
    ids = {put(client, f"{number}.md", f"# Pending\n\nNumber {number}.\n" * 50, shelf) for number in range(5)}
    received = list(events(client.get(f"{shelf}/files/pending", params={"stream": True}).text))
    assert received[-1] == []
    for each in received:
        assert {file["id"] for file in each} <= ids
        assert {file["data"]["status"] for file in each} <= {"pending", "processing"}
    assert {finished(client, file_id)["status"] for file_id in ids} == {"completed"}
    assert client.get(f"{shelf}/files/pending").json() == []


def test_a_stream_of_pending_files_is_pushed(server: Running, client: httpx.Client, shelf: str) -> None:
    put(client, "first.md", "# First\n\n" + "A sentence of the first file. " * 3000, shelf)
    with server.client() as watcher, watcher.stream("GET", f"{shelf}/files/pending?stream=true") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in stream.iter_lines() if line)
        shown = json.loads(next(lines).removeprefix("data: "))
        assert shown == [] or shown[0]["filename"] == "first.md"
        last = shown if shown == [] else [json.loads(line.removeprefix("data: ")) for line in lines][-1]
        assert last == []


def test_a_batch_is_added_whole_or_not_at_all(client: httpx.Client, stranger: httpx.Client, shelf: str) -> None:
    ids = [put(client, f"{name}.txt", f"batch {name}") for name in "ab"]
    theirs = put(stranger, "theirs.txt", "theirs")
    path = f"{shelf}/files/batch/add"
    for wrong, status in ((ABSENT, 404), (theirs, 403)):  # an administrator sees it, but it is another's
        answer = client.post(path, json=[{"file_id": file_id} for file_id in (*ids, wrong)])
        assert (answer.status_code, wrong in answer.json()["detail"]) == (status, True)
        assert listed(client, shelf) == {}
    for _ in range(2):
        added = post(client, path, [{"file_id": file_id} for file_id in ids])
        assert ({file["id"] for file in added["files"]}, added["file_count"]) == (set(ids), 2)
    assert post(client, path, [])["file_count"] == 2


def test_removing_deletes_the_file_unless_told_otherwise(client: httpx.Client, shelf: str) -> None:
    kept, gone = (put(client, f"{name}.txt", f"removing {name}", shelf) for name in ("kept", "gone"))
    for file_id, keep in ((kept, "?delete_file=false"), (gone, "")):
        left = post(client, f"{shelf}/file/remove{keep}", {"file_id": file_id})
        assert file_id not in {file["id"] for file in left["files"]}
        assert client.post(f"{shelf}/file/remove{keep}", json={"file_id": file_id}).status_code == 404
    assert client.get(f"/api/v1/files/{kept}").status_code == 200
    assert client.get(f"/api/v1/files/{gone}").status_code == 404


def test_updating_a_file_processes_it_again(client: httpx.Client, shelf: str) -> None:
    file_id = put(client, "again.txt", "Once more, please.", shelf)
    assert finished(client, file_id)["status"] == "completed"
    first = client.get(f"/api/v1/files/{file_id}").json()
    answer = post(client, f"{shelf}/file/update", {"file_id": file_id})
    assert [file["id"] for file in answer["files"]] == [file_id]
    assert finished(client, file_id)["status"] == "completed"
    assert client.get(f"/api/v1/files/{file_id}").json()["data"] == first["data"]
    loose = put(client, "loose.txt", "In no collection.")
    for absent in (loose, ABSENT):
        assert client.post(f"{shelf}/file/update", json={"file_id": absent}).status_code == 404


def test_a_collection_is_renamed_found_emptied_and_deleted(
    client: httpx.Client, stranger: httpx.Client, shelf: str
) -> None:
    name = f"Bibliothèque {shelf[-6:]}"
    inside = put(client, "inside.txt", "This file was uploaded into the collection.", shelf)
    shared, added = put(client, "shared.txt", "In two.", shelf), put(client, "added.txt", "Uploaded, then added.")
    other = post(client, "/api/v1/knowledge/create", {"name": "other", "description": ""})["id"]
    post(client, f"/api/v1/knowledge/{other}/file/add", {"file_id": shared})
    post(client, f"{shelf}/file/add", {"file_id": added})
    directory = post(client, f"{shelf}/dirs/create", {"name": "docs"})["id"]
    renamed = post(client, f"{shelf}/update", {"name": name, "description": "neu"})
    assert (renamed["name"], renamed["description"]) == (name, "neu")
    assert {file["id"] for file in renamed["files"]} == {inside, shared, added}
    found = client.get("/api/v1/knowledge/search", params={"query": name.upper().replace("È", "e")}).json()
    assert ([each["name"] for each in found["items"]], found["total"]) == ([name], 1)
    assert stranger.get("/api/v1/knowledge/search/", params={"query": name}).json()["total"] == 0
    assert post(client, f"{shelf}/reset")["files"] is None
    assert [each["id"] for each in client.get(f"{shelf}/dirs").json()] == [directory]
    post(client, f"{shelf}/reset?include_directories=true")
    assert client.get(f"{shelf}/dirs").json() == []
    assert listed(client, shelf) == {}
    assert client.delete(f"{shelf}/delete").json() is True
    assert client.get(shelf).status_code == 404
    assert [client.get(f"/api/v1/files/{each}").status_code for each in (inside, shared, added)] == [404, 200, 200]


def test_directories_are_made_once_renamed_and_deleted(client: httpx.Client, shelf: str) -> None:
    docs = post(client, f"{shelf}/dirs/create", {"name": "docs"})
    assert docs == post(client, f"{shelf}/dirs/create", {"name": "docs", "parent_id": None})
    assert (docs["knowledge_id"], docs["parent_id"]) == (shelf.rsplit("/", 1)[1], None)
    below = post(client, f"{shelf}/dirs/create", {"name": "api", "parent_id": docs["id"]})
    assert post(client, f"{shelf}/dirs/{below['id']}/update", {"name": "API"})["name"] == "API"
    assert [each["path"] for each in client.get(f"{shelf}/dirs/").json()] == ["docs", "docs/API"]
    post(client, f"{shelf}/dirs/create", {"name": "notes"})
    assert client.post(f"{shelf}/dirs/{docs['id']}/update", json={"name": "notes"}).status_code == 409
    for method, path, body in (
        ("POST", f"/dirs/{ABSENT}/update", {"name": "x"}),
        ("DELETE", f"/dirs/{ABSENT}/delete", None),
        ("POST", "/dirs/create", {"name": "x", "parent_id": ABSENT}),
    ):
        assert client.request(method, f"{shelf}{path}", json=body).status_code == 404
    kept = put(client, "kept.txt", "Moves up.", shelf, directory_id=below["id"])
    assert client.delete(f"{shelf}/dirs/{below['id']}/delete").json() is True
    assert listed(client, shelf) == {kept: "docs/kept.txt"}
    assert client.delete(f"{shelf}/dirs/{docs['id']}/delete", params={"delete_files": True}).json() is True
    assert listed(client, shelf) == {}
    assert client.get(f"/api/v1/files/{kept}").status_code == 404


def test_cleaning_up_touches_nothing_of_other_collections(client: httpx.Client, shelf: str) -> None:
    docs = post(client, f"{shelf}/dirs/create", {"name": "docs"})["id"]
    used = post(client, f"{shelf}/dirs/create", {"name": "used"})["id"]
    stale = put(client, "stale.txt", "Stale.", shelf, directory_id=docs)
    kept = put(client, "kept.txt", "Kept.", shelf, directory_id=used)
    elsewhere = put(client, "elsewhere.txt", "In no collection.")
    body = {"file_ids": [stale, elsewhere, ABSENT], "dir_ids": [docs, used, ABSENT]}
    assert post(client, f"{shelf}/sync/cleanup", body) == {"status": True, "deleted_files": 1, "deleted_dirs": 1}
    assert post(client, f"{shelf}/sync/cleanup", body) == {"status": True, "deleted_files": 0, "deleted_dirs": 0}
    assert [each["id"] for each in client.get(f"{shelf}/dirs").json()] == [used]
    assert listed(client, shelf) == {kept: "used/kept.txt"}
    assert client.get(f"/api/v1/files/{elsewhere}").status_code == 200
    assert post(client, f"{shelf}/sync/cleanup", {"file_ids": []})["deleted_files"] == 0


def test_a_large_manifest_does_not_keep_others_waiting(server: Running, client: httpx.Client, shelf: str) -> None:
    manifest = [
        {"filename": f"file-{n}.md", "path": f"part {n % 500}/é", "checksum": f"{n:064x}", "size": n}
        for n in range(100_000)
    ]
    body = json.dumps({"manifest": manifest})
    answers: list[httpx.Response] = []
    waits: list[float] = []

    def ask() -> None:
        with server.client() as other:
            answers.append(other.post(f"{shelf}/sync/diff", content=body))

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        waits.append(client.get("/health").elapsed.total_seconds())
    asking.join()
    found = answers[0].json()
    assert (len(found["added"]), len(found["mkdir"]), found["deleted"]) == (100_000, 1000, [])
    assert found["mkdir"][:500] == sorted(f"part {n}" for n in range(500))
    assert answers[0].elapsed.total_seconds() < 15  # 1.2 where nothing else runs
    assert sorted(waits)[len(waits) // 2] < 0.5
