"""An audit: what stores say differently is named once, mended, and not found again."""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from sqlalchemy import update

from ragline.app import App
from ragline.connectors.blobs import new_blob_key, text_key
from ragline.connectors.records.tables import files
from ragline.connectors.vectors.protocol import Point
from ragline.flows.runner import ingesting
from ragline.pipelines.audit import GRACE_S, Finding, Report, audit
from ragline.pipelines.tidy import keep_tidy, remove
from ragline.types import Chunk, FileRecord, Passage, SparseVector, Status, User

from .test_ingest import TEXT, finished, found, opened, put, taken

R = TypeVar("R")

Installation = tuple[App, User, FileRecord]


@pytest.fixture
async def empty(tmp_path: Path, models_folder: Path) -> AsyncIterator[tuple[App, User]]:
    """No file, and nobody who works."""
    async with opened(tmp_path, models_folder) as (app, admin, _):
        yield app, admin


@pytest.fixture
async def installation(empty: tuple[App, User]) -> Installation:
    """One file that was ingested, and nobody who works."""
    app, admin = empty
    file = await put(app, admin, "a.md", TEXT)
    await work(app)
    return app, admin, await app.records.files.get(file.id)


async def work(app: App) -> None:
    """Ingest what waits, until nothing does."""
    async with ingesting(app):
        for file in [file async for page in app.records.files.all_pages() for file in page]:
            await finished(app, file)
    while await keep_tidy(app):
        pass


def stray(file_id: str, version: str) -> Point:
    chunk = Chunk(index=0, text="stray", start=0, end=5, heading="", page=None, language="en")
    passage = Passage(str(uuid.uuid4()), file_id, version, "u", "n", chunk)
    return Point(passage, (), [1.0] + [0.0] * 383, SparseVector((), ()))


@asynccontextmanager
async def mended(app: App, *expected: Finding, grace_s: float = GRACE_S) -> AsyncIterator[Report]:
    """The audit finds exactly this and touches nothing; the repair does what `expected` says; then nothing is left."""
    for _ in range(2):
        report = await audit(app, repair=False, grace_s=grace_s)
        assert [(each.kind, each.id, each.repaired) for each in report.findings] == [
            (each.kind, each.id, False) for each in expected
        ]
    report = await audit(app, repair=True, grace_s=grace_s)
    assert [(each.kind, each.id, each.repaired) for each in report.findings] == [
        (each.kind, each.id, each.repaired) for each in expected
    ]
    yield report
    assert (await audit(app, repair=False, grace_s=grace_s)).findings == ()
    await work(app)
    assert (await audit(app, repair=False, grace_s=grace_s)).findings == ()


async def test_a_healthy_installation_has_no_findings(installation: Installation) -> None:
    app, _, file = installation
    report = await audit(app, repair=True, grace_s=0)
    assert report == Report(findings=(), files=1, chunks=1, points=1, blobs=1)
    assert file.chunk_count == 1


async def test_an_empty_installation_has_no_findings(empty: tuple[App, User]) -> None:
    assert await audit(empty[0], repair=True, grace_s=0) == Report(findings=(), files=0, chunks=0, points=0, blobs=0)


async def test_points_of_a_file_that_nobody_knows_are_deleted(installation: Installation) -> None:
    app, _, file = installation
    await app.vectors.stage([stray("unknown", "v1"), stray("unknown", "v1")], version="v1")
    async with mended(app, Finding("ghost", "unknown", "", repaired=True)) as report:
        assert report.findings[0].detail == "2 points of a file that the records do not know"
        assert await app.vectors.count() == 1
        assert await found(app, "warranty", file) == [file.id]


async def test_points_of_other_versions_are_deleted(installation: Installation) -> None:
    app, _, file = installation
    for version in ("staged", "published"):
        await app.vectors.stage([stray(file.id, version)], version=version)
    await app.vectors.publish(file.id, version="published")
    assert {each.version for each in (await audit(app, repair=False)).findings} == {"staged", "published"}
    async with mended(app, *[Finding("stale", file.id, "", repaired=True)] * 2):
        assert await app.vectors.count() == 1
        assert await found(app, "warranty", file) == [file.id]


async def test_lost_points_are_made_again(installation: Installation) -> None:
    app, _, file = installation
    await app.vectors.delete_file(file.id)
    async with mended(app, Finding("incomplete", file.id, "", repaired=True)) as report:
        assert report.findings[0].detail == "0 of 1 passages can be found"
        assert (await app.records.files.get(file.id)).status is Status.PENDING
    assert await found(app, "warranty", file) == [file.id]


async def test_points_too_many_are_made_again(installation: Installation) -> None:
    app, _, file = installation
    assert file.version
    await app.vectors.stage([stray(file.id, file.version)], version=file.version)
    await app.vectors.publish(file.id, version=file.version)
    report = await audit(app, repair=True)
    assert ("incomplete", True) in {(each.kind, each.repaired) for each in report.findings}
    await work(app)
    assert (await audit(app, repair=False)).findings == ()
    assert await app.vectors.count() == 1


async def test_a_lost_text_is_made_again(installation: Installation) -> None:
    app, _, file = installation
    await app.blobs.delete(text_key(file.id, file.version or ""))
    async with mended(app, Finding("text_missing", file.id, "", repaired=True)):
        assert await found(app, "warranty", file) == [file.id]
    version = (await app.records.files.get(file.id)).version
    assert b"27 months" in await app.blobs.get(text_key(file.id, version or ""))


async def test_lost_bytes_of_a_file_that_answers_are_named_and_it_goes_on(installation: Installation) -> None:
    app, _, file = installation
    await app.blobs.delete(file.blob)
    await app.blobs.delete(text_key(file.id, file.version or ""))
    for repair in (False, True, True):
        report = await audit(app, repair=repair)
        assert [(each.kind, each.repaired) for each in report.findings] == [
            ("blob_missing", False),
            ("text_missing", False),
        ]
        assert "upload it again" in report.findings[0].detail
    assert await found(app, "warranty", file) == [file.id]


async def test_a_file_whose_bytes_and_points_are_lost_fails_and_says_so(installation: Installation) -> None:
    app, _, file = installation
    await app.blobs.delete(file.blob)
    await app.vectors.delete_file(file.id)
    async with mended(app, Finding("lost", file.id, "", repaired=True), grace_s=0):
        now = await app.records.files.get(file.id)
        assert (now.status, now.failure, now.version, now.chunk_count) == (Status.FAILED, "permanent", None, 0)
        assert "upload it again" in str(now.error)


async def test_new_bytes_that_are_lost_leave_the_old_version_answering(installation: Installation) -> None:
    app, _, file = installation
    await app.records.files.replace(file.id, content_type="text/markdown", size_bytes=1, sha256="0", blob="files/gone")
    async with mended(app, Finding("lost", file.id, "", repaired=True)):
        now = await app.records.files.get(file.id)
        assert (now.status, now.version) == (Status.FAILED, file.version)
        assert await found(app, "warranty", file) == [file.id]


async def test_bytes_and_texts_without_a_row_are_deleted_when_they_are_old(installation: Installation) -> None:
    app, _, file = installation
    names = [new_blob_key(str(uuid.uuid4())), text_key(file.id, "old"), text_key(str(uuid.uuid4()), "v1")]
    for name in names:
        await app.blobs.put(name, io.BytesIO(b"orphan"))
    assert (await audit(app, repair=True)).findings == ()
    orphans = [Finding("orphan_bytes", name, "", repaired=True) for name in [names[0], *sorted(names[1:])]]
    async with mended(app, *orphans, grace_s=-1):
        left = [name for folder in ("files", "texts") for name, _ in await app.blobs.names(folder)]
        assert left == [file.blob, text_key(file.id, file.version or "")]


async def test_passages_that_show_other_labels_than_the_records_follow_them(installation: Installation) -> None:
    app, admin, file = installation
    collection = (await app.records.collections.add(user_id=admin.id, name="c", description="")).id
    await app.records.collections.link(collection, file.id)
    await work(app)
    for name, shown in (("a.md", []), ("a.md", [collection, "other"]), ("b.md", [collection])):
        await app.vectors.relabel(file.id, name=name, collection_ids=shown)
        async with mended(app, Finding("label", file.id, "", repaired=True)):
            pass
        assert (await app.vectors.census()).collections == {collection: 1}


async def test_cached_vectors_that_nothing_needs_are_deleted(installation: Installation) -> None:
    app, _, __ = installation
    await app.records.embeddings.keep(app.embedder.model_id, {"nobody's": np.ones(384, dtype=np.float32)})
    async with mended(app, Finding("cache", "embeddings", "", repaired=True)) as report:
        assert report.findings[0].detail == "1 cached vectors that no file needs"


async def test_a_removal_that_was_cut_short_is_finished(installation: Installation) -> None:
    app, _, file = installation
    await app.records.removals.add([file.id])
    async with mended(app, Finding("removal", file.id, "", repaired=True), grace_s=0) as report:
        assert report.points == 1
        assert await app.vectors.count() == 0
        assert await app.blobs.names("files") == []


async def test_a_removal_somebody_may_still_write_for_is_not_over(installation: Installation) -> None:
    app, admin, _ = installation
    other = await put(app, admin, "b.md", TEXT)
    await taken(app)
    await app.records.removals.add([other.id])
    report = await audit(app, repair=True, grace_s=0)
    assert [(each.kind, each.id, each.repaired) for each in report.findings] == [("removal", other.id, False)]
    assert [removal.file_id for removal in await app.records.removals.waiting(limit=9)] == [other.id]


async def test_a_lease_that_ran_out_is_named_and_left_to_the_queue(installation: Installation) -> None:
    app, admin, _ = installation
    other = await put(app, admin, "b.md", TEXT)
    await taken(app)
    async with app.records.engine.begin() as connection:
        await connection.execute(update(files).where(files.c.id == other.id).values(lease_until=time.time() - 1))
    report = await audit(app, repair=True)
    assert [(each.kind, each.id, each.repaired) for each in report.findings] == [("lease", other.id, False)]
    await work(app)
    assert (await audit(app, repair=False)).findings == ()


async def test_files_that_are_being_worked_on_are_never_touched(installation: Installation) -> None:
    app, _, file = installation
    await app.records.queue.again(file.id)
    claim = await taken(app)
    await app.vectors.stage([stray(file.id, "next")], version="next")
    await app.blobs.put(text_key(file.id, "next"), io.BytesIO(b"next"))
    await app.blobs.delete(file.blob)
    assert (await audit(app, repair=True, grace_s=-1)).findings == ()
    assert await app.records.queue.held(claim.lease) == {file.id}
    assert await app.vectors.count() == 2


async def test_audits_beside_ingestion_and_deletion_find_nothing_and_do_no_harm(empty: tuple[App, User]) -> None:
    app, admin = empty
    async with ingesting(app):
        added = [await put(app, admin, f"{number}.md", f"{TEXT} {number}") for number in range(12)]
        finishing = [asyncio.create_task(finished(app, file)) for file in added]
        while not all(task.done() for task in finishing):
            assert await broken(app) == []
        assert {(task.result().status, task.result().attempts) for task in finishing} == {(Status.COMPLETED, 1)}
        deleting = asyncio.create_task(remove(app, [file.id for file in added[:6]]))
        while not deleting.done():
            assert await broken(app) == []
    report = await audit(app, repair=False, grace_s=-1)
    assert report == Report(findings=(), files=6, chunks=6, points=6, blobs=6)


async def broken(app: App) -> list[Finding]:
    """Audit with repair, and return what it found but for the removals that are under way."""
    report = await audit(app, repair=True)
    return [finding for finding in report.findings if finding.kind != "removal"]
