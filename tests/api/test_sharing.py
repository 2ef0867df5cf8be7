"""What users see of each other: nothing, unless a collection is shared."""

from __future__ import annotations

from ragline.retrieval.references import scope_for
from ragline.retrieval.search import search
from ragline.types import EVERYBODY
from tests.api.desk import Desk, Person
from tests.api.shelves import CHANGES_INSIDE, CHANGES_OF_THE_OWNER, NOTE, READS, put, share, shelf_of, sources, tried

HIS = "La pompe Mistral a une garantie de 36 mois, prolongée par écrit."
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


async def test_who_may_read_changes_nothing_and_who_may_write_owns_nothing(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    shelf, file_id, directory_id = await shelf_of(desk, ada)
    ids = {"FILE": file_id, "DIR": directory_id}
    everything = (*READS, *CHANGES_INSIDE, *CHANGES_OF_THE_OWNER)
    assert await tried(bob, shelf, everything, **ids) == {404}
    await share(ada, shelf, everybody="read")
    assert await tried(bob, shelf, READS, **ids) == {200}
    assert await tried(bob, shelf, (*CHANGES_INSIDE, *CHANGES_OF_THE_OWNER), **ids) == {403}
    assert (await put(bob, "his.txt", HIS, metadata={"knowledge_id": shelf})).status_code == 403
    await share(ada, shelf, **{bob.user.id: "write"})
    assert await tried(bob, shelf, CHANGES_OF_THE_OWNER, **ids) == {403}
    for path in ("rename", "data/content/update", "process/retry", "process/cancel"):
        body = {"filename": "x", "content": "x"}
        answer = await bob.client.post(f"/api/v1/files/{file_id}/{path}", json=body)
        assert (answer.status_code, "another user's" in answer.json()["detail"]) == (403, True)
    assert (await bob.client.delete(f"/api/v1/files/{file_id}")).status_code == 403
    for path in ("", "/content", "/data/content", "/process/status"):
        assert (await bob.client.get(f"/api/v1/files/{file_id}{path}")).status_code == 200
    assert await tried(bob, shelf, (*READS, *CHANGES_INSIDE[:3]), **ids) == {200}
    assert await tried(bob, shelf, CHANGES_INSIDE[3:-1], **ids) == {200}
    assert (await ada.client.get(f"/api/v1/files/{file_id}")).status_code == 200


async def test_a_writer_adds_files_of_their_own_and_nobody_elses(desk: Desk) -> None:
    ada, bob, eve = [await desk.person(name) for name in ("ada", "bob", "eve")]
    shelf, hers, _ = await shelf_of(desk, ada)
    his = await desk.upload(bob, "mistral.txt", HIS)
    private = await desk.upload(ada, "private.txt", "Only Ada knows.")
    await share(ada, shelf, **{bob.user.id: "write", eve.user.id: "read"})
    add = f"/api/v1/knowledge/{shelf}/file/add"
    assert (await bob.client.post(add, json={"file_id": private})).status_code == 404
    assert (await bob.client.post(add, json={"file_id": his})).status_code == 200
    into = (await put(bob, "dedans.txt", "Envoyé dedans.", metadata={"knowledge_id": shelf})).json()
    assert into["user_id"] == bob.user.id
    own = await desk.collection(bob, "his")
    for reader, target in ((bob, own), (eve, await desk.collection(eve, "hers"))):
        for path, body in (("file/add", {"file_id": hers}), ("files/batch/add", [{"file_id": hers}])):
            refused = await reader.client.post(f"/api/v1/knowledge/{target}/{path}", json=body)
            assert (refused.status_code, "another user's" in refused.json()["detail"]) == (403, True)
    theirs = await desk.collection(desk.admin, "the administrator's")
    refused = await desk.admin.client.post(f"/api/v1/knowledge/{theirs}/file/add", json={"file_id": hers})
    assert refused.status_code == 403
    helped = await desk.admin.client.post(f"/api/v1/knowledge/{shelf}/file/add", json={"file_id": private})
    assert helped.status_code == 200
    [source] = await sources(eve, "Quelle garantie a la pompe Mistral ?", type="collection", id=shelf)
    assert HIS in source["document"]


async def test_removing_anothers_file_lets_it_leave_and_ones_own_deletes_it(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    shelf, hers, _ = await shelf_of(desk, ada)
    await share(ada, shelf, **{bob.user.id: "write"})
    his = await desk.upload(bob, "mistral.txt", HIS, knowledge_id=shelf)
    remove = f"/api/v1/knowledge/{shelf}/file/remove"
    left = await bob.client.post(remove, json={"file_id": hers})
    assert [each["id"] for each in left.json()["files"]] == [his]
    assert (await ada.client.get(f"/api/v1/files/{hers}")).status_code == 200
    await ada.client.post(f"/api/v1/knowledge/{shelf}/file/add", json={"file_id": hers})
    assert (await ada.client.post(f"/api/v1/knowledge/{shelf}/reset")).status_code == 200
    assert (await bob.client.get(f"/api/v1/files/{his}")).status_code == 200
    await bob.client.post(f"/api/v1/knowledge/{shelf}/file/add", json={"file_id": his})
    cleaned = await ada.client.post(f"/api/v1/knowledge/{shelf}/sync/cleanup", json={"file_ids": [his]})
    assert cleaned.json()["deleted_files"] == 1
    assert (await bob.client.get(f"/api/v1/files/{his}")).status_code == 200
    made = await bob.client.post(f"/api/v1/knowledge/{shelf}/dirs/create", json={"name": "d"})
    inside = {"knowledge_id": shelf, "directory_id": made.json()["id"]}
    both = [await desk.upload(who, "x.txt", f"Of {who.user.name}.", **inside) for who in (ada, bob)]
    gone = f"/api/v1/knowledge/{shelf}/dirs/{made.json()['id']}/delete?delete_files=true"
    assert (await bob.client.delete(gone)).json() is True
    assert (await ada.client.get(f"/api/v1/knowledge/{shelf}/files")).json()["total"] == 0
    assert (await ada.client.get(f"/api/v1/files/{both[0]}")).status_code == 200
    assert (await bob.client.get(f"/api/v1/files/{both[1]}")).status_code == 404
    await bob.client.post(f"/api/v1/knowledge/{shelf}/file/add", json={"file_id": his})
    assert (await bob.client.post(remove, json={"file_id": his})).status_code == 200
    assert (await bob.client.get(f"/api/v1/files/{his}")).status_code == 404


async def test_searches_follow_rights_and_members_at_once(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    shelf, file_id, _ = await shelf_of(desk, ada)
    other = await desk.upload(ada, "other.txt", "The Zephyr pump needs oil.")
    await ada.client.post(f"/api/v1/knowledge/{shelf}/file/add", json={"file_id": other})

    async def found(who: Person) -> set[str]:
        """Search everything that this user may see, and what is in the collection, below the routes that check."""
        seen, hits = await desk.app.records.files.readable_among([file_id, other], who.user), set()
        for collections in (frozenset({shelf}), frozenset[str]()):
            scope = await scope_for(desk.app, who.user, file_ids=frozenset(seen), collection_ids=collections)
            hits |= {hit.passage.file_id for hit in await search(desk.app, "Zephyr pump", scope)} if seen else set()
        return hits

    assert (await found(ada), await found(bob)) == ({file_id, other}, set())
    await share(ada, shelf, everybody="read")
    assert await found(bob) == {file_id, other}
    await desk.app.records.collections.unlink(shelf, [other])  # the passages' own marks follow later
    assert (await found(bob), await found(ada)) == ({file_id}, {file_id, other})
    await share(ada, shelf)
    assert await found(bob) == set()
    for ref in ({"type": "file", "id": file_id}, {"type": "collection", "id": shelf}):
        asked = await bob.client.post("/api/chat/completions", json=QUESTION | {"files": [ref]})
        assert asked.status_code == 404


async def test_what_becomes_of_shared_things_when_rights_go(desk: Desk) -> None:
    ada, bob, eve = [await desk.person(name) for name in ("ada", "bob", "eve")]
    shelf, _, _ = await shelf_of(desk, ada)
    await share(ada, shelf, **{bob.user.id: "write", eve.user.id: "read"})
    his = await desk.upload(bob, "mistral.txt", HIS, knowledge_id=shelf)
    await share(ada, shelf, **{eve.user.id: "read"})
    assert (await bob.client.get(f"/api/v1/knowledge/{shelf}")).status_code == 404
    assert (await bob.client.get("/api/v1/knowledge/")).json()["total"] == 0
    assert (await bob.client.get(f"/api/v1/files/{his}")).status_code == 200
    assert (await eve.client.get(f"/api/v1/files/{his}")).status_code == 200
    [source] = await sources(eve, "Quelle garantie a la pompe Mistral ?", type="file", id=his)
    assert source["document"] == [HIS]
    await bob.client.delete(f"/api/v1/files/{his}")
    assert (await eve.client.get(f"/api/v1/files/{his}")).status_code == 404
    assert (await eve.client.get(f"/api/v1/knowledge/{shelf}/files")).json()["total"] == 1
    later = await desk.upload(bob, "later.txt", HIS)
    await share(ada, shelf, **{bob.user.id: "write", eve.user.id: "read"})
    await bob.client.post(f"/api/v1/knowledge/{shelf}/file/add", json={"file_id": later})
    assert (await desk.admin.client.get(f"/api/v1/knowledge/{shelf}")).json()["write_access"] is True
    assert (await desk.admin.client.delete(f"/api/v1/knowledge/{shelf}/delete")).json() is True
    assert (await eve.client.get(f"/api/v1/files/{later}")).status_code == 404
    assert (await bob.client.get(f"/api/v1/files/{later}")).status_code == 200
    assert await desk.app.records.grants.of([shelf]) == {}
