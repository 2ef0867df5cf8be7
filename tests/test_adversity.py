"""What a breaker found: files that kill, stores that fail for a moment, tidies that meet."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ragline.connectors.embedders.served import refusal
from ragline.errors import BadInput, NotFound
from ragline.flows.runner import ingesting
from ragline.pipelines.tidy import keep_tidy, remove, tidy
from ragline.retrieval.search import search
from ragline.types import Scope, Status
from tests.test_ingest import TEXT, finished, found, opened, put, taken


async def test_what_kills_its_process_is_given_up_before_it_is_taken_again(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder, max_attempts=2) as (app, admin, _):
        poison = await put(app, admin, "poison.md", TEXT)
        for _ in range(2):
            await taken(app)
            await app.records.queue.release("test", died=True)
        good = await put(app, admin, "good.md", TEXT)
        async with ingesting(app):
            assert (await finished(app, good)).status is Status.COMPLETED
        given_up = await app.records.files.get(poison.id)
        assert (given_up.status, given_up.failure, given_up.attempts) == (Status.FAILED, "exhausted", 2)


async def test_a_store_of_bytes_that_fails_for_a_moment_costs_a_try_only(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, models_folder, retry_s=0.05) as (app, admin, _):
        file = await put(app, admin, "a.md", TEXT)
        real, failures = type(app.blobs)._put, [OSError(5, "no answer"), OSError(5, "no answer")]

        def put_or_fail(self: object, *arguments: object) -> object:
            if failures:
                raise failures.pop()
            return real(self, *arguments)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(type(app.blobs), "_put", put_or_fail)
        async with ingesting(app):
            after = await finished(app, file)
        assert (after.status, after.attempts) == (Status.COMPLETED, 3)


async def test_a_text_the_embedding_server_refuses_fails_its_file_alone(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, embedder):
        real = embedder.embed_passages

        async def picky(texts: list[str]) -> object:
            if any("forbidden" in text for text in texts):
                raise refusal(400, "the server answered 400: input is forbidden")
            return await real(texts)

        embedder.embed_passages = picky  # type: ignore[method-assign,assignment]  # a server with a will of its own
        good, bad = await put(app, admin, "a.md", TEXT), await put(app, admin, "b.md", "# No\n\nThis is forbidden.\n")
        async with ingesting(app):
            good, bad = await finished(app, good), await finished(app, bad)
        assert (good.status, bad.status) == (Status.COMPLETED, Status.FAILED)
        assert "input is forbidden" in str(bad.error)


async def test_tidies_that_meet_leave_the_collections_of_the_records(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _), ingesting(app):
        file = await finished(app, await put(app, admin, "a.md", TEXT))
        one = await app.records.collections.add(user_id=admin.id, name="one", description="")
        two = await app.records.collections.add(user_id=admin.id, name="two", description="")
        real, slow = type(app.vectors).relabel, [0.3]

        async def relabel(self: object, *arguments: object, **named: object) -> None:
            await asyncio.sleep(slow.pop() if slow else 0.0)
            await real(self, *arguments, **named)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(type(app.vectors), "relabel", relabel)
        await app.records.collections.link(one.id, file.id)
        first = asyncio.create_task(tidy(app, file.id))
        await asyncio.sleep(0.05)
        await app.records.collections.unlink(one.id, [file.id])
        await app.records.collections.link(two.id, file.id)
        await asyncio.gather(first, tidy(app, file.id))
        for collection, ids in ((one, []), (two, [file.id])):
            hits = await search(app, "warranty", Scope(collection_ids=frozenset([collection.id])))
            assert [hit.passage.file_id for hit in hits] == ids


async def test_collections_follow_while_a_file_waits_for_its_next_try(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _):
        async with ingesting(app):
            file = await finished(app, await put(app, admin, "a.md", TEXT))
        made = await app.records.collections.add(user_id=admin.id, name="c", description="")
        await app.records.queue.again(file.id)
        await app.records.collections.link(made.id, file.id)
        assert await keep_tidy(app) == 1
        hits = await search(app, "warranty", Scope(collection_ids=frozenset([made.id])))
        assert [hit.passage.file_id for hit in hits] == [file.id]


async def test_one_file_that_cannot_be_deleted_keeps_no_other(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _):
        async with ingesting(app):
            stuck, other = await put(app, admin, "a.md", TEXT), await put(app, admin, "b.md", TEXT)
            await finished(app, stuck)
            await finished(app, other)
        real = type(app.blobs)._delete_path

        def delete(self: object, path: str) -> None:
            if stuck.blob in path:
                raise PermissionError(13, "locked")
            real(self, path)  # type: ignore[arg-type]  # passed on

        with monkeypatch.context() as patch:
            patch.setattr(type(app.blobs), "_delete_path", delete)
            assert await remove(app, [stuck.id]) == [stuck.id]
            assert await remove(app, [other.id]) == [other.id]
            await keep_tidy(app)
            assert [removal.file_id for removal in await app.records.removals.waiting(limit=9)] == [stuck.id]
        assert await found(app, "warranty", stuck, other) == []
        await keep_tidy(app)
        assert await app.records.removals.waiting(limit=9) == []


async def test_no_upload_passes_for_a_document_of_a_source() -> None:
    from ragline.api.files import as_metadata

    with pytest.raises(BadInput, match="ragline_source"):
        as_metadata('{"ragline_source": "handbook", "path": "a.md"}')


async def test_bytes_that_are_lost_are_named(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _):
        file = await put(app, admin, "a.md", TEXT)
        await app.blobs.delete(file.blob)
        with pytest.raises(NotFound):
            async with app.blobs.as_path(file.blob):
                pass
        async with ingesting(app):
            after = await finished(app, file)
        assert (after.status, "upload the file again" in str(after.error)) == (Status.FAILED, True)
