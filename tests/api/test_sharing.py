"""What users see of each other: nothing, unless a collection is shared."""

from __future__ import annotations

from ragline.types import EVERYBODY
from tests.api.desk import Desk

NOTE = "The warranty period of the Zephyr pump is 27 months."
QUESTION = {"model": "echo", "messages": [{"role": "user", "content": "How long is the warranty?"}]}


async def test_a_shared_collection_can_be_asked_and_a_private_one_does_not_exist(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    file_id = await desk.upload(ada, "zephyr.txt", NOTE)
    collection_id = await desk.collection(ada, "pumps", file_id)
    for ref in ({"type": "file", "id": file_id}, {"type": "collection", "id": collection_id}):
        body = QUESTION | {"files": [ref]}
        hidden = await bob.client.post("/api/chat/completions", json=body)
        assert (hidden.status_code, ref["id"] in hidden.json()["detail"]) == (404, True)
        await desk.app.records.grants.replace(collection_id, {EVERYBODY: "read"})
        shown = await bob.client.post("/api/chat/completions", json=body)
        assert (shown.status_code, shown.json()["sources"][0]["document"]) == (200, [NOTE])
        await desk.app.records.grants.replace(collection_id, {})
