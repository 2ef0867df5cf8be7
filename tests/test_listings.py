"""Lists that are read on from a thing that was seen, and the attributes of files, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ragline.connectors.records.attributes import PURPOSE_KEY, attributes_of
from ragline.connectors.records.listings import Cut
from ragline.connectors.records.store import Records
from ragline.errors import Invalid, NotFound
from ragline.types import Json
from tests.test_queue import admin, lease_of, put


async def ids(records: Records, cut: Cut, *, keep: Any = lambda file: True) -> tuple[list[str], bool]:
    part = await records.listings.files(await admin(records), cut, keep=keep)
    return [file.id for file in part.rows], part.more


@pytest.mark.usefixtures("one_moment")
async def test_a_list_goes_on_after_what_was_seen_though_all_were_made_in_one_second(records: Records) -> None:
    await put(records, "a", "b", "c", "d")
    assert await ids(records, Cut(limit=3, ascending=True)) == (["a", "b", "c"], True)
    assert await ids(records, Cut(limit=3, ascending=True, after="c")) == (["d"], False)
    assert await ids(records, Cut(limit=2)) == (["d", "c"], True)
    assert await ids(records, Cut(limit=2, after="c")) == (["b", "a"], False)
    assert await ids(records, Cut(limit=1, ascending=True), keep=lambda file: file.id > "b") == (["c"], True)
    with pytest.raises(Invalid, match="'x'"):
        await ids(records, Cut(limit=1, after="x"))


@pytest.mark.usefixtures("one_moment")
async def test_a_list_goes_back_from_what_was_seen(records: Records) -> None:
    user = await admin(records)
    made = [(await records.collections.add(user_id=user.id, name=str(n), description="")).id for n in range(4)]
    order = sorted(made)

    async def back(cut: Cut) -> tuple[list[str], bool]:
        part = await records.listings.collections(user, cut)
        return [record.id for record in part.rows], part.more

    assert await back(Cut(limit=2, ascending=True, before=order[3])) == (order[1:3], True)
    assert await back(Cut(limit=2, ascending=True, before=order[2])) == (order[:2], False)
    assert await back(Cut(limit=2, before=order[0])) == ([order[2], order[1]], True)


async def test_members_are_counted_and_listed_by_how_they_stand(records: Records) -> None:
    user = await admin(records)
    await put(records, "waits", "fails", "stops", "works", size=7)
    store = (await records.collections.add(user_id=user.id, name="s", description="")).id
    empty = (await records.collections.add(user_id=user.id, name="e", description="")).id
    await records.collections.link_all(store, ["waits", "fails", "stops"])
    assert await records.queue.cancel("stops")
    lease = await lease_of(records)
    assert await records.queue.fail("fails", lease, "broken")
    tallies = await records.listings.tallies([store, empty])
    assert tallies[store].counts == {"in_progress": 1, "failed": 1, "cancelled": 1}
    assert (tallies[store].size_bytes, tallies[empty].counts, tallies[empty].size_bytes) == (21, {}, 0)
    some = await records.listings.tallies([store], among=["waits", "works"])
    assert some[store].counts == {"in_progress": 1}
    for state, file_id in (("in_progress", "waits"), ("failed", "fails"), ("cancelled", "stops")):
        part = await records.listings.members(store, Cut(limit=9), state=state)  # type: ignore[arg-type]  # a state as text
        assert [linked.file.id for linked in part.rows] == [file_id]
    after = await records.listings.members(store, Cut(limit=9, ascending=True, after="fails"), state="in_progress")
    assert [linked.file.id for linked in after.rows] == ["waits"]
    with pytest.raises(Invalid, match="'works'"):
        await records.listings.members(store, Cut(limit=9, after="works"))


async def test_attributes_are_replaced_whole_and_changes_at_once_do_not_mix(records: Records) -> None:
    user = await admin(records)
    given: dict[str, Json] = {"year": 2024, "tags": ["a"], PURPOSE_KEY: "user_data", "nothing": None, "réel": 1.5}
    await records.files.add(
        file_id="f",
        user_id=user.id,
        filename="é.txt",
        content_type="text/plain",
        size_bytes=1,
        sha256="0" * 64,
        blob="files/f",
        metadata=given,
    )
    assert attributes_of(given) == {"year": 2024, "réel": 1.5}
    changed = await records.attributes.replace("f", {"ok": True, PURPOSE_KEY: "other"})
    assert changed.metadata == {"tags": ["a"], PURPOSE_KEY: "user_data", "nothing": None, "ok": True}
    await asyncio.gather(*(records.attributes.replace("f", {f"k{n}": n}) for n in range(8)))
    assert len(attributes_of((await records.files.get("f")).metadata)) == 1
    with pytest.raises(NotFound):
        await records.attributes.replace("g", {})
