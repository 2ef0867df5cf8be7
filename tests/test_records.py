"""The records: claims, leases, visibility, memberships, keys and the cache of embeddings."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from ragline.config.settings import Database
from ragline.connectors.records import files as files_module
from ragline.connectors.records.store import Records, open_records
from ragline.errors import Conflict, NotFound, SetupError
from ragline.types import FileRecord, Status, User


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    opened = await open_records(Database(), data_dir=tmp_path)
    yield opened
    await opened.close()


async def user(records: Records, name: str = "ada", role: str = "user") -> User:
    return await records.users.add(name=name, email=f"{name}@example.org", role=role, password_hash=None)  # type: ignore[arg-type]  # a role


async def file(records: Records, owner: User, file_id: str, size: int = 10) -> FileRecord:
    return await records.files.add(
        file_id=file_id,
        user_id=owner.id,
        filename=f"{file_id}.txt",
        content_type="text/plain",
        size_bytes=size,
        sha256="0" * 64,
        metadata={},
    )


async def test_opening_twice_keeps_what_is_there(tmp_path: Path) -> None:
    first = await open_records(Database(), data_dir=tmp_path)
    ada = await user(first)
    await first.close()
    second = await open_records(Database(), data_dir=tmp_path)
    assert await second.users.get(ada.id) == ada
    await second.close()


async def test_a_database_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot use the database sqlite"):
        await open_records(Database(), data_dir=tmp_path / "absent")


async def test_each_waiting_file_is_claimed_once(records: Records) -> None:
    ada = await user(records)
    for number in range(20):
        await file(records, ada, f"f{number:02}")
    claims = await asyncio.gather(*(records.files.claim(f"w{n}", limit=3, max_bytes=1000) for n in range(10)))
    claimed = [record.id for claim in claims for record in claim]
    assert sorted(claimed) == [f"f{number:02}" for number in range(20)]


async def test_a_claim_is_bounded_by_bytes_but_never_empty(records: Records) -> None:
    ada = await user(records)
    await file(records, ada, "big", size=5000)
    await file(records, ada, "small", size=10)
    assert [f.id for f in await records.files.claim("w", limit=10, max_bytes=1000)] == ["big"]


async def test_an_expired_lease_puts_a_file_back_in_the_queue(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await user(records)
    await file(records, ada, "f")
    monkeypatch.setattr(files_module, "LEASE_S", -1.0)
    await records.files.claim("dead", limit=1, max_bytes=1)
    assert [f.id for f in await records.files.claim("living", limit=1, max_bytes=1)] == ["f"]


async def test_a_lease_that_is_renewed_holds(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await user(records)
    await file(records, ada, "f")
    with monkeypatch.context() as patch:
        patch.setattr(files_module, "LEASE_S", -1.0)
        await records.files.claim("slow", limit=1, max_bytes=1)
    await records.files.renew("slow")
    assert await records.files.claim("other", limit=1, max_bytes=1) == []


async def test_released_files_wait_again(records: Records) -> None:
    ada = await user(records)
    await file(records, ada, "f")
    await records.files.claim("w", limit=1, max_bytes=1)
    assert await records.files.release("w") == 1
    assert (await records.files.get("f")).status is Status.PENDING


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
    assert [f.id for f in await records.collections.files(made.id)] == ["f"]
    assert await records.collections.of_file("f") == [made.id]
    assert [size for _, size in (await records.collections.page(ada, limit=10, offset=0))[0]] == [1]
    await records.files.delete("f")
    assert await records.collections.files(made.id) == []


async def test_linking_what_is_not_there_is_not_found(records: Records) -> None:
    ada = await user(records)
    made = await records.collections.add(user_id=ada.id, name="c", description="")
    with pytest.raises(NotFound):
        await records.collections.link(made.id, "absent")


async def test_a_key_finds_its_user_and_is_not_stored(records: Records, tmp_path: Path) -> None:
    ada = await user(records)
    key = await records.users.add_key(ada.id, name="k")
    assert await records.users.by_key(key) == ada
    assert await records.users.by_key(key + "0") is None
    dump = "\n".join(sqlite3.connect(tmp_path / "ragline.db").iterdump())
    assert key not in dump


async def test_a_given_key_can_be_set_again_but_not_for_another(records: Records) -> None:
    ada, bob = await user(records), await user(records, "bob")
    for _ in range(2):
        await records.users.add_key(ada.id, name="k", key="sk-fixed")
    with pytest.raises(Conflict):
        await records.users.add_key(bob.id, name="k", key="sk-fixed")


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
