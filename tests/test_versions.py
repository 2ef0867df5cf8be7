"""What a file says changes as a whole: new bytes, cancellation, deletion, and what a crash leaves behind."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ragline.app import App
from ragline.connectors.blobs import text_key
from ragline.errors import NotFound
from ragline.flows import runner
from ragline.flows.runner import ingesting
from ragline.pipelines import index
from ragline.pipelines.accept import accept, replace
from ragline.pipelines.ingest import Batch, ingest
from ragline.pipelines.tidy import keep_tidy, remove
from ragline.retrieval.search import search
from ragline.types import FileRecord, Scope, Status
from tests.test_ingest import TEXT, finished, found, opened, put, taken

LONG = "\n\n".join(f"# Part {n}\n\n" + f"Sentence number {n} speaks of pumps and valves. " * 12 for n in range(14))


async def texts(app: App, question: str, file: FileRecord) -> set[str]:
    hits = await search(app, question, Scope(file_ids=frozenset([file.id])))
    return {hit.passage.chunk.text for hit in hits}


async def change(app: App, file: FileRecord, text: str) -> None:
    await replace(app, file, name=file.filename, content=io.BytesIO(text.encode()))


async def test_the_old_version_answers_until_the_new_one_is_in(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _):
        async with ingesting(app):
            file = await finished(app, await put(app, admin, "a.md", TEXT))
        await change(app, file, TEXT.replace("27", "36"))
        assert [("27" in text, "36" in text) for text in await texts(app, "warranty", file)] == [(True, False)]
        async with ingesting(app):
            after = await finished(app, await app.records.files.get(file.id))
        assert [("27" in text, "36" in text) for text in await texts(app, "warranty", file)] == [(False, True)]
        while await keep_tidy(app):  # what the end of `ingesting` cut short
            pass
        assert (await app.vectors.count(), after.version != file.version) == (1, True)
        with pytest.raises(NotFound):
            await app.blobs.get(file.blob)
        assert file.version is not None
        with pytest.raises(NotFound):
            await app.blobs.get(text_key(file.id, file.version))


async def test_a_new_version_that_cannot_be_read_leaves_the_old_one(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _), ingesting(app):
        file = await finished(app, await put(app, admin, "a.txt", TEXT))
        await change(app, file, "   \n  ")
        after = await finished(app, await app.records.files.get(file.id))
        assert (after.status, after.failure, after.version) == (Status.FAILED, "permanent", file.version)
        assert await found(app, "warranty", file) == [file.id]


Crash = Callable[..., Awaitable[object]]


@pytest.mark.parametrize("moment", ["stage", "publish", "complete", "drop_stale"])
async def test_a_crash_at_any_moment_shows_the_whole_old_or_the_whole_new(
    tmp_path: Path, models_folder: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """What no handler catches."""

    async with opened(tmp_path, models_folder) as (app, admin, _):
        async with ingesting(app):
            file = await finished(app, await put(app, admin, "a.md", LONG))
        old = {passage.chunk.text for passage in await app.vectors.passages(file.id, version=str(file.version))}
        await change(app, file, LONG.replace("pumps", "motors"))

        owner = app.records.queue if moment == "complete" else app.vectors
        real: Crash = getattr(owner, moment)

        async def die(*arguments: object, **named: object) -> object:
            await real(*arguments, **named)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(type(owner), moment, lambda _, *a, **k: die(*a, **k))
            with pytest.raises(BaseExceptionGroup if moment else Killed):
                await ingest(app, Batch(await taken(app)))
        shown = await texts(app, "valves", file)
        switched = moment in ("complete", "drop_stale")
        assert shown
        assert all(("motors" in text) is switched for text in shown)
        assert shown <= old or switched

        await app.records.queue.release("test", died=True)
        async with ingesting(app):
            await finished(app, await app.records.files.get(file.id))
            while await keep_tidy(app):
                pass
        after = await app.records.files.get(file.id)
        assert await app.vectors.count() == after.chunk_count
        assert all("motors" in text for text in await texts(app, "valves", file))


async def test_a_deleted_file_leaves_nothing_and_its_twin_everything(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, embedder), ingesting(app):
        one, two = await put(app, admin, "a.md", TEXT), await put(app, admin, "another name.md", TEXT)
        one, two = await finished(app, one), await finished(app, two)
        assert len(embedder.embedded) == 1
        assert await remove(app, [one.id]) == [one.id]
        assert await found(app, "warranty", one, two) == [two.id]
        assert [key for key, _ in await app.blobs.names("files")] == [two.blob]
        assert [key for key, _ in await app.blobs.names("texts")] == [text_key(two.id, str(two.version))]
        assert await app.records.embeddings.unused() == 0
        await remove(app, [two.id])
        assert (await app.vectors.count(), await app.blobs.names("files"), await app.blobs.names("texts")) == (
            0,
            [],
            [],
        )
        assert await app.records.embeddings.find(app.embedder.model_id, embedder.embedded) == {}


async def test_a_deletion_cut_short_is_finished_later(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _):
        async with ingesting(app):
            file = await finished(app, await put(app, admin, "a.md", TEXT))
        await app.records.removals.add([file.id])  # and here the process dies
        assert await found(app, "warranty", file) == []
        assert await app.vectors.count() == 1
        while await keep_tidy(app):
            pass
        assert (await app.vectors.count(), await app.blobs.names("files")) == (0, [])


async def test_a_file_deleted_while_it_is_ingested_leaves_nothing(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _):
        file = await put(app, admin, "a.md", TEXT)
        real = index.stage

        async def stage(*arguments: object, **named: object) -> None:
            await remove(app, [file.id])
            await real(*arguments, **named)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(index, "stage", stage)
        await ingest(app, Batch(await taken(app)))
        assert await app.vectors.count() == 0
        assert await app.blobs.names("texts") == []


async def test_cancelling_ends_the_work_on_a_long_file(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "WATCH_S", 0.05)
    async with opened(tmp_path, models_folder) as (app, admin, embedder), ingesting(app):
        file = await put(app, admin, "long.md", LONG.replace("pumps", "very long words") * 30)
        with app.records.changes.watching(file.id) as changed:
            while not embedder.embedded:
                await changed.wait()
                changed.clear()
        assert await app.records.queue.cancel(file.id)
        after = await finished(app, await put(app, admin, "next.md", TEXT))
        assert after.status is Status.COMPLETED
        await asyncio.sleep(0.2)
        embedded = len(embedder.embedded)
        cancelled = await app.records.files.get(file.id)
        assert (cancelled.status, cancelled.failure) == (Status.FAILED, "cancelled")
        assert embedded < 200
        assert await found(app, "words", file) == []


async def test_a_file_that_takes_too_long_fails_alone(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "WATCH_S", 0.02)
    async with opened(tmp_path, models_folder, time_limit_s=0.05) as (app, admin, _), ingesting(app):
        file = await finished(app, await put(app, admin, "long.md", LONG * 40))
        assert (file.status, file.failure) == (Status.FAILED, "permanent")
        assert "queue.time_limit_s" in str(file.error)


async def test_a_file_is_never_stranded_by_a_watch_that_ends_while_it_stops_it(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, models_folder, time_limit_s=0.05) as (app, admin, _):
        await put(app, admin, "a.md", TEXT)
        batch = Batch(await taken(app))
        batch.jobs[0].seconds = 1.0
        reached = asyncio.Event()

        async def wait(*_: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            patch.setattr(type(app.records.queue), "fail", wait)
            watch = asyncio.create_task(runner.stop_unwanted(app, batch))
            await reached.wait()
            watch.cancel()
            await asyncio.wait([watch])
        await ingest(app, batch)
        assert (await app.records.files.get(batch.jobs[0].file.id)).status is Status.COMPLETED


async def test_a_small_file_is_done_before_a_long_one_that_came_first(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder, small_file_bytes=5000) as (app, admin, _), ingesting(app):
        long = await put(app, admin, "long.md", LONG * 12)
        while (await app.records.files.get(long.id)).stage != "embed":  # noqa: ASYNC110  # any moment inside will do
            await asyncio.sleep(0.01)
        small = await finished(app, await put(app, admin, "small.md", TEXT))
        assert small.status is Status.COMPLETED
        assert (await app.records.files.get(long.id)).status is Status.PROCESSING


async def test_progress_is_written_down_while_a_file_is_embedded(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragline.pipelines import ingest as module

    monkeypatch.setattr(module, "SHOW_S", 0.0)
    async with opened(tmp_path, models_folder) as (app, admin, _), ingesting(app):
        file = await put(app, admin, "long.md", LONG + LONG.replace("pumps", "motors"))
        seen: list[float] = []
        with app.records.changes.watching(file.id) as changed:
            while (file := await app.records.files.get(file.id)).status is not Status.COMPLETED:
                seen.append(file.progress)
                await changed.wait()
                changed.clear()
        assert seen == sorted(seen)
        assert len({progress for progress in seen if 0.4 < progress < 0.9}) >= 1


async def test_a_file_joins_its_collection_in_one_step(tmp_path: Path, models_folder: Path) -> None:
    async with opened(tmp_path, models_folder) as (app, admin, _), ingesting(app):
        made = await app.records.collections.add(user_id=admin.id, name="c", description="")
        content = io.BytesIO(TEXT.encode())
        file = await accept(app, admin, name="a.md", content=content, metadata={}, collection_id=made.id)
        await finished(app, file)
        hits = await search(app, "warranty", Scope(collection_ids=frozenset([made.id])))
        assert [hit.passage.file_id for hit in hits] == [file.id]
        with pytest.raises(NotFound, match="collection"):
            await accept(app, admin, name="a.md", content=io.BytesIO(b"x"), metadata={}, collection_id="gone")
        assert [key for key, _ in await app.blobs.names("files")] == [file.blob]
