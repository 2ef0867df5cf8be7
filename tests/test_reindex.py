"""Vectors of two models are never mixed, and `ragline reindex` brings all passages under the present one."""

from __future__ import annotations

import asyncio
import io
import logging
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select

from ragline.app import App, open_app
from ragline.bootstrap import first_admin
from ragline.cli import main
from ragline.config.environment import child_environment
from ragline.config.settings import Chunking, Embedder, Retrieval, Settings, Vectors
from ragline.connectors.records.facts import Made
from ragline.connectors.records.store import Records
from ragline.connectors.records.tables import facts, text_uses
from ragline.errors import SetupError, Unavailable
from ragline.pipelines.accept import accept
from ragline.pipelines.ingest import Batch, ingest
from ragline.pipelines.reindex import Progress, Reindexed, reindex
from ragline.pipelines.tidy import remove
from ragline.retrieval.search import search
from ragline.running import noted
from ragline.types import FileRecord, Scope, Status, User

from .embedders.loopback import Loopback
from .embedders.tiny import write_tiny
from .serving import served
from .test_ingest import Here
from .vectors.qdrant_double import qdrant_double

DOCUMENTS = {
    "pompe à chaleur.md": "# Pompe Zéphyr\n\nLa pompe ZP-8841 a une garantie de 27 mois et coûte 1 234,56 €.",
    "leave.md": "# Leave\n\nEmployees may carry over ten days of annual leave.",
    "heron.md": "# Birds\n\nThe heron stands in the river and waits.",
    "réunion.md": "# Réunion\n\nLe conseil se réunit chaque lundi matin.",
}
WORDS = list(DOCUMENTS.values())


@pytest.fixture
def double() -> Iterator[Loopback]:
    double = Loopback()
    with served(double) as url:
        double.url = url
        yield double


@pytest.fixture(params=["folder", "server"])
def vectors(request: pytest.FixtureRequest) -> Iterator[Vectors]:
    """The engine in this process, and a server of this test alone."""
    if request.param == "folder":
        yield Vectors()
        return
    with qdrant_double() as url:
        yield Vectors(url=url)


def settings_of(tmp_path: Path, model: str = "one", vectors: Vectors | None = None, **retrieval: float) -> Settings:
    """Settings with a small model of this name, in a folder."""
    folder = tmp_path / model
    if not folder.exists():
        write_tiny(folder, [*WORDS, *([] if model == "one" else [model])])
    return Settings(
        data_dir=tmp_path / "data",
        embedder=Embedder(kind="folder", path=folder),
        vectors=vectors or Vectors(),
        chunking=Chunking(max_tokens=64, overlap_tokens=8),
        retrieval=Retrieval.model_validate(retrieval),
    )


def served_by(double: Loopback, settings: Settings) -> Settings:
    embedder = Embedder(kind="openai", model="words", url=f"{double.url}/v1")
    return settings.model_copy(update={"embedder": embedder})


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[App, User]]:
    async with open_app(settings) as app:
        admin, _ = await first_admin(app.records, settings.auth)
        yield replace(app, workers=Here(settings.parsing)), admin


async def put(app: App, user: User, documents: Mapping[str, str]) -> list[FileRecord]:
    """Take in documents and ingest what waits."""
    for name, text in documents.items():
        await accept(app, user, name=name, content=io.BytesIO(text.encode()), metadata={})
    claim = await app.records.queue.claim("t", lane="small", small_bytes=1 << 20, limit=99, max_bytes=1 << 20)
    assert claim is not None
    await ingest(app, Batch(claim))
    return [await app.records.files.get(file.id) for file in claim.files]


async def filled(settings: Settings) -> list[FileRecord]:
    async with opened(settings) as (app, admin):
        return await put(app, admin, DOCUMENTS)


async def moved(settings: Settings, *, drop_old: bool = False) -> Reindexed:
    return await reindex(settings, drop_old=drop_old, show=lambda _: None)


async def best(app: App, question: str) -> str:
    return (await search(app, question, Scope()))[0].passage.name


async def test_another_model_is_refused_and_nothing_is_made(tmp_path: Path, vectors: Vectors) -> None:
    await filled(settings_of(tmp_path, vectors=vectors))
    with pytest.raises(SetupError) as refused:
        async with open_app(settings_of(tmp_path, "two", vectors)):
            pass
    said = str(refused.value)
    for part in ("4 files", "'one/", "'two/", "(64 dimensions)", "ragline reindex", "set embedder.* back"):
        assert part in said
    async with opened(settings_of(tmp_path, vectors=vectors)) as (app, _):
        assert await best(app, "heron river") == "heron.md"
    assert len(list((tmp_path / "data" / "vectors").glob("*"))) == (vectors.url is None)


async def test_all_passages_move_and_the_old_ones_stay_until_they_are_dropped(
    tmp_path: Path, vectors: Vectors, double: Loopback
) -> None:
    one = settings_of(tmp_path, vectors=vectors)
    before = await filled(one)
    two = served_by(double, one)
    done = await moved(two)
    assert (done.progress.files, done.progress.passages, done.progress.again) == (
        4,
        sum(_.chunk_count for _ in before),
        {},
    )
    assert [each.model_id[:4] for each in done.kept] == ["one/"]
    async with opened(two) as (app, _):
        assert [await app.records.files.get(file.id) for file in before] == before
        assert {await best(app, question) for question in ("heron river", "annual leave")} == {"heron.md", "leave.md"}
        [hit, *_] = await search(app, "ZP 8841", Scope())
        assert (hit.passage.name, hit.lexical > 0) == ("pompe à chaleur.md", True)
        census = await app.vectors.census()
        assert all(
            held[file.version or ""].published == file.chunk_count
            for file in before
            for held in [census.files[file.id]]
        )
    again = await moved(two, drop_old=True)
    assert (again.progress.files, [each.model_id[:4] for each in again.dropped]) == (0, ["one/"])
    async with opened(two) as (app, _), app.records.engine.connect() as connection:
        assert set(await connection.scalars(select(text_uses.c.model_id))) == {"openai/words/256"}
    with pytest.raises(SetupError, match="openai/words/256"):
        async with open_app(one):
            pass


async def test_what_is_embedded_is_what_ingestion_embeds(tmp_path: Path) -> None:
    one, two = settings_of(tmp_path), settings_of(tmp_path, "two")
    await filled(one)
    await moved(two)
    async with opened(two) as (app, _), app.records.engine.connect() as connection:
        rows = (await connection.execute(select(text_uses))).all()
    texts = {
        name: {(row.file_id, row.version, row.text_sha256) for row in rows if row.model_id.startswith(name)}
        for name in ("one", "two")
    }
    assert texts["one"] == texts["two"] != set()


async def test_a_run_that_is_killed_goes_on_and_embeds_nothing_twice(tmp_path: Path, double: Loopback) -> None:
    one = settings_of(tmp_path)
    before = await filled(one)
    two = served_by(double, one)
    script = (
        "import asyncio, os, signal, sys\n"
        "from ragline.config.settings import Settings\n"
        "from ragline.pipelines.reindex import reindex\n"
        "def show(progress):\n"
        "    if progress.files == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(reindex(Settings.model_validate_json(sys.argv[1]), drop_old=False, show=show))\n"
    )
    command = [sys.executable, "-c", script, two.model_dump_json()]
    killed = await asyncio.to_thread(subprocess.run, command, env=child_environment(), timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    embedded = texts_sent(double)
    assert len(embedded) == sum(file.chunk_count for file in before)
    with pytest.raises(SetupError, match="ragline reindex"):
        async with open_app(two):
            pass
    async with opened(one) as (app, _):
        assert await best(app, "heron river") == "heron.md"
    seen: list[int] = []
    done = await reindex(two, drop_old=False, show=lambda progress: seen.append(progress.files))
    assert (seen[0], done.progress.files) == (1, 4)
    assert texts_sent(double) == embedded
    async with opened(two) as (app, _):
        assert await best(app, "annual leave") == "leave.md"


def texts_sent(double: Loopback) -> list[str]:
    return [text for body in double.bodies for text in body["input"] if text != "dimension"]


async def test_what_came_and_went_between_two_runs_is_as_it_should_be(tmp_path: Path) -> None:
    one, two = settings_of(tmp_path), settings_of(tmp_path, "two")
    files = {file.filename: file for file in await filled(one)}

    def fail(progress: Progress) -> None:
        if progress.files == 4:
            raise KeyError("stopped here")

    with pytest.raises(KeyError):
        await reindex(two, drop_old=False, show=fail)
    async with opened(one) as (app, admin):
        await remove(app, [files["heron.md"].id])
        await app.records.files.rename(files["leave.md"].id, "congés.md")
        [new] = await put(app, admin, {"new.md": "# Réunion\n\nLe heron du conseil."})
        await app.records.queue.again(files["réunion.md"].id)
        await put(app, admin, {})
    done = await moved(two)
    assert done.progress.files == 4
    async with opened(two) as (app, _):
        census = await app.vectors.census()
        current = {file.id: file.version async for page in app.records.files.all_pages() for file in page}
        assert await best(app, "annual leave") == "congés.md"
        assert {file_id: set(held) for file_id, held in census.files.items()} == {id: {v} for id, v in current.items()}
        assert current.keys() == {new.id, *(file.id for name, file in files.items() if name != "heron.md")}


async def test_going_back_embeds_nothing_again(tmp_path: Path, double: Loopback) -> None:
    one = settings_of(tmp_path)
    two = served_by(double, one)
    await filled(two)
    sent = texts_sent(double)
    await moved(one)
    done = await moved(two)
    assert texts_sent(double) == sent
    assert (done.progress.files, [each.model_id[:4] for each in done.kept]) == (4, ["one/"])
    async with opened(two) as (app, _):
        assert await best(app, "heron river") == "heron.md"


async def test_a_dead_embedder_says_that_the_passages_are_of_another_model(tmp_path: Path, double: Loopback) -> None:
    own = settings_of(tmp_path)
    await filled(own)
    dead = Embedder(kind="openai", model="words", url="http://127.0.0.1:9/v1")
    with pytest.raises(Unavailable, match=r"cannot be reached.* of 4 files were made with another.* 'one/.*reindex"):
        async with open_app(own.model_copy(update={"embedder": dead})):
            pass
    await moved(served_by(double, own))
    with pytest.raises(Unavailable) as same:
        async with open_app(own.model_copy(update={"embedder": dead})):
            pass
    assert "another" not in str(same.value)


WARNED = ("4 files", "ragline reindex", "with k1=1.2 b=0.75, while the settings say k1=3 b=0", "retrieval.bm25_k1: how")


async def test_other_words_are_a_warning_and_embed_nothing(
    tmp_path: Path, vectors: Vectors, double: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    one = served_by(double, settings_of(tmp_path, vectors=vectors))
    other = one.model_copy(update={"retrieval": Retrieval(bm25_k1=3.0, bm25_b=0.0)})
    await filled(one)
    sent = texts_sent(double)

    async def score(settings: Settings) -> float:
        async with opened(settings) as (app, _):
            return (await search(app, "heron", Scope()))[0].lexical

    weight = await score(one)
    assert "ragline reindex" not in caplog.text
    assert await score(other) == pytest.approx(weight)
    [warning] = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert [part in warning for part in WARNED] == [True] * 4
    done = await moved(other)
    assert (done.progress.files, done.kept) == (4, [])
    caplog.clear()
    # tf (k1 + 1) / (tf + k1 (1 - b + b length / 110)) of one heron among 5 words: 2.2 / 1.341 before, 4 / 4 now
    assert await score(other) == pytest.approx(weight * 1.341 / 2.2, rel=0.01)
    assert "reindex" not in caplog.text
    assert [text for text in texts_sent(double) if text != "heron"] == sent
    async with opened(other) as (app, _):
        assert await best(app, "annual leave") == "leave.md"


async def test_an_installation_from_before_is_known_by_its_store(
    tmp_path: Path, vectors: Vectors, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = settings_of(tmp_path, vectors=vectors), settings_of(tmp_path, "two", vectors)
    await filled(one)
    await forgotten(one)
    with pytest.raises(SetupError, match=r"4 files.*the store 'ragline_one-.*'two/.*ragline reindex"):
        async with open_app(two):
            pass
    async with opened(one) as (app, _):
        assert await app.records.facts.made() is not None
        assert await best(app, "heron river") == "heron.md"
    assert "by an older Ragline" in caplog.text
    await forgotten(one)
    done = await moved(two)
    assert (done.progress.files, done.before and done.before.model_id) == (4, "")
    async with opened(two) as (app, _):
        assert await best(app, "heron river") == "heron.md"


async def forgotten(settings: Settings) -> None:
    """Make an installation one from before anything was remembered."""
    async with opened(settings) as (app, _), app.records.engine.begin() as connection:
        await connection.execute(delete(facts))


async def test_files_without_passages_are_read_again(tmp_path: Path) -> None:
    one, two = settings_of(tmp_path), settings_of(tmp_path, "two")
    files = await filled(one)
    async with opened(one) as (app, _):
        await app.vectors.delete_file(files[0].id)
    done = await moved(two)
    assert (done.progress.files, set(done.progress.again)) == (3, {files[0].id})
    async with opened(two) as (app, admin):
        assert (await app.records.files.get(files[0].id)).status is Status.PENDING
        await put(app, admin, {})
        assert (await app.records.files.get(files[0].id)).status is Status.COMPLETED
        assert len((await app.vectors.census()).files) == 4


async def test_an_empty_installation_may_change_its_model(tmp_path: Path) -> None:
    for model in ("one", "two"):
        async with opened(settings_of(tmp_path, model)) as (app, _):
            made = await app.records.facts.made()
            assert str(made and made.model_id).startswith(model)
    done = await moved(settings_of(tmp_path, "three"))
    assert (done.before, done.progress.files) == (None, 0)


async def test_facts_are_kept_on_every_database(records: Records) -> None:
    one, two = Made("ragline_a", "a", 3, "2 k1=1.2 b=0.75"), Made("ragline_b", "", 4, "")
    assert (await records.facts.made(), await records.facts.moving(), await records.facts.old()) == (None, None, [])
    for made in (one, two):
        await records.facts.remember(made)
        assert await records.facts.made() == made
    await records.facts.start_moving(one, two)
    assert await records.facts.moving() == (one, two)
    await records.facts.keep_old([one, two])
    assert await records.facts.old() == [one, two]
    for name in ("reindex", "reindex", "passages"):
        await records.facts.drop(name)
    assert (await records.facts.made(), await records.facts.moving()) == (None, None)


def test_the_command_says_what_it_did_and_asks_for_no_server(
    tmp_path: Path, empty_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(filled(settings_of(tmp_path)))
    settings_of(tmp_path, "two")
    for name, value in {"KIND": "folder", "PATH": str(tmp_path / "two")}.items():
        monkeypatch.setenv(f"RAGLINE_EMBEDDER__{name}", value)
    data = str(tmp_path / "data")

    def invoke(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["reindex", "--data-dir", data, *arguments])
        return done.exit_code, done.output

    async def health(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]  # ASGI
        await send({"type": "http.response.body", "body": b"{}"})  # type: ignore[operator]  # ASGI

    with served(health) as url, noted(tmp_path / "data", url=url, prefect_api_url=None, sources=()):
        code, said = invoke()
    assert (code, said) == (1, f"ragline: the server at {url} has the data folder open: stop it first, then reindex\n")
    checked = CliRunner().invoke(main, ["check", "--data-dir", data]).output
    assert "FAILS" in checked.partition("ragline reindex")[0].splitlines()[-1]
    code, said = invoke()
    assert code == 0
    assert "4 files, 4 passages under 'two/" in said
    assert "kept, and no longer asked: the passages of 'one/" in said
    code, said = invoke("--drop-old")
    assert (code, "nothing to do" in said, "deleted: the passages of 'one/" in said) == (0, True, True)
    assert CliRunner().invoke(main, ["reindex", "--data-dir", str(tmp_path / "none")]).exit_code == 1
    assert not (tmp_path / "none").exists()
