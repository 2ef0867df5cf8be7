"""What is another's is answered as what does not exist, on every route of files and collections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ragline.config.settings import Database
from tests.api.desk import Desk, open_desk
from tests.api.shelves import CHANGES_INSIDE, CHANGES_OF_THE_OWNER, READS, Call, call, put, shelf_of
from tests.http.postgres import empty_database

ROUTES: Sequence[Call] = (
    *(("GET", f"/api/v1/files/FILE{end}", None) for end in ("", "/content", "/content/html", "/content/a.txt")),
    *(("GET", f"/api/v1/files/FILE/{end}", None) for end in ("data/content", "process/status")),
    ("GET", "/api/v1/files/FILE/process/status?stream=true", None),
    *(("POST", f"/api/v1/files/FILE/{end}", {"content": "x"}) for end in ("data/content", "data/content/update")),
    ("POST", "/api/v1/files/FILE/rename", {"filename": "x.txt"}),
    ("POST", "/api/v1/files/FILE/process/cancel", None),
    ("POST", "/api/v1/files/FILE/process/retry", None),
    ("DELETE", "/api/v1/files/FILE", None),
    *(
        (method, f"/api/v1/knowledge/SHELF{path}", body)
        for method, path, body in (*READS, *CHANGES_INSIDE, *CHANGES_OF_THE_OWNER)
    ),
    ("GET", "/api/v1/knowledge/SHELF/files/pending?stream=true", None),
    ("GET", "/api/v1/knowledge/OWN/files?directory_id=DIR", None),
    ("POST", "/api/v1/knowledge/OWN/file/add", {"file_id": "FILE"}),
    ("POST", "/api/v1/knowledge/OWN/files/batch/add", [{"file_id": "FILE"}]),
    ("POST", "/api/v1/knowledge/OWN/file/update", {"file_id": "FILE"}),
    ("POST", "/api/v1/knowledge/OWN/file/remove", {"file_id": "FILE"}),
    ("POST", "/api/v1/knowledge/OWN/dirs/create", {"name": "d", "parent_id": "DIR"}),
    ("POST", "/api/v1/knowledge/OWN/dirs/DIR/update", {"name": "d"}),
    ("DELETE", "/api/v1/knowledge/OWN/dirs/DIR/delete?delete_files=true", None),
    ("POST", "/api/v1/knowledge/OWN/sync/cleanup", {"file_ids": ["FILE"], "dir_ids": ["DIR"]}),
    ("UPLOAD", "", {"knowledge_id": "SHELF"}),
    ("UPLOAD", "", {"knowledge_id": "OWN", "directory_id": "DIR"}),
)
"""Every route of files and collections with an id: of a file, a collection, a directory; OWN is the caller's own."""


async def test_anothers_id_is_answered_as_one_that_does_not_exist(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    shelf, file_id, directory_id = await shelf_of(desk, ada)
    own = await desk.collection(bob, "his own")
    foreign = {"FILE": file_id, "SHELF": shelf, "DIR": directory_id}
    absent = {name: f"{number}" * 36 for number, name in enumerate(foreign)}
    before = (await ada.client.get(f"/api/v1/knowledge/{shelf}/files")).json()

    async def answer(method: str, path: str, body: object, ids: dict[str, str]) -> tuple[int, str]:
        said = await call(bob, method, path, body, ids | {"OWN": own})
        shown = said.text
        for name, value in ids.items():
            shown = shown.replace(value, name)
        return said.status_code, shown

    for route in ROUTES:
        theirs, none = await answer(*route, foreign), await answer(*route, absent)
        assert theirs == none, route
        assert theirs[0] == 404 or route[1].endswith("OWN/sync/cleanup"), (route, theirs)
    assert (await ada.client.get(f"/api/v1/knowledge/{shelf}/files")).json() == before


@pytest.fixture
def postgres() -> Database:
    return empty_database("postgres")


@pytest.fixture
async def postgres_desk(tmp_path: Path, models_folder: Path, postgres: Database) -> AsyncIterator[Desk]:
    """PostgreSQL takes no NUL in a text, which SQLite does."""
    async with open_desk(tmp_path, models_folder, database=postgres) as opened:
        yield opened


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_ids_that_cannot_be_are_no_fault(postgres_desk: Desk, method: str) -> None:
    client = postgres_desk.admin.client
    for bad in ("%00", "a%00b", "%ED%A0%80", "x" * 257, "%F0%9F", "..%2F.."):
        for room in ("files", "knowledge"):
            for end in ("", "/content", "/data/content", "/rename", "/files", "/delete", "/dirs/x/delete"):
                answer = await client.request(method, f"/api/v1/{room}/{bad}{end}", json={})
                assert answer.status_code in (404, 405, 422), (method, bad, room, end, answer.text)


async def test_texts_that_cannot_be_stored_are_no_fault(postgres_desk: Desk) -> None:
    client = postgres_desk.admin.client
    made = (await client.post("/api/v1/knowledge/create", json={"name": "k", "description": ""})).json()["id"]
    shelf = f"/api/v1/knowledge/{made}"
    for path, params in (
        ("/api/v1/files/", {"sha256": "a\0"}),
        ("/api/v1/files/search", {"filename": "a\0*"}),
        ("/api/v1/knowledge/search", {"query": "a\0"}),
        (f"{shelf}/files", {"query": "a\0"}),
        (f"{shelf}/files", {"directory_id": "a\0"}),
    ):
        assert (await client.get(path, params=params)).status_code in (200, 422), path
    for path, body in (
        ("/api/v1/knowledge/create", {"name": "a\0", "description": ""}),
        (f"{shelf}/update", {"name": "", "description": "a\0"}),
        (f"{shelf}/dirs/create", {"name": "a", "parent_id": "a\0"}),
        (f"{shelf}/dirs/create", {"name": "a\0"}),
        (f"{shelf}/sync/cleanup", {"file_ids": ["a\0"]}),
    ):
        assert (await client.post(path, json=body)).status_code == 422, path
    for name, metadata in (("a\0.txt", None), ("a.txt", {"note": "a\0"}), ("a.txt", {"knowledge_id": "a\0"})):
        assert (await put(postgres_desk.admin, name, "x", metadata=metadata)).status_code in (200, 400)
    listed = (await client.get("/api/v1/files/", params={"content": "false"})).json()
    assert listed["total"] == len(listed["items"])
