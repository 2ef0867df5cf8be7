"""The log of events: who did what, without contents, for as long as it is to be kept."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from ragline.api import eventlog
from ragline.api.eventlog import kept_for
from ragline.config.settings import Auth, Events
from ragline.connectors.records.events import Event
from tests.api.desk import Desk, open_desk

PASSWORD = "été à l'océan"
SECRET = "La pompe Zéphyr a une garantie de 27 mois."


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventlog, "WRITE_S", 0.02)


async def logged(desk: Desk, *, least: int = 1, **params: Any) -> list[dict[str, Any]]:
    """Return the events, the first first, as soon as there are so many."""
    async with asyncio.timeout(10):
        while True:
            answer = await desk.admin.client.get("/api/v1/events", params=params)
            assert answer.status_code == 200, answer.text
            if answer.json()["total"] >= least:
                return list(reversed(answer.json()["items"]))
            await asyncio.sleep(0.02)


async def test_sign_ins_are_logged_failed_ones_too_and_never_a_password(desk: Desk) -> None:
    zoe = {"name": "Zoé", "email": "zoe@example.org", "password": PASSWORD}
    made = (await desk.admin.client.post("/api/v1/auths/add", json=zoe | {"role": "user"})).json()
    guest = await desk.client()
    for email, password in [(zoe["email"], "faux"), (zoe["email"], PASSWORD), ("eve@example.org", "faux")]:
        await guest.post("/api/v1/auths/signin", json={"email": email, "password": password})
    await guest.post("/api/v1/auths/signout")  # with the cookie
    events = await logged(desk, least=5)
    assert [(each["path"].rpartition("/")[2], each["status"], each["user_id"]) for each in events] == [
        ("add", 200, desk.admin.user.id),
        ("signin", 400, made["id"]),
        ("signin", 200, made["id"]),
        ("signin", 400, None),
        ("signout", 200, made["id"]),
    ]
    assert {each["address"] for each in events} == {"127.0.0.1"}
    assert events[0]["key_id"] is not None
    assert not any(secret in str(events) for secret in (PASSWORD, "faux", made["token"]))


async def test_who_is_not_known_and_tries_too_often_does_not_fill_the_log(tmp_path: Path, models_folder: Path) -> None:
    async with open_desk(tmp_path, models_folder, auth=Auth(max_failures=2)) as desk:
        guest = await desk.client()
        for _ in range(5):
            await guest.post("/api/v1/auths/signin", json={"email": "a@b", "password": "x"})
            await guest.post("/api/v1/auths/signin", json={"email": 1})
            await guest.post("/api/v1/auths/signout")
            await guest.post("/api/v1/files/", files={"file": ("a.txt", b"a")})
        await desk.admin.client.post("/api/v1/auths/api_key")
        events = await logged(desk, least=3)
        assert [each["status"] for each in events] == [400, 400, 200]


async def test_uploads_shares_chats_and_deletions_are_logged_without_contents(desk: Desk) -> None:
    ada = await desk.person("ada")
    file_id = await desk.upload(ada, "été.txt", SECRET)
    collection_id = await desk.collection(ada, "pompes", file_id)
    grant = {"principal_type": "user", "principal_id": "*", "permission": "read"}
    share = f"/api/v1/knowledge/{collection_id}/access/update"
    assert (await ada.client.post(share, json={"access_grants": [grant]})).status_code == 200
    body = {
        "model": "echo",
        "messages": [{"role": "user", "content": "Quelle garantie ?"}],
        "files": [{"type": "collection", "id": collection_id}],
    }
    assert (await ada.client.post("/api/chat/completions", json=body)).status_code == 200
    assert (await ada.client.delete(f"/api/v1/files/{file_id}")).status_code == 200
    events = await logged(desk, least=6, user_id=ada.user.id)
    assert [(each["method"], each["path"], each["status"]) for each in events] == [
        ("POST", "/api/v1/files", 200),
        ("POST", "/api/v1/knowledge/create", 200),
        ("POST", f"/api/v1/knowledge/{collection_id}/file/add", 200),
        ("POST", share, 200),
        ("POST", "/api/chat/completions", 200),
        ("DELETE", f"/api/v1/files/{file_id}", 200),
    ]
    assert {each["user_id"] for each in events} == {ada.user.id}
    assert events[0]["details"] == {"file_id": file_id}
    assert events[3]["details"] == {"collection_id": collection_id, "grants": {"*": "read"}}
    assert events[4]["details"] == {"model": "echo", "references": [{"type": "collection", "id": collection_id}]}
    assert not any(content in str(events) for content in (SECRET, "garantie", "été.txt", "pompes"))


async def test_the_log_is_read_by_page_and_by_administrators_only(desk: Desk) -> None:
    ada = await desk.person("ada")
    begun = time.time() - 1000
    await desk.app.records.events.add([Event("POST", f"/{n}", 200, user_id="u", at=begun + n) for n in range(120)])
    assert (await ada.client.get("/api/v1/events")).status_code == 403
    pages = [await logged(desk, page=page, user_id="u") for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [50, 50, 20, 0]
    assert (pages[0][-1]["path"], pages[2][0]["path"]) == ("/119", "/0")
    assert (await desk.admin.client.get("/api/v1/events", params={"user_id": "\x00"})).status_code == 422
    assert (await desk.admin.client.get("/api/v1/events", params={"user_id": "v"})).json() == {"items": [], "total": 0}


async def test_old_events_are_deleted(tmp_path: Path, models_folder: Path) -> None:
    async with open_desk(tmp_path, models_folder, events=Events(keep_days=2)) as desk:
        now = time.time()
        ages = [0.5, 1.9, 2.1, 90.0]
        await desk.app.records.events.add(
            [Event("POST", f"/{age}", 200, user_id="u", at=now - age * 86_400) for age in ages]
        )
        async with kept_for(desk.app.records.events, 2), asyncio.timeout(10):
            while len(left := await logged(desk, user_id="u")) == len(ages):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert [each["path"] for each in left] == ["/1.9", "/0.5"]


async def test_nothing_is_logged_where_the_log_is_off(tmp_path: Path, models_folder: Path) -> None:
    async with open_desk(tmp_path, models_folder, events=Events(enabled=False)) as desk:
        assert (await desk.admin.client.post("/api/v1/auths/api_key")).status_code == 200
        await asyncio.sleep(0.1)
        assert (await desk.admin.client.get("/api/v1/events")).json() == {"items": [], "total": 0}


async def test_what_a_caller_sends_cannot_stop_the_log(desk: Desk) -> None:
    """A NUL, a long method, an address that a proxy made up: PostgreSQL takes none of them."""
    await desk.admin.client.post("/api/v1/files/%00/rename", json={"filename": "x"})
    await desk.admin.client.request("PROPPATCHES", "/api/v1/files")
    events = await logged(desk, least=2)
    assert (events[0]["path"], events[1]["method"]) == ("/api/v1/files/\ufffd/rename", "PROPPATC")


async def test_what_waits_is_written_at_the_end(tmp_path: Path, models_folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(eventlog, "WRITE_S", 100.0)
    async with open_desk(tmp_path, models_folder) as desk:
        await desk.admin.client.post("/api/v1/auths/api_key")
        await asyncio.sleep(0)
        started = time.monotonic()
        await desk.api.state.events.close()
        assert time.monotonic() - started < 10
        assert [each["path"] for each in await logged(desk)] == ["/api/v1/auths/api_key"]
