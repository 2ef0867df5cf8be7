"""Files in the records: those only stored, texts written in their place, lists, and which version a search may see."""

from __future__ import annotations

import pytest

from ragline.connectors.records.members import matching
from ragline.connectors.records.store import Records
from ragline.types import FileRecord, Scope, User


async def person(records: Records, name: str) -> User:
    return await records.users.add(name=name, email=f"{name}@example.org", role="user", password_hash=None)


async def stored(records: Records, owner: User, file_id: str, *, waits: bool = True) -> FileRecord:
    return await records.files.add(
        file_id=file_id,
        user_id=owner.id,
        filename=f"Été {file_id}.txt",
        content_type="text/plain",
        size_bytes=10,
        sha256="0" * 64,
        blob=f"files/{file_id}",
        metadata={},
        waits=waits,
    )


async def ingested(records: Records, file_id: str, version: str) -> None:
    claim = await records.queue.claim("test", lane="small", small_bytes=100, limit=10, max_bytes=1000)
    assert claim is not None
    for file in claim.files:
        done = version if file.id == file_id else "other"
        await records.queue.complete(file.id, claim.lease, version=done, chunk_count=1)


async def test_a_file_that_is_only_stored_is_claimed_once_it_is_asked_for(records: Records) -> None:
    ada = await person(records, "ada")
    await stored(records, ada, "kept", waits=False)
    shelf = await records.collections.add(user_id=ada.id, name="k", description="")
    await records.collections.link(shelf.id, "kept")
    claimed = await records.queue.claim("test", lane="small", small_bytes=100, limit=10, max_bytes=1000)
    assert (claimed, await records.queue.waiting(), await records.queue.due()) == (None, 0, (0, 0))
    assert await records.members.unfinished(shelf.id, limit=10) == []
    assert not await records.queue.cancel("kept")
    assert await records.queue.again("kept")
    assert await records.queue.waiting() == 1
    await ingested(records, "kept", "v1")
    assert (await records.files.get("kept")).version == "v1"


async def test_a_written_text_takes_the_lease_and_new_bytes_take_its_place(records: Records) -> None:
    ada = await person(records, "ada")
    await stored(records, ada, "f")
    claim = await records.queue.claim("test", lane="small", small_bytes=100, limit=10, max_bytes=1000)
    assert claim is not None
    before = await records.files.edit("f", "texts/f-edited-1")
    assert (before and before.edited, (await records.files.get("f")).edited) == (None, "texts/f-edited-1")
    assert await records.queue.complete("f", claim.lease, version="late", chunk_count=1) is None
    again = await records.files.edit("f", "texts/f-edited-2")
    assert again is not None
    assert again.edited == "texts/f-edited-1"
    await ingested(records, "f", "v1")
    await records.queue.again("f")
    assert (await records.files.get("f")).edited == "texts/f-edited-2"
    replaced = await records.files.replace(
        "f", content_type="text/plain", size_bytes=1, sha256="1" * 64, blob="files/g"
    )
    assert (replaced and replaced.edited, (await records.files.get("f")).edited) == ("texts/f-edited-2", None)
    assert await records.files.edit("absent", "texts/x") is None
    await records.files.edit("f", "texts/f-edited-3")
    await records.removals.add(["f"])
    [removal] = await records.removals.of(["f"])
    assert set(removal.blobs) == {"files/g", "texts/f-edited-3", "texts/f-v1"}


@pytest.mark.usefixtures("one_moment")
async def test_files_are_found_by_name_in_parts(records: Records) -> None:
    ada, bob = await person(records, "ada"), await person(records, "bob")
    for file_id in ("a1", "a2", "b1"):
        await stored(records, ada, file_id)
    await stored(records, bob, "a3")
    keep = matching("ete A?.txt")
    pages = [await records.files.search(ada, keep=keep, personal=False, limit=1, offset=start) for start in range(3)]
    assert [[file.id for file in page] for page in pages] == [["a1"], ["a2"], []]
    assert (await records.files.count(ada), await records.files.count(bob, personal=True)) == (3, 1)
    assert await records.files.owned_among(["a1", "a3", "absent"], ada) == ["a1"]


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        pytest.param(Scope(), {"own", "shared", "loose"}, id="administrator"),
        pytest.param(Scope(file_ids=frozenset({"own"})), {"own"}, id="a-file"),
        pytest.param(Scope(collection_ids=frozenset({"SHELF"})), {"shared"}, id="a-collection"),
        pytest.param(Scope(user_id="ADA"), {"own"}, id="ones-own"),
        pytest.param(
            Scope(user_id="ADA", shared_collection_ids=frozenset({"SHELF"})), {"own", "shared"}, id="shared-with-one"
        ),
        pytest.param(Scope(file_ids=frozenset({"shared", "loose"}), user_id="ADA"), set(), id="anothers"),
        pytest.param(Scope(collection_ids=frozenset({"SHELF"}), user_id=""), set(), id="no-right"),
    ],
)
async def test_a_search_sees_what_the_records_say_now(records: Records, scope: Scope, seen: set[str]) -> None:
    ada, bob = await person(records, "ada"), await person(records, "bob")
    shelf = await records.collections.add(user_id=bob.id, name="k", description="")
    for owner, file_id in ((ada, "own"), (bob, "shared"), (bob, "loose")):
        await stored(records, owner, file_id)
    await records.collections.link(shelf.id, "shared")
    await ingested(records, "own", "v1")

    def real(ids: frozenset[str]) -> frozenset[str]:
        return frozenset(each.replace("SHELF", shelf.id) for each in ids)

    meant = Scope(
        scope.file_ids,
        real(scope.collection_ids),
        ada.id if scope.user_id == "ADA" else scope.user_id,
        real(scope.shared_collection_ids),
    )
    everything = ["own", "shared", "loose", "absent"]
    assert set(await records.files.versions(everything, meant)) == seen
    assert (await records.files.versions(["own"], Scope())) == {"own": "v1"}
    await records.collections.unlink(shelf.id, ["shared"])
    assert set(await records.files.versions(everything, meant)) == seen - (
        {"shared"} if shelf.id in meant.collection_ids | meant.shared_collection_ids else set()
    )
