"""The queue: one worker a file, another try for what may pass, none for what cannot, and an end to both."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ragline.config.settings import Database
from ragline.connectors.records import queue as queue_module
from ragline.connectors.records.changes import QUEUE
from ragline.connectors.records.store import Records, open_records
from ragline.types import Claim, Lane, Status, User
from tests.rows import file

SMALL_BYTES = 1000


async def admin(records: Records) -> User:
    """Return the administrator, made where there is none yet."""
    add = records.users.add
    return await records.users.first_admin() or await add(name="a", email="a@b.org", role="admin", password_hash=None)


async def put(records: Records, *file_ids: str, size: int = 10) -> None:
    owner = await admin(records)
    for file_id in file_ids:
        await file(records, owner, file_id, size)


async def claim(
    records: Records, owner: str = "w", *, lane: Lane = "small", limit: int = 10, max_bytes: int = 10_000
) -> Claim | None:
    return await records.queue.claim(owner, lane=lane, small_bytes=SMALL_BYTES, limit=limit, max_bytes=max_bytes)


async def claimed(records: Records, owner: str = "w", *, lane: Lane = "small", limit: int = 10) -> list[str]:
    found = await claim(records, owner, lane=lane, limit=limit)
    return [file.id for file in found.files] if found else []


async def lease_of(records: Records, owner: str = "w") -> str:
    found = await claim(records, owner)
    assert found is not None
    return found.lease


@pytest.fixture
def expired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims whose lease is over as soon as they are made."""
    monkeypatch.setattr(queue_module, "LEASE_S", -1.0)


async def test_each_waiting_file_is_claimed_once(records: Records) -> None:
    await put(records, *(f"f{number:02}" for number in range(20)))
    claims = await asyncio.gather(*(claimed(records, f"w{n}", limit=3) for n in range(10)))
    assert sorted(file_id for each in claims for file_id in each) == [f"f{number:02}" for number in range(20)]


async def test_two_processes_on_one_database_never_get_the_same_file(
    records: Records, database: Database, tmp_path: Path
) -> None:
    other = await open_records(database, data_dir=tmp_path)
    await put(records, *(f"f{number:02}" for number in range(30)))
    claims = await asyncio.gather(*(claimed(each, f"w{n}", limit=2) for n in range(10) for each in (records, other)))
    await other.close()
    taken = [file_id for each in claims for file_id in each]
    assert len(taken) == len(set(taken))


async def test_a_claim_is_bounded_by_bytes_but_never_empty(records: Records) -> None:
    await put(records, "a", "b", "c", size=500)
    first = await claim(records, max_bytes=1)
    assert first is not None
    assert [file.id for file in first.files] == ["a"]
    second = await claim(records, max_bytes=1000)
    assert second is not None
    assert [file.id for file in second.files] == ["b", "c"]


async def test_small_files_do_not_wait_for_long_ones(records: Records) -> None:
    await put(records, "long", size=SMALL_BYTES + 1)
    await put(records, "short", size=SMALL_BYTES)
    assert await claimed(records, lane="small") == ["short"]
    assert await claimed(records, lane="large") == ["long"]


async def test_positions_count_the_files_ahead_in_the_same_lane(records: Records) -> None:
    await put(records, "long", size=SMALL_BYTES + 1)
    await put(records, "a", "b")
    places = {}
    for file_id in ("long", "a", "b"):
        places[file_id] = await records.queue.position(await records.files.get(file_id), small_bytes=SMALL_BYTES)
    assert places == {"long": 1, "a": 1, "b": 2}
    await claimed(records, limit=1)
    assert await records.queue.position(await records.files.get("a"), small_bytes=SMALL_BYTES) is None
    assert await records.queue.position(await records.files.get("b"), small_bytes=SMALL_BYTES) == 1


@pytest.mark.usefixtures("expired")
async def test_an_expired_lease_puts_a_file_back_and_counts(records: Records) -> None:
    await put(records, "f")
    await claimed(records, "dead")
    assert await claimed(records, "living") == ["f"]
    file = await records.files.get("f")
    assert (file.attempts, file.interruptions) == (2, 1)


async def test_a_lease_that_is_renewed_holds(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(records, "f")
    with monkeypatch.context() as patch:
        patch.setattr(queue_module, "LEASE_S", -1.0)
        lease = await lease_of(records)
    await records.queue.renew(lease)
    assert await claimed(records, "other") == []


async def test_a_lease_that_nobody_renews_is_silent_before_it_is_over(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(records, "f")
    lease = await lease_of(records)
    assert await records.queue.silent(30) == 0
    with monkeypatch.context() as patch:
        patch.setattr(queue_module, "LEASE_S", queue_module.LEASE_S - 40)  # as if it were 40 s old
        await records.queue.renew(lease)
    assert await records.queue.silent(30) == 1
    assert (await records.queue.due(), await records.queue.owners()) == ((0, 0), {"w"})


@pytest.mark.usefixtures("expired")
async def test_who_lost_the_lease_changes_nothing(records: Records) -> None:
    await put(records, "f")
    old = await lease_of(records, "slow")
    new = await lease_of(records, "quick")
    assert await records.queue.advance(old, "index", {"f": 0.9}) == set()
    assert await records.queue.complete("f", old, version="old", chunk_count=9) is None
    assert not await records.queue.fail("f", old, "no")
    assert await records.queue.complete("f", new, version="new", chunk_count=3, untidy=False) == 0
    assert (await records.files.get("f")).version == "new"
    assert await records.queue.complete("f", new, version="again", chunk_count=3) is None


async def test_a_completed_file_is_not_taken_from_the_batch_that_completed_it(records: Records) -> None:
    await put(records, "done", "cancelled")
    lease = await lease_of(records)
    await records.queue.complete("done", lease, version="v", chunk_count=1)
    await records.queue.cancel("cancelled")
    assert await records.queue.held(lease) == {"done"}
    assert await records.queue.owners() == set()


async def test_released_files_wait_again_and_the_try_does_not_count(records: Records) -> None:
    await put(records, "f", "g")
    await claimed(records, "w", limit=1)
    await claimed(records, "w2", limit=1)
    assert await records.queue.release("w", died=False) == 1
    file = await records.files.get("f")
    assert (file.status, file.attempts, file.interruptions) == (Status.PENDING, 0, 0)
    assert (await records.files.get("g")).status is Status.PROCESSING
    await claimed(records, "w")
    assert await records.queue.release("w", died=True) == 1
    file = await records.files.get("f")
    assert (file.attempts, file.interruptions) == (1, 1)


async def test_what_died_with_its_process_is_taken_with_fewer_others_each_time(records: Records) -> None:
    await put(records, *(f"f{number:02}" for number in range(20)))
    sizes = []
    for _ in range(6):
        sizes.append(len(await claimed(records, limit=20)))
        await records.queue.release("w", died=True)
    assert sizes == [20, 20, 20, 8, 2, 1]


async def test_a_file_put_back_waits_for_its_time_and_says_why(records: Records) -> None:
    await put(records, "f")
    lease = await lease_of(records)
    await records.queue.put_back("f", lease, "the embedding server sleeps", pause_s=60)
    assert await claimed(records) == []
    file = await records.files.get("f")
    assert (file.status, file.error, file.attempts) == (Status.PENDING, "the embedding server sleeps", 1)


async def test_tried_often_enough_it_is_given_up_until_somebody_retries(records: Records) -> None:
    await put(records, "f")
    for _ in range(2):
        await records.queue.put_back("f", await lease_of(records), "no answer", pause_s=-1)
    assert await records.queue.give_up(3) == 0
    assert await records.queue.give_up(2) == 1
    file = await records.files.get("f")
    assert (file.status, file.failure, file.error) == (Status.FAILED, "exhausted", "tried often enough: no answer")
    assert await records.queue.retry(exhausted_only=True) == 1
    file = await records.files.get("f")
    assert (file.status, file.attempts, file.error) == (Status.PENDING, 0, None)


@pytest.mark.usefixtures("expired")
async def test_what_kills_every_process_is_given_up_too(records: Records) -> None:
    await put(records, "poison")
    for _ in range(2):
        await claimed(records)
    assert await records.queue.give_up(2) == 1
    assert "each time the process that worked on it ended" in str((await records.files.get("poison")).error)


async def test_cancelling_ends_the_wait_and_the_work(records: Records) -> None:
    await put(records, "waits", "works")
    lease = await lease_of(records)
    await records.queue.put_back("waits", lease, "later", pause_s=60)
    for file_id in ("waits", "works"):
        assert await records.queue.cancel(file_id)
        file = await records.files.get(file_id)
        assert (file.status, file.failure) == (Status.FAILED, "cancelled")
    assert await records.queue.held(lease) == set()
    assert not await records.queue.cancel("works")


async def test_new_bytes_end_the_work_on_the_old_ones(records: Records) -> None:
    await put(records, "f")
    first = await lease_of(records)
    assert await records.queue.complete("f", first, version="v1", chunk_count=1) == 1
    await records.queue.again("f")
    second = await lease_of(records)
    before = await records.files.replace("f", content_type="text/plain", size_bytes=3, sha256="1" * 64, blob="files/n")
    assert before is not None
    assert before.blob == "files/f"
    assert await records.queue.complete("f", second, version="v2", chunk_count=1) is None
    file = await records.files.get("f")
    assert (file.status, file.version, file.blob) == (Status.PENDING, "v1", "files/n")


async def test_who_watches_a_file_is_told_at_each_change(records: Records) -> None:
    with records.changes.watching("f") as changed, records.changes.watching(QUEUE) as queued:
        await put(records, "f")
        assert queued.is_set()
        lease = await lease_of(records)
        assert changed.is_set()
        changed.clear()
        await records.queue.advance(lease, "embed", {"f": 0.5})
        assert changed.is_set()


async def test_what_another_process_writes_is_heard(records: Records, database: Database, tmp_path: Path) -> None:
    with records.changes.watching(QUEUE) as queued:
        await asyncio.sleep(0)
        other = await open_records(database, data_dir=tmp_path)
        queued.clear()
        await put(other, "f")
        await other.close()
        async with asyncio.timeout(10):
            await queued.wait()


async def test_a_worker_stopped_in_the_middle_of_a_write_locks_nobody_out(records: Records) -> None:
    async def work() -> None:
        while True:
            if taken := await claim(records, limit=1):
                await records.queue.advance(taken.lease, "parse", {taken.files[0].id: 0.1})
            await records.queue.release("w", died=False)

    await put(records, *"abc")
    for number in range(60):
        workers = [asyncio.create_task(work()) for _ in range(3)]
        for _ in range(number % 12):
            await asyncio.sleep(0.002)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        async with asyncio.timeout(5):
            await records.queue.release("w", died=False)
