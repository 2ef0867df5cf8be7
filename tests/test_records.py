"""The records: claims, leases, visibility, memberships, keys and the cache of embeddings."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from ragline.config.settings import Database
from ragline.connectors.records.store import Records, open_records
from ragline.connectors.records.tables import api_keys
from ragline.errors import Conflict, NotFound, SetupError
from tests.rows import file, user


async def test_opening_twice_keeps_what_is_there(database: Database, tmp_path: Path) -> None:
    first = await open_records(database, data_dir=tmp_path)
    ada = await user(first)
    await first.close()
    second = await open_records(database, data_dir=tmp_path)
    assert await second.users.get(ada.id) == ada
    await second.close()


async def test_a_database_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot use the database sqlite"):
        await open_records(Database(), data_dir=tmp_path / "absent")


async def test_another_users_file_looks_like_none(records: Records) -> None:
    ada, bob, admin = await user(records), await user(records, "bob"), await user(records, "root", "admin")
    await file(records, ada, "f")
    with pytest.raises(NotFound) as foreign:
        await records.files.visible("f", bob)
    with pytest.raises(NotFound) as absent:
        await records.files.visible("g", bob)
    assert str(foreign.value).replace("'f'", "'g'") == str(absent.value)
    assert (await records.files.visible("f", admin)).id == "f"
    assert await records.files.page(bob, limit=10, offset=0) == ([], 0)


async def test_linking_twice_leaves_one_and_deleting_the_file_leaves_none(records: Records) -> None:
    ada = await user(records)
    await file(records, ada, "f")
    made = await records.collections.add(user_id=ada.id, name="c", description="")
    await asyncio.gather(*(records.collections.link(made.id, "f") for _ in range(5)))
    assert [placed.file.id for placed in await records.members.all(made.id)] == ["f"]
    assert await records.collections.of_file("f") == [made.id]
    assert [size for _, size in (await records.collections.page(ada, limit=10, offset=0))[0]] == [1]
    await records.removals.add(["f"])
    assert await records.members.all(made.id) == []


async def test_linking_what_is_not_there_is_not_found(records: Records) -> None:
    ada = await user(records)
    made = await records.collections.add(user_id=ada.id, name="c", description="")
    with pytest.raises(NotFound):
        await records.collections.link(made.id, "absent")


async def test_a_key_finds_its_user_and_is_not_stored(records: Records) -> None:
    ada = await user(records)
    key, known = await records.keys.add(ada.id, name="k")
    assert await records.keys.identify(key) == (ada, known)
    assert await records.keys.identify(key + "0") is None
    async with records.engine.connect() as connection:
        kept = [tuple(row) for row in await connection.execute(select(api_keys))]
    assert [row[1:3] for row in kept] == [(ada.id, "k")]
    assert key not in str(kept)


async def test_a_given_key_can_be_set_again_but_not_for_another(records: Records) -> None:
    ada, bob = await user(records), await user(records, "bob")
    for _ in range(2):
        await records.keys.add(ada.id, name="k", key="sk-fixed")
    with pytest.raises(Conflict):
        await records.keys.add(bob.id, name="k", key="sk-fixed")


async def test_an_email_address_is_taken_whatever_its_case(records: Records) -> None:
    await user(records)
    with pytest.raises(Conflict, match="taken"):
        await records.users.add(name="x", email="ADA@Example.org", role="user", password_hash=None)


async def test_embeddings_are_found_by_model_and_text(records: Records) -> None:
    vector = np.array([0.6, 0.8], dtype=np.float32)
    await records.embeddings.keep("m1", {"été": vector})
    await records.embeddings.keep("m1", {"été": vector * 2, "b": vector})
    found = await records.embeddings.find("m1", ["été", "b", "c", *(f"t{n}" for n in range(1200))])
    assert {text: kept.tolist() for text, kept in found.items()} == {"été": vector.tolist(), "b": vector.tolist()}
    assert await records.embeddings.find("m2", ["été"]) == {}


async def test_a_vector_is_kept_as_long_as_a_file_needs_it(records: Records) -> None:
    vector = np.array([0.6, 0.8], dtype=np.float32)
    ada = await user(records)
    for file_id, texts in (("f", ["shared", "own"]), ("g", ["shared"])):
        await file(records, ada, file_id)
        await records.embeddings.claim("m", {(file_id, "v1"): texts})
    await records.embeddings.keep("m", dict.fromkeys(["shared", "own", "stray"], vector))
    assert await records.embeddings.unused() == 1
    assert await records.embeddings.forget("f") == 1
    assert set(await records.embeddings.find("m", ["shared", "own"])) == {"shared"}
    assert await records.embeddings.forget("g") == 1
    assert await records.embeddings.unused(repair=True) == 1
    assert await records.embeddings.find("m", ["shared", "own", "stray"]) == {}


async def test_a_new_version_keeps_the_vectors_it_shares_with_the_old_one(records: Records) -> None:
    vector = np.array([0.6, 0.8], dtype=np.float32)
    await records.embeddings.claim("m", {("f", "v1"): ["same", "old"]})
    await records.embeddings.claim("m", {("f", "v2"): ["same", "new"]})
    await records.embeddings.keep("m", dict.fromkeys(["same", "old", "new"], vector))
    assert await records.embeddings.forget("f", but="v2") == 1
    assert set(await records.embeddings.find("m", ["same", "old", "new"])) == {"same", "new"}


async def test_a_deleted_file_is_gone_at_once_and_its_removal_names_what_is_left(records: Records) -> None:
    ada = await user(records)
    await file(records, ada, "f")
    assert await records.removals.add(["f", "absent"]) == ["f"]
    with pytest.raises(NotFound):
        await records.files.get("f")
    [removal] = await records.removals.waiting(limit=10)
    assert (removal.file_id, removal.blobs, removal.settled) == ("f", ["files/f"], True)
    await records.removals.finish("f")
    assert await records.removals.waiting(limit=10) == []


async def test_a_link_that_changes_asks_for_the_passages_to_follow(records: Records) -> None:
    ada = await user(records)
    await file(records, ada, "f")
    made = await records.collections.add(user_id=ada.id, name="c", description="")
    await records.collections.link(made.id, "f")
    assert await records.files.untidy(limit=9) == ["f"]
    mark = (await records.files.get("f")).untidy
    await records.collections.unlink(made.id, ["f"])
    await records.files.tidied("f", mark)  # of before the change: it does not count
    assert await records.files.untidy(limit=9) == ["f"]
    await records.files.tidied("f", (await records.files.get("f")).untidy)
    assert await records.files.untidy(limit=9) == []


async def test_an_error_that_is_forgotten_stops_nobody(tmp_path: Path) -> None:
    """Its statement would be let go of in the thread of the event loop, which waits for whom waits for it."""
    records = await open_records(Database(), data_dir=tmp_path)
    ada = await user(records)
    kept = (await asyncio.gather(user(records), return_exceptions=True))[0]
    assert isinstance(kept, Conflict)
    other = sqlite3.connect(tmp_path / "ragline.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Event()

    def let_go() -> bool:
        """Close the other connection once this is over, or after as long as nobody should have to wait."""
        over = done.wait(15)
        other.close()
        return over

    held = asyncio.get_running_loop().run_in_executor(None, let_go)
    waiting = asyncio.create_task(records.users.change(ada.id, name="Ada"))
    await asyncio.sleep(0.3)
    del kept
    gc.collect()
    done.set()
    assert await held, "forgetting the error waited for the other connection"
    await waiting
    await records.close()
