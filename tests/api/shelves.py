"""What tests of files and collections do over and over: upload, share, wait, and ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import httpx

from ragline.types import Status
from tests.api.desk import Desk, Person

NOTE = "The warranty period of the Zephyr pump is 27 months."
Call: TypeAlias = tuple[str, str, object]

ENDED = (Status.COMPLETED, Status.FAILED)


async def put(
    who: Person, name: str, content: bytes | str, *, metadata: object = None, query: str = ""
) -> httpx.Response:
    """Upload a file and return the response."""
    data = {"metadata": metadata if isinstance(metadata, str) else json.dumps(metadata)} if metadata else {}
    sent = content.encode() if isinstance(content, str) else content
    return await who.client.post(f"/api/v1/files/{query}", files={"file": (name, sent)}, data=data)


async def share(who: Person, collection_id: str, **rights: str) -> httpx.Response:
    """Share a collection with users by id, `everybody` for all, and with no others; return the response."""
    given = [
        {"principal_type": "user", "principal_id": user_id.replace("everybody", "*"), "permission": permission}
        for user_id, permission in rights.items()
    ]
    path = f"/api/v1/knowledge/{collection_id}/access/update"
    return await who.client.post(path, json={"access_grants": given})


async def sources(who: Person, question: str, **ref: str) -> list[Any]:
    """Ask about a reference and return the sources of the answer."""
    body = {"model": "echo", "messages": [{"role": "user", "content": question}], "files": [ref]}
    answer = await who.client.post("/api/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["sources"]
    return found


async def completed(desk: Desk, file_id: str) -> None:
    """Wait until a file is ingested."""
    file = await desk.app.records.files.get(file_id)
    async with asyncio.timeout(30):
        while file.status not in ENDED:
            await asyncio.sleep(0.02)
            file = await desk.app.records.files.get(file_id)
    assert (file.status, file.error) == (Status.COMPLETED, None)


async def shelf_of(desk: Desk, who: Person) -> tuple[str, str, str]:
    """Return a collection of this user, a file in it, and a directory."""
    file_id = await desk.upload(who, "zéphyr.txt", NOTE)
    shelf = await desk.collection(who, "pumps", file_id)
    made = await who.client.post(f"/api/v1/knowledge/{shelf}/dirs/create", json={"name": "été"})
    return shelf, file_id, made.json()["id"]


async def tried(who: Person, shelf: str, calls: Sequence[Call], **ids: str) -> set[int]:
    """Make these calls on a collection, with these ids for their names, and return the statuses."""
    answers = [await call(who, method, f"/api/v1/knowledge/{shelf}{path}", body, ids) for method, path, body in calls]
    return {answer.status_code for answer in answers}


async def call(who: Person, method: str, path: str, body: object, ids: Mapping[str, str]) -> httpx.Response:
    """Make a call, with these ids for their names; `UPLOAD` has its body as metadata."""
    text = f"{path} {json.dumps(body)}"
    for name, value in ids.items():
        text = text.replace(name, value)
    place, _, form = text.partition(" ")
    if method == "UPLOAD":
        return await put(who, "a.txt", "x", metadata=form)
    return await who.client.request(method, place, json=json.loads(form))


CHANGES_INSIDE: Sequence[Call] = (
    ("POST", "/file/add", {"file_id": "FILE"}),
    ("POST", "/files/batch/add", [{"file_id": "FILE"}]),
    ("POST", "/file/update", {"file_id": "FILE"}),
    ("POST", "/file/remove?delete_file=false", {"file_id": "FILE"}),
    ("POST", "/dirs/create", {"name": "d"}),
    ("POST", "/dirs/DIR/update", {"name": "e"}),
    ("DELETE", "/dirs/DIR/delete", None),
    ("POST", "/sync/cleanup", {"file_ids": ["FILE"]}),
)
CHANGES_OF_THE_OWNER: Sequence[Call] = (
    ("POST", "/update", {"name": "n", "description": ""}),
    ("POST", "/reset", None),
    ("POST", "/access/update", {"access_grants": []}),
    ("DELETE", "/delete", None),
)
READS: Sequence[Call] = (
    ("GET", "", None),
    ("GET", "/files", None),
    ("GET", "/files/pending", None),
    ("GET", "/dirs", None),
    ("GET", "/export", None),
    ("POST", "/sync/diff", {"manifest": []}),
)
