"""Syncs of real places: what changed is taken over, nothing is read or embedded twice, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pytest
from sqlalchemy import select

from ragline.app import Stores, open_stores
from ragline.bootstrap import first_admin
from ragline.config import settings as config
from ragline.config.load import load_settings
from ragline.connectors.records import sources as sources_module
from ragline.connectors.records.sources import Sources
from ragline.connectors.records.tables import metadata
from ragline.connectors.sources.protocol import Entry, Read, Source
from ragline.connectors.sources.registry import check_source, open_source
from ragline.connectors.workers import Workers
from ragline.errors import Conflict, Unavailable
from ragline.flows.runner import ingesting
from ragline.flows.sync_ends import ends_told
from ragline.pipelines.sync import Sync
from ragline.pipelines.sync_plan import Row
from ragline.pipelines.syncing import opened_sync, run_sync
from ragline.retrieval.search import search
from ragline.types import FileRecord, Scope, Status, User
from tests.s3 import s3_server
from tests.sources.conftest import Remote, s3_options
from tests.sources.site import Page, Site, serving
from tests.test_ingest import opened

ROOT = Path(__file__).resolve().parents[1]


class Counted:
    """A source that counts what is asked of it, and in which a test may have things happen."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.forgets = bool(getattr(source, "forgets", False))
        self.lists = 0
        self.reads: list[str] = []
        self.state: str | None = None
        self.before_read: Callable[[str], None] = lambda path: None

    async def fingerprint(self) -> str | None:
        return self.state or await self._source.fingerprint()

    async def entries(self) -> list[Entry]:
        self.lists += 1
        return await self._source.entries()

    async def read(self, entry: Entry, into: BinaryIO, *, known_tag: str | None = None) -> Read:
        self.reads.append(entry.path)
        self.before_read(entry.path)
        return await self._source.read(entry, into, known_tag=known_tag)

    async def close(self) -> None:
        await self._source.close()


class Bench:
    """A folder `root`, an installation, and syncs of the one into the other."""

    def __init__(self, stores: Stores, user: User, workers: Workers, root: Path, cache: Path) -> None:
        self.stores, self.user, self.workers, self.root, self.cache = stores, user, workers, root, cache
        self.settings = config.Source(name="notes", kind="folder", location=str(root), collection="docs")
        self.source = self.opened(self.settings)

    def opened(self, settings: config.Source, max_bytes: int = 1000) -> Counted:
        return Counted(open_source(settings, folder=self.cache, workers=self.workers, max_bytes=max_bytes))

    def put(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.stat().st_mtime_ns if file.exists() else 0
        file.write_text(text)
        if file.stat().st_mtime_ns == before:
            os.utime(file, ns=(before + 1, before + 1))

    def made(self, **more: Any) -> Sync:
        self.source.reads.clear()
        return Sync(self.stores, self.settings, self.source, self.user, **more)

    async def run(self, *, wait: bool = False, **more: Any) -> Sync:
        sync = self.made(**more)
        try:
            await steps(sync)
            if wait:
                await sync.wait()
        finally:
            await sync.close()
        return sync

    async def files(self) -> dict[str, FileRecord]:
        """The files of the collection by the path that their metadata name; each path is there once."""
        collection = await self.stores.records.collections.named(self.settings.collection, self.user)
        files = [placed.file for placed in await self.stores.records.members.all(collection.id)]
        by_path = {str(file.metadata["path"]): file for file in files}
        assert len(by_path) == len(files)
        return by_path

    async def text(self, path: str) -> str:
        return (await self.stores.blobs.get((await self.files())[path].blob)).decode()

    async def error(self) -> str | None:
        return (await self.stores.records.sources.state("notes", self.user.id)).error


async def steps(sync: Sync) -> None:
    for step in (sync.list, sync.compare, sync.move, sync.take, sync.delete):
        await step()


def told(sync: Sync) -> list[tuple[str, str, str]]:
    return [(row.action, row.path, row.outcome) for row in sync.rows]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "notes").mkdir()
    settings = config.Settings(data_dir=tmp_path / "data")
    workers = Workers(settings.parsing)
    async with open_stores(settings) as stores:
        user, _ = await first_admin(stores.records, settings.auth)
        yield Bench(stores, user, workers, tmp_path / "notes", tmp_path / "cache")
    await workers.close()


async def contents_of_tables(stores: Stores) -> dict[str, list[Any]]:
    async with stores.records.engine.connect() as connection:
        return {name: list(await connection.execute(select(table))) for name, table in metadata.tables.items()}


async def test_a_folder_becomes_files_of_a_collection(bench: Bench) -> None:
    bench.put("a.md", "# A")
    bench.put("sub/été à la mer.md", "# B")
    sync = await bench.run()
    assert told(sync) == [("added", "a.md", "waiting"), ("added", "sub/été à la mer.md", "waiting")]
    files = await bench.files()
    assert files["sub/été à la mer.md"].filename == "été à la mer.md"
    assert files["a.md"].metadata == {"ragline_source": "notes", "path": "a.md"}
    assert {file.user_id for file in files.values()} == {bench.user.id}
    assert sorted(sync.taken) == sorted(file.id for file in files.values())


async def test_a_second_sync_reads_and_changes_nothing(bench: Bench) -> None:
    bench.put("a.md", "# A")
    bench.put("b.md", "# B")
    await bench.run()
    before = await bench.files()
    sync = await bench.run()
    assert (told(sync), sync.counts, bench.source.reads) == ([], {"unchanged": 2}, [])
    assert await bench.files() == before


async def test_what_changed_keeps_its_file(bench: Bench) -> None:
    bench.put("a.md", "# A")
    bench.put("b.md", "# B")
    await bench.run()
    before = await bench.files()
    bench.put("a.md", "# A, changed")
    sync = await bench.run()
    assert (told(sync), bench.source.reads) == ([("changed", "a.md", "waiting")], ["a.md"])
    assert (await bench.files())["a.md"].id == before["a.md"].id
    assert await bench.text("a.md") == "# A, changed"


async def test_what_was_only_touched_is_read_once_and_not_ingested_again(bench: Bench) -> None:
    bench.put("a.md", "# A")
    await bench.run()
    before = await bench.files()
    os.utime(bench.root / "a.md", ns=(1, 1))
    sync = await bench.run()
    assert (told(sync), sync.counts, bench.source.reads) == ([], {"unchanged": 1}, ["a.md"])
    await bench.run()
    assert bench.source.reads == []
    assert await bench.files() == before


async def test_a_folder_that_was_renamed_keeps_its_files(bench: Bench) -> None:
    bench.put("old/a.md", "# A!")
    bench.put("old/b.md", "# B!")
    bench.put("old/sub/b.md", "# B!")
    await bench.run()
    before = await bench.files()
    (bench.root / "old").rename(bench.root / "new")
    (bench.root / "new" / "a.md").rename(bench.root / "new" / "first.md")
    sync = await bench.run()
    assert [(row.action, row.path, row.reason) for row in sync.rows] == [
        ("moved", "new/b.md", "was old/b.md"),
        ("moved", "new/first.md", "was old/a.md"),
        ("moved", "new/sub/b.md", "was old/sub/b.md"),
    ]
    after = await bench.files()
    assert after["new/first.md"].id == before["old/a.md"].id
    assert after["new/first.md"].filename == "first.md"
    assert after["new/first.md"].blob == before["old/a.md"].blob
    assert {file.id for file in after.values()} == {file.id for file in before.values()}
    assert (await bench.run()).counts == {"unchanged": 3}
    assert bench.source.reads == []


async def test_a_file_that_gets_another_suffix_is_another_file(bench: Bench) -> None:
    bench.put("a.txt", "# A")
    await bench.run()
    (bench.root / "a.txt").rename(bench.root / "a.md")
    assert told(await bench.run()) == [("added", "a.md", "waiting"), ("deleted", "a.txt", "done")]
    assert (await bench.files())["a.md"].content_type == "text/markdown"


async def test_what_is_gone_is_deleted(bench: Bench) -> None:
    for name in ("a.md", "b.md", "c.md"):
        bench.put(name, name)
    await bench.run()
    before = await bench.files()
    (bench.root / "b.md").unlink()
    assert told(await bench.run()) == [("deleted", "b.md", "done")]
    assert sorted(await bench.files()) == ["a.md", "c.md"]
    waiting = await bench.stores.records.removals.waiting(limit=9)
    assert [removal.file_id for removal in waiting] == [before["b.md"].id]


async def test_more_deletions_than_allowed_stop_before_anything_changed(bench: Bench) -> None:
    for name in ("a.md", "b.md", "c.md"):
        bench.put(name, name)
    await bench.run()
    before = await bench.files()
    (bench.root / "a.md").unlink()
    (bench.root / "b.md").unlink()
    bench.put("new.md", "new here")
    with pytest.raises(Conflict, match=r"'notes': 2 of its 3 files .*max_delete_share.*--force"):
        await bench.run()
    assert await bench.files() == before
    assert "2 of its 3 files" in str(await bench.error())
    assert (await bench.run(force=True)).counts == {"added": 1, "deleted": 2, "unchanged": 1}
    assert (sorted(await bench.files()), await bench.error()) == (["c.md", "new.md"], None)


async def test_a_folder_that_is_not_there_touches_nothing_and_says_so(bench: Bench) -> None:
    bench.put("a.md", "# A")
    await bench.run()
    before = await bench.files()
    bench.root.rename(bench.root.parent / "elsewhere")
    with pytest.raises(Unavailable, match="'notes'"):
        await bench.run()
    assert await bench.files() == before
    assert "is its drive mounted?" in str(await bench.error())
    (bench.root.parent / "elsewhere").rename(bench.root)
    assert (await bench.run()).counts == {"unchanged": 1}
    assert await bench.error() is None


async def test_what_is_kept_goes_on_with_its_file_when_it_comes_back(bench: Bench) -> None:
    bench.settings = bench.settings.model_copy(update={"on_delete": "keep"})
    bench.put("a.md", "# A")
    bench.put("b.md", "# B")
    await bench.run()
    before = await bench.files()
    (bench.root / "a.md").unlink()
    (bench.root / "b.md").unlink()
    assert [row.action for row in (await bench.run()).rows] == ["kept", "kept"]
    assert (await bench.run()).rows == []
    assert await bench.files() == before
    bench.put("a.md", "# A")
    bench.put("b.md", "# B, changed meanwhile")
    assert told(await bench.run()) == [("changed", "b.md", "waiting")]
    assert {path: file.id for path, file in (await bench.files()).items()} == {p: f.id for p, f in before.items()}
    assert (await bench.run()).counts == {"unchanged": 2}


async def test_what_a_feed_lists_no_more_is_kept(bench: Bench) -> None:
    bench.source.forgets = True
    bench.put("a.md", "same bytes")
    await bench.run()
    (bench.root / "a.md").rename(bench.root / "b.md")
    assert told(await bench.run()) == [("kept", "a.md", "done"), ("added", "b.md", "waiting")]
    assert len(await bench.files()) == 2


async def test_a_dry_run_writes_nothing(bench: Bench) -> None:
    bench.put("new.md", "# N")
    before = await contents_of_tables(bench.stores)
    assert told(await bench.run(dry_run=True)) == [("added", "new.md", "planned")]
    assert await contents_of_tables(bench.stores) == before
    for name in ("changed.md", "moved.md", "gone.md"):
        bench.put(name, name)
    await bench.run()
    before = await contents_of_tables(bench.stores)
    bench.put("changed.md", "changed")
    (bench.root / "moved.md").rename(bench.root / "there.md")
    (bench.root / "gone.md").unlink()
    sync = await bench.run(wait=True, dry_run=True)
    assert told(sync) == [
        ("changed", "changed.md", "planned"),
        ("deleted", "gone.md", "planned"),
        ("moved", "there.md", "planned"),
    ]
    assert sync.counts == {"changed": 1, "deleted": 1, "moved": 1, "unchanged": 1}
    assert bench.source.reads == ["there.md"]
    assert await contents_of_tables(bench.stores) == before


async def test_a_new_document_that_vanished_is_skipped_and_a_known_one_deleted(bench: Bench) -> None:
    for name in ("a.md", "b.md"):
        bench.put(name, name)
    await bench.run()
    bench.put("a.md", "changed")
    bench.put("new.md", "new")
    bench.source.before_read = lambda path: (bench.root / path).unlink()
    sync = await bench.run()
    assert told(sync) == [("deleted", "a.md", "done"), ("skipped", "new.md", "done")]
    assert "not there any more" in str(sync.rows[1].reason)
    assert [*await bench.files()] == ["b.md"]


async def test_too_many_that_vanish_while_they_are_read_are_not_deleted(bench: Bench) -> None:
    for name in ("a.md", "b.md", "c.md"):
        bench.put(name, name)
    await bench.run()
    for name in ("a.md", "b.md"):
        bench.put(name, "changed")
    bench.source.before_read = lambda path: (bench.root / path).unlink()
    sync = await bench.run()
    assert told(sync) == [("skipped", "a.md", "done"), ("skipped", "b.md", "done")]
    assert "with it 2 of 3 files would be deleted" in str(sync.rows[0].reason)
    assert len(await bench.files()) == 3


async def test_the_same_bytes_twice_are_two_files(bench: Bench) -> None:
    bench.put("a.md", "same")
    bench.put("b.md", "same")
    assert (await bench.run()).counts == {"added": 2}
    files = await bench.files()
    assert files["a.md"].sha256 == files["b.md"].sha256
    assert files["a.md"].id != files["b.md"].id


async def test_a_file_that_a_user_deleted_is_taken_in_again(bench: Bench) -> None:
    bench.put("a.md", "# A")
    await bench.run()
    before = await bench.files()
    await bench.stores.records.removals.add([before["a.md"].id])
    assert told(await bench.run()) == [("added", "a.md", "waiting")]
    assert (await bench.files())["a.md"].id != before["a.md"].id


async def test_an_upload_of_somebody_else_is_not_taken_for_the_file_of_a_source(bench: Bench) -> None:
    ada = await bench.stores.records.users.add(name="ada", email="ada@example.org", role="user", password_hash=None)
    await bench.stores.records.files.add(
        file_id="of-ada",
        user_id=ada.id,
        filename="a.md",
        content_type="text/markdown",
        size_bytes=3,
        sha256="0" * 64,
        blob="files/of-ada",
        metadata={"ragline_source": "notes", "path": "a.md"},
    )
    bench.put("a.md", "# A")
    assert told(await bench.run()) == [("added", "a.md", "waiting")]
    assert (await bench.files())["a.md"].id != "of-ada"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        pytest.param("a.exe", "MZ\0\0", "it is a program", id="unsupported"),
        pytest.param("a.md", "", "empty", id="empty"),
        pytest.param("a.md", "x" * 1001, "larger than the limit of 1000", id="too-large"),
    ],
)
async def test_what_cannot_be_taken_in_is_told_once_until_it_changes(
    bench: Bench, name: str, text: str, reason: str
) -> None:
    bench.put(name, text)
    bench.put("good.md", "good")
    sync = await bench.run()
    assert told(sync) == [("failed", name, "failed"), ("added", "good.md", "waiting")]
    assert reason in str(sync.rows[0].reason)
    assert sync.counts == {"failed": 1, "added": 1}
    sync = await bench.run()
    assert (told(sync), sync.counts, bench.source.reads) == ([], {"unchanged": 2}, [])
    assert told(await bench.run(force=True)) == [("failed", name, "failed")]
    bench.put(name, "good again" if name == "a.md" else "MZ\0\0\0")
    assert told(await bench.run()) == [
        ("added" if name == "a.md" else "failed", name, "waiting" if name == "a.md" else "failed")
    ]


async def test_a_file_whose_document_became_unreadable_keeps_what_it_had(bench: Bench) -> None:
    bench.put("a.md", "good")
    await bench.run()
    before = await bench.files()
    bench.put("a.md", "")
    assert told(await bench.run()) == [("failed", "a.md", "failed")]
    assert await bench.files() == before
    bench.put("a.md", "good")
    assert (await bench.run()).counts == {"unchanged": 1}
    assert await bench.files() == before


async def test_what_cannot_be_read_now_is_tried_again_and_stops_nothing(bench: Bench) -> None:
    def asleep(path: str) -> None:
        if path == "a.md":
            raise Unavailable("the server sleeps")

    bench.put("a.md", "# A")
    bench.put("b.md", "# B")
    bench.source.state = "commit 1"
    bench.source.before_read = asleep
    sync = await bench.run()
    assert sync.rows[0] == Row("failed", "a.md", "failed", "the server sleeps")
    bench.source.before_read = lambda path: None
    assert (await bench.run()).counts == {"added": 1, "unchanged": 1}


async def test_a_source_that_says_nothing_changed_is_not_listed(bench: Bench) -> None:
    bench.put("a.md", "# A")
    bench.source.state = "commit 1"
    await bench.run()
    assert ((await bench.run()).counts, bench.source.lists) == ({"unchanged": 1}, 1)
    assert ((await bench.run(force=True)).counts, bench.source.lists) == ({"unchanged": 1}, 2)
    bench.source.state = "commit 2"
    assert ((await bench.run()).counts, bench.source.lists) == ({"unchanged": 1}, 3)
    await bench.stores.records.removals.add([(await bench.files())["a.md"].id])
    assert ((await bench.run()).counts, bench.source.lists) == ({"added": 1}, 4)
    bench.settings = bench.settings.model_copy(update={"exclude": ("b.md",)})
    assert ((await bench.run()).counts, bench.source.lists) == ({"unchanged": 1}, 5)


async def test_force_tries_again_what_could_not_be_ingested(bench: Bench) -> None:
    bench.put("a.md", "# A")
    bench.put("b.md", "# B")
    await bench.run()
    queue = bench.stores.records.queue
    claim = await queue.claim("test", lane="small", small_bytes=1 << 20, limit=1, max_bytes=1 << 20)
    assert claim is not None
    assert await queue.fail(claim.files[0].id, claim.lease, "it needs a password")
    failed = str(claim.files[0].metadata["path"])
    assert (await bench.run()).counts == {"unchanged": 2}
    shown = bench.made(dry_run=True, force=True)
    await steps(shown)
    assert [(row.action, row.path) for row in shown.plan_rows()] == [("retried", failed)]
    sync = await bench.run(force=True)
    assert (told(sync), sync.counts) == ([("retried", failed, "waiting")], {"retried": 1, "unchanged": 1})
    assert (await bench.files())[failed].status is Status.PENDING
    assert sync.taken == [claim.files[0].id]


async def test_a_dry_run_of_a_new_installation_makes_no_administrator(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("# A")
    source = config.Source(name="notes", kind="folder", location=str(tmp_path / "notes"), collection="docs")
    settings = config.Settings(data_dir=tmp_path / "data", sources=(source,))
    async with open_stores(settings) as stores, opened_sync(settings, "notes", dry_run=True, stores=stores) as sync:
        await run_sync(sync)
        assert [(row.action, row.path) for row in sync.rows] == [("added", "a.md")]
        assert await stores.records.users.first_admin() is None


async def test_how_syncs_end_is_in_the_log_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ragline.flows.sync_ends")
    bench.put("a.md", "# A")

    async def seen(number: int) -> None:
        async with asyncio.timeout(10):
            while len(caplog.messages) < number:  # noqa: ASYNC110  # the log has no event
                await asyncio.sleep(0.02)

    async with ends_told(bench.stores):
        await asyncio.sleep(0.1)
        await bench.run()
        await seen(1)
        bench.root.rename(bench.root.parent / "elsewhere")
        for _ in range(2):
            with pytest.raises(Unavailable):
                await bench.run()
        await seen(2)
        (bench.root.parent / "elsewhere").rename(bench.root)
        await bench.run()
        await seen(3)
    first, second, third = caplog.messages
    assert first == "synced source=notes"
    assert second.startswith("the sync of source notes failed: ")
    assert third == "synced source=notes, which works again"


async def test_files_follow_the_source_into_another_collection(bench: Bench) -> None:
    bench.put("a.md", "# A")
    bench.source.state = "commit 1"
    await bench.run()
    before = await bench.files()
    bench.settings = bench.settings.model_copy(update={"collection": "other"})
    assert (await bench.run()).counts == {"unchanged": 1}
    assert [file.id for file in (await bench.files()).values()] == [before["a.md"].id]
    bench.settings = bench.settings.model_copy(update={"collection": "docs"})
    assert await bench.files() == {}


async def test_a_collection_that_was_deleted_is_made_again_with_its_files(bench: Bench) -> None:
    bench.put("a.md", "# A")
    bench.source.state = "commit 1"
    await bench.run()
    collection = await bench.stores.records.collections.named("docs", bench.user)
    await bench.stores.records.collections.delete(collection.id)
    await bench.run()
    assert [*await bench.files()] == ["a.md"]


class Killed(BaseException):
    """The end of the process, as far as a test can have it."""


async def test_a_process_killed_between_file_and_entry_leaves_one_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object, **__: object) -> None:
        raise Killed

    bench.put("a.md", "# A")
    sync = bench.made()
    with monkeypatch.context() as patch:
        patch.setattr(sources_module, "LEASE_S", -1.0)
        patch.setattr(Sources, "put_entry", dies)
        patch.setattr(Sources, "finish", dies)
        with pytest.raises(BaseExceptionGroup):
            await steps(sync)
        with pytest.raises(Killed):
            await sync.close()
    before = await bench.files()
    assert [*before] == ["a.md"]
    assert (await bench.run()).counts == {"unchanged": 1}
    assert await bench.files() == before
    await bench.run()
    assert bench.source.reads == []


async def test_a_killed_sync_s_file_goes_with_its_document(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise OSError("no space left")

    bench.put("a.md", "# A")
    with monkeypatch.context() as patch:
        patch.setattr(Sources, "put_entry", fails)
        with pytest.raises(OSError, match="no space left"):
            await bench.run()
    assert await bench.error() == "stopped: OSError"
    (bench.root / "a.md").unlink()
    assert told(await bench.run()) == [("deleted", "a.md", "done")]


async def test_one_sync_of_a_source_at_a_time(bench: Bench) -> None:
    bench.put("a.md", "# A")
    first, second = bench.made(), bench.made()
    await first.list()
    with pytest.raises(Conflict, match=r"'notes' is being synced since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d by .+; wait"):
        await second.list()
    await second.close()
    await first.close()
    assert await bench.error() == "stopped before its end"
    assert (await bench.run()).counts == {"added": 1}


async def test_who_lost_the_source_stops_and_leaves_no_second_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put("a.md", "# A")
    slow = bench.made()
    with monkeypatch.context() as patch:
        patch.setattr(sources_module, "LEASE_S", -1.0)
        await slow.list()
    await slow.compare()
    await bench.run()
    with pytest.raises(Conflict, match="taken over"):
        await slow.take()
    await slow.close()
    assert len(await bench.files()) == 1
    assert await bench.error() is None


async def test_the_intake_waits_while_the_queue_is_full(bench: Bench) -> None:
    bench.stores = replace(
        bench.stores, settings=bench.stores.settings.model_copy(update={"queue": config.Queue(max_waiting=3)})
    )
    for number in range(9):
        bench.put(f"{number}.md", f"text {number}")
    queue = bench.stores.records.queue
    sync = asyncio.create_task(bench.run())
    most = 0
    async with asyncio.timeout(30):
        while not sync.done():
            waiting = await bench.stores.records.files.of_status(Status.PENDING, limit=99)
            most = max(most, len(waiting))
            if len(waiting) >= 3 or len(bench.source.reads) == 9:
                for file in waiting:
                    await queue.cancel(file.id)
            await asyncio.sleep(0.01)
    assert (await sync).counts == {"added": 9}
    assert 3 <= most <= 6  # those being read when it became full come in still


async def test_the_end_of_the_ingestion_is_awaited_with_its_progress(bench: Bench) -> None:
    seen: list[tuple[int, int]] = []

    async def note(done: int, total: int) -> None:
        seen.append((done, total))
        claim = await bench.stores.records.queue.claim("w", lane="small", small_bytes=99, limit=1, max_bytes=99)
        if claim is None:
            return
        [file] = claim.files
        if file.filename == "a.md":
            await bench.stores.records.queue.complete(file.id, claim.lease, version="v", chunk_count=1)
        elif file.filename == "b.md":
            await bench.stores.records.queue.fail(file.id, claim.lease, "no text")
        else:
            await bench.stores.records.removals.add([file.id])

    for name in ("a.md", "b.md", "c.md"):
        bench.put(name, name)
    sync = bench.made()
    await steps(sync)
    await sync.wait(note)
    await sync.close()
    assert [(row.path, row.outcome, row.reason) for row in sync.rows] == [
        ("a.md", "done", None),
        ("b.md", "failed", "no text"),
        ("c.md", "done", "deleted before it was ingested"),
    ]
    assert sync.counts == {"added": 2, "failed": 1}
    assert (seen[0], seen[-1]) == ((0, 3), (3, 3))


class Place(Protocol):
    """A place whose documents a test changes."""

    def settings(self) -> config.Source: ...
    def put(self, path: str, text: str) -> None: ...
    def delete(self, path: str) -> None: ...


class FolderPlace:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def settings(self) -> config.Source:
        return config.Source(name="notes", kind="folder", location=str(self.root), collection="docs")

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(exist_ok=True)
        (self.root / path).write_text(text)

    def delete(self, path: str) -> None:
        (self.root / path).unlink()


class BucketPlace:
    def __init__(self, remote: Remote) -> None:
        self.remote = remote

    def settings(self) -> config.Source:
        return self.remote.settings()

    def put(self, path: str, text: str) -> None:
        self.remote.put(path, text.encode())

    def delete(self, path: str) -> None:
        self.remote.delete(path)


class SitePlace:
    """Pages by their addresses, with etags; what is deleted answers 404 and is still asked for."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def settings(self) -> config.Source:
        pages = tuple(f"{self.site.url}{path}" for path in self.site.pages if path != "/robots.txt")
        options = {"delay_s": 0}
        return config.Source(
            name="notes", kind="web", location=pages, collection="docs", allow_private=True, options=options
        )

    def put(self, path: str, text: str) -> None:
        self.site.pages[f"/{path}"] = Page(text.encode(), content_type="text/plain", etag=f'"{hash(text)}"')

    def delete(self, path: str) -> None:
        self.site.pages[f"/{path}"] = Page(b"not here", status=404)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(params=["folder", "s3", "web"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    match request.param:
        case "folder":
            yield FolderPlace(tmp_path / "documents")
        case "s3":
            yield BucketPlace(Remote("s3", "s3://sync", "s3://none", **s3_options(request.getfixturevalue("s3"))))
        case _:
            with serving() as site:
                yield SitePlace(site)


async def test_a_place_is_followed_and_each_text_is_embedded_once(
    place: Place, tmp_path: Path, models_folder: Path
) -> None:
    (tmp_path / "data").mkdir()
    async with opened(tmp_path / "data", models_folder) as (app, admin, embedder), ingesting(app):

        async def run() -> dict[str, int]:
            settings = place.settings()
            source = open_source(settings, folder=tmp_path / "cache", workers=app.workers, max_bytes=10_000)
            sync = Sync(app, settings, source, admin)
            try:
                async with asyncio.timeout(60):
                    await steps(sync)
                    await sync.wait()
            finally:
                await sync.close()
                await source.close()
            return dict(sync.counts)

        async def found(question: str) -> list[str]:
            collection = await app.records.collections.named("docs", admin)
            hits = await search(app, question, Scope(collection_ids=frozenset({collection.id})))
            return [hit.passage.name for hit in hits]

        async def tidied() -> None:
            async with asyncio.timeout(30):
                while await app.records.files.untidy(limit=1) or await app.records.removals.waiting(limit=1):  # noqa: ASYNC110  # no event there
                    await asyncio.sleep(0.02)

        place.put("a.txt", "The Zephyr pump has a warranty of 27 months.\n")
        place.put("b.txt", "The valve opens at 3 bar.\n")
        place.put("twin.txt", "The valve opens at 3 bar.\n")
        assert await run() == {"added": 3}
        assert sorted(await found("pump")) == ["a.txt", "b.txt", "twin.txt"]
        assert await run() == {"unchanged": 3}
        assert len(embedder.embedded) == 2
        place.put("a.txt", "The Zephyr pump has a warranty of 36 months.\n")
        place.put("c.txt", "The filter is cleaned each spring.\n")
        assert await run() == {"added": 1, "changed": 1, "unchanged": 2}
        assert len(embedder.embedded) == 4
        place.put("sub/valves.txt", "The valve opens at 3 bar.\n")
        place.delete("b.txt")
        place.put("filter.txt", "The filter is cleaned each spring.\n")
        place.delete("c.txt")
        assert await run() == {"moved": 2, "unchanged": 2}
        print(f"{type(place).__name__}: one moved, one renamed, {len(embedder.embedded) - 4} embedded")
        await tidied()
        assert sorted(await found("valve")) == ["a.txt", "filter.txt", "twin.txt", "valves.txt"]
        place.delete("filter.txt")
        assert (await run())["deleted"] == 1
        await tidied()
        assert sorted(await found("filter")) == ["a.txt", "twin.txt", "valves.txt"]
        assert (len(embedder.embedded), await app.vectors.count()) == (4, 3)
        assert (await run())["unchanged"] == 3


def test_the_settings_in_the_docs_are_sources_that_can_be_opened(tmp_path: Path) -> None:
    kinds = set()
    for number, block in enumerate(
        re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "sources.md").read_text(), re.DOTALL)
    ):
        path = tmp_path / f"{number}.toml"
        path.write_text(block)
        for source in load_settings(toml=path).sources:
            assert check_source(source) == []
            kinds.add(source.kind)
    assert kinds >= {"folder", "s3", "fsspec", "git", "web", "feed"}
