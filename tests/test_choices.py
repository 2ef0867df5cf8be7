"""Options of collections in the records and in Python: which collection a file is at home in, what is in force."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from ragline import open_ragline
from ragline.config.settings import Chunking, Parsing, Settings
from ragline.connectors.records.store import Records
from ragline.connectors.records.tables import files, memberships
from ragline.errors import BadInput
from ragline.pipelines.choices import Choices, chosen, in_force
from ragline.types import Status, User

QA = {"chunking": {"profile": "qa"}}


async def added(records: Records, owner: User, name: str, collection_id: str | None = None) -> str:
    made = await records.files.add(
        file_id=name.ljust(36, "0"),
        user_id=owner.id,
        filename=name,
        content_type="text/plain",
        size_bytes=1,
        sha256="0" * 64,
        blob=f"files/{name}",
        metadata={},
        collection_id=collection_id,
    )
    return made.id


async def put(records: Records, collection_id: str, file_id: str, at: int) -> None:
    await records.collections.link(collection_id, file_id)
    member = memberships.update().where(memberships.c.collection_id == collection_id, memberships.c.file_id == file_id)
    async with records.engine.begin() as connection:
        await connection.execute(member.values(created_at=at))


async def test_the_home_of_a_file_is_the_collection_it_was_put_into_first(records: Records) -> None:
    ada = await records.users.add(name="Ada", email="ada@example.org", role="user", password_hash=None)
    shelves = [await records.collections.add(user_id=ada.id, name=str(n), description="", options=QA) for n in range(3)]
    one, two, three = sorted(shelf.id for shelf in shelves)
    first, tied, alone = [await added(records, ada, name) for name in ("first", "tied", "alone")]
    for shelf, file_id, at in ((one, first, 9), (two, first, 5), (two, tied, 7), (three, tied, 7), (one, tied, 8)):
        await put(records, shelf, file_id, at)
    homes = await records.members.homes([first, tied, alone])
    assert {file_id: home.collection_id for file_id, home in homes.items()} == {first: two, tied: two}
    assert {str(home.options) for home in homes.values()} == {str(QA)}
    assert [sorted(await records.members.at_home(shelf)) for shelf in (one, two, three)] == [
        [],
        sorted([first, tied]),
        [],
    ]
    await records.collections.unlink(two, [first, tied])
    assert await records.members.at_home(three) == [tied]
    await records.collections.choose(one, {})
    assert (await records.members.homes([first]))[first].options == {}


async def test_what_is_read_again_is_what_was_read_and_what_failed(records: Records) -> None:
    ada = await records.users.add(name="Ada", email="ada@example.org", role="user", password_hash=None)
    states: dict[str, dict[str, object]] = {
        "done": {"status": Status.COMPLETED.value, "stage": "done", "version": "v"},
        "failed": {"status": Status.FAILED.value, "failure": "permanent"},
        "worked-on": {"status": Status.PROCESSING.value, "stage": "parse", "lease": "a/b"},
        "stopped": {"status": Status.FAILED.value, "failure": "cancelled"},
        "waiting": {},
        "stored": {"stage": "stored"},
    }
    ids = {name: await added(records, ada, name) for name in states}
    async with records.engine.begin() as connection:
        for name, values in states.items():
            if values:
                await connection.execute(update(files).where(files.c.id == ids[name]).values(**values))
    assert await records.queue.read_again(list(ids.values())) == 3
    now = {name: await records.files.get(file_id) for name, file_id in ids.items()}
    queued = {name for name, file in now.items() if (file.status, file.stage) == (Status.PENDING, "queued")}
    assert queued == {"done", "failed", "worked-on", "waiting"}
    assert (now["done"].version, now["stored"].stage, now["stopped"].status) == ("v", "stored", Status.FAILED)
    assert await records.queue.advance("a/b", "chunk", {ids["worked-on"]: 0.5}) == set()


def test_what_is_chosen_is_in_force_and_the_rest_is_as_in_the_settings() -> None:
    settings = Settings(parsing=Parsing(engine="fast", memory_mb=512), chunking=Chunking(max_tokens=200))
    stored = chosen({"parsing": {"ocr": False, "engine": None}, "chunking": {"overlap_tokens": 8}}).stored()
    assert stored == {"parsing": {"ocr": False}, "chunking": {"overlap_tokens": 8}}
    parsing, chunking = in_force(settings, stored)
    assert (parsing.engine, parsing.ocr, parsing.memory_mb) == ("fast", False, 512)
    assert (chunking.max_tokens, chunking.overlap_tokens) == (200, 8)
    assert in_force(settings, Choices().stored()) == (settings.parsing, settings.chunking)


async def test_options_in_python_cut_the_files_of_a_collection(tmp_path: Path, models_folder: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models_folder)
    faq = "".join(f"## Combien de pompes dans la ville {n} ?\n\nIl y en a {n}.\n\n" for n in range(1, 5))
    (tmp_path / "faq.md").write_text(faq, encoding="utf-8")
    async with open_ragline(tmp_path / "data", **{"prefect.enabled": False}) as rag:
        made = await rag.collection("été", options=QA)
        assert (made.options, (await rag.collection("été")).options) == (QA, QA)
        [file] = await rag.ingest(tmp_path / "faq.md", collection="été")
        assert file.chunk_count == 4
        with pytest.raises(BadInput, match=r"chunking.size: Extra inputs are not permitted"):
            await rag.collection("été", options={"chunking": {"size": 9}})
        assert (await rag.collection("été", options={})).options == {}
