"""Directories of a collection, its files by page, and what a manifest differs in."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragline.api.manifest import compare
from ragline.api.wire_knowledge import ManifestEntry
from ragline.config.settings import Database
from ragline.connectors.records.directories import MAX_DEPTH, Directory, paths_of
from ragline.connectors.records.members import TOP, Stored
from ragline.connectors.records.store import Records, open_records
from ragline.errors import Conflict, Invalid, NotFound
from ragline.types import CollectionRecord, User


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    opened = await open_records(Database(), data_dir=tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def ada(records: Records) -> User:
    return await records.users.add(name="ada", email="ada@example.org", role="user", password_hash=None)


@pytest.fixture
async def shelf(records: Records, ada: User) -> CollectionRecord:
    return await records.collections.add(user_id=ada.id, name="shelf", description="")


async def put(records: Records, shelf: CollectionRecord, name: str, directory_id: str | None = None) -> str:
    file = await records.files.add(
        file_id=name,
        user_id=shelf.user_id,
        filename=name,
        content_type="text/plain",
        size_bytes=1,
        sha256="0" * 64,
        blob=f"files/{name}",
        metadata={"file_hash": f"git-{name}"},
        collection_id=shelf.id,
        directory_id=directory_id,
    )
    return file.id


async def names(
    records: Records, shelf: CollectionRecord, directory_id: str | None = None, query: str = ""
) -> set[str]:
    found, total = await records.members.page(shelf.id, directory_id=directory_id, query=query, limit=100, offset=0)
    assert total == len(found)
    return {placed.file.filename for placed in found}


async def test_the_same_name_again_returns_the_same_directory(records: Records, shelf: CollectionRecord) -> None:
    made = await asyncio.gather(*(records.directories.make(shelf.id, "été") for _ in range(5)))
    decomposed = await records.directories.make(shelf.id, unicodedata.normalize("NFD", "été"))
    below = await records.directories.make(shelf.id, "été", made[0].id)
    assert {each.id for each in made} == {decomposed.id}
    assert below.parent_id == decomposed.id
    assert sorted(paths_of(await records.directories.all(shelf.id)).values()) == ["été", "été/été"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "x" * 256])
async def test_a_name_that_cannot_be_is_invalid(records: Records, shelf: CollectionRecord, name: str) -> None:
    with pytest.raises(Invalid):
        await records.directories.make(shelf.id, name)
    assert await records.directories.all(shelf.id) == []


async def test_directories_end_at_the_greatest_depth(records: Records, shelf: CollectionRecord) -> None:
    parent = None
    for level in range(MAX_DEPTH):
        parent = (await records.directories.make(shelf.id, f"level {level}", parent)).id
    with pytest.raises(Invalid, match="50 levels"):
        await records.directories.make(shelf.id, "too deep", parent)
    assert parent is not None
    trail = (await records.directories.trails(shelf.id, [parent, "absent"]))[parent]
    assert [each.name for each in trail] == [f"level {level}" for level in range(MAX_DEPTH)]


async def test_a_directory_of_another_collection_is_not_found(
    records: Records, shelf: CollectionRecord, ada: User
) -> None:
    other = await records.collections.add(user_id=ada.id, name="other", description="")
    there = await records.directories.make(other.id, "there")
    for attempt in (
        records.directories.get(shelf.id, there.id),
        records.directories.make(shelf.id, "here", there.id),
        records.directories.make("absent", "here"),
        records.directories.rename(shelf.id, there.id, "here"),
        records.directories.delete(shelf.id, there.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await records.directories.trails(shelf.id, [there.id]) == {}
    assert await records.directories.files_below(shelf.id, there.id) == []
    assert await records.directories.delete_empty(shelf.id, [there.id]) == []
    assert [each.name for each in await records.directories.all(other.id)] == ["there"]


async def test_a_directory_takes_any_name_that_is_free_beside_it(records: Records, shelf: CollectionRecord) -> None:
    docs = await records.directories.make(shelf.id, "docs")
    await records.directories.make(shelf.id, "notes")
    with pytest.raises(Conflict, match="notes"):
        await records.directories.rename(shelf.id, docs.id, "notes")
    assert (await records.directories.rename(shelf.id, docs.id, "docs")).name == "docs"
    assert (await records.directories.rename(shelf.id, docs.id, "books")).name == "books"


async def test_files_move_up_when_their_directory_is_deleted(records: Records, shelf: CollectionRecord) -> None:
    top = await records.directories.make(shelf.id, "top")
    middle = await records.directories.make(shelf.id, "middle", top.id)
    below = await records.directories.make(shelf.id, "below", middle.id)
    await put(records, shelf, "a", middle.id)
    await put(records, shelf, "b", below.id)
    assert sorted(await records.directories.files_below(shelf.id, top.id)) == ["a", "b"]
    await records.directories.delete(shelf.id, middle.id)
    assert [each.name for each in await records.directories.all(shelf.id)] == ["top"]
    assert await names(records, shelf, top.id) == {"a", "b"}
    await records.directories.clear(shelf.id)
    assert await names(records, shelf, TOP) == {"a", "b"}


async def test_only_directories_in_which_nothing_is_left_are_cleaned_up(
    records: Records, shelf: CollectionRecord
) -> None:
    ids: dict[str, str] = {}
    for path in ("used", "used/empty", "a", "a/b", "a/b/c", "d", "d/kept"):
        above, _, name = path.rpartition("/")
        ids[path] = (await records.directories.make(shelf.id, name, ids.get(above))).id
    await put(records, shelf, "f", ids["used"])
    asked = [ids[path] for path in ids if path != "d/kept"]
    gone = await records.directories.delete_empty(shelf.id, [*asked, "absent"])
    assert gone.index(ids["a/b/c"]) < gone.index(ids["a/b"]) < gone.index(ids["a"])
    assert sorted(paths_of(await records.directories.all(shelf.id)).values()) == ["d", "d/kept", "used"]


async def test_files_are_found_by_place_and_by_name_without_case_and_accents(
    records: Records, shelf: CollectionRecord
) -> None:
    docs = await records.directories.make(shelf.id, "docs")
    await put(records, shelf, "Été 2024.txt")
    await put(records, shelf, "ete.txt", docs.id)
    await put(records, shelf, "hiver.txt", docs.id)
    assert await names(records, shelf, query="ÉTÉ") == {"Été 2024.txt", "ete.txt"}
    assert await names(records, shelf, docs.id, query="été") == {"ete.txt"}
    assert await names(records, shelf, TOP) == {"Été 2024.txt"}
    assert await names(records, shelf, query="printemps") == set()


@pytest.mark.parametrize("query", ["", "FILE"])
async def test_pages_give_each_file_once(records: Records, shelf: CollectionRecord, query: str) -> None:
    for number in range(7):
        await put(records, shelf, f"file-{number}")
    pages = [await records.members.page(shelf.id, query=query, limit=3, offset=start) for start in (0, 3, 6, 9)]
    assert [len(found) for found, _ in pages] == [3, 3, 1, 0]
    assert [total for _, total in pages] == [7] * 4
    assert len({placed.file.id for found, _ in pages for placed in found}) == 7


async def test_adding_files_is_all_or_nothing(records: Records, shelf: CollectionRecord, ada: User) -> None:
    other = await records.collections.add(user_id=ada.id, name="other", description="")
    ids = [await put(records, shelf, f"f{number}") for number in range(3)]
    with pytest.raises(NotFound):
        await records.collections.link_all(other.id, [*ids, "absent"])
    assert await names(records, other) == set()
    await asyncio.gather(*(records.collections.link_all(other.id, [*ids, ids[0]]) for _ in range(4)))
    assert await names(records, other) == {"f0", "f1", "f2"}
    with pytest.raises(NotFound):
        await records.collections.link_all("absent", ids)


async def test_files_that_leave_a_collection_stay_and_their_passages_are_to_follow(
    records: Records, shelf: CollectionRecord
) -> None:
    ids = [await put(records, shelf, f"f{number}") for number in range(3)]
    assert await records.collections.unlink(shelf.id, [ids[0], "absent"]) == [ids[0]]
    await records.collections.empty(shelf.id)
    assert await names(records, shelf) == set()
    assert set(await records.files.named(ids)) == set(ids)
    assert sorted(await records.files.untidy(limit=10)) == ids


async def test_a_sync_reads_what_the_client_said_of_each_file(records: Records, shelf: CollectionRecord) -> None:
    docs = await records.directories.make(shelf.id, "docs")
    await put(records, shelf, "a.txt", docs.id)
    assert await records.members.stored(shelf.id) == [
        Stored("a.txt", docs.id, "a.txt", "0" * 64, "git-a.txt", failed=False)
    ]


def entry(path: str, filename: str, checksum: str) -> ManifestEntry:
    return {"path": path, "filename": filename, "checksum": checksum, "size": 1}


def at(directory_id: str | None, filename: str, sha256: str, *, failed: bool = False, said: str = "") -> Stored:
    return Stored(f"{directory_id}/{filename}/{sha256}", directory_id, filename, sha256, said or None, failed)


DIRS = [Directory("d1", "c", None, "docs", 0, 0), Directory("d2", "c", "d1", "été", 0, 0)]


def test_a_manifest_is_compared_by_place_and_content() -> None:
    manifest = [
        entry("", "same.md", "1"),
        entry("docs", "by-its-own-hash.md", "git"),
        entry("docs/été", "changed.md", "new"),
        entry("docs", "moved.md", "1"),
        entry("new/deep", "added.md", "1"),
    ]
    stored = [
        at(None, "same.md", "1"),
        at("d1", "by-its-own-hash.md", "1", said="git"),
        at("d2", "changed.md", "old"),
        at("d2", "moved.md", "1"),
    ]
    assert compare(manifest, DIRS, stored) == {
        "added": [entry("docs", "moved.md", "1"), entry("new/deep", "added.md", "1")],
        "modified": [{**entry("docs/été", "changed.md", "new"), "stale_file_id": "d2/changed.md/old"}],
        "deleted": [{"file_id": "d2/moved.md/1", "filename": "moved.md", "path": "docs/été"}],
        "mkdir": ["new", "new/deep"],
        "rmdir": [],
        "unmodified_count": 2,
        "directory_map": {"docs": "d1", "docs/été": "d2"},
    }


def test_directories_that_the_manifest_does_not_have_go_deepest_first() -> None:
    found = compare([entry("", "a", "1")], DIRS, [at("d2", "b", "1")])
    assert (found["rmdir"], [each["filename"] for each in found["deleted"]]) == (["d2", "d1"], ["b"])


def test_of_files_with_one_name_the_one_that_is_the_same_stays_rather_than_a_failed_one() -> None:
    stored = [at(None, "a", "1"), at(None, "a", "2", failed=True, said="1"), at(None, "a", "3")]
    found = compare([entry("", "a", "1")], [], stored)
    assert (found["unmodified_count"], found["modified"], found["added"]) == (1, [], [])
    assert [each["file_id"] for each in found["deleted"]] == ["None/a/2", "None/a/3"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(unicodedata.normalize("NFD", "Élan.md"), "Élan.md", id="nfd"),
        pytest.param("x" * 240 + ".md", "x" * 197 + ".md", id="long"),
        pytest.param('a "quoted" name.md', "a %22quoted%22 name.md", id="quoted"),
        pytest.param("dir\\name.md", "name.md", id="backslash"),
        pytest.param(" spaces .md ", "spaces .md", id="spaces"),
    ],
)
def test_names_are_compared_as_an_upload_leaves_them(sent: str, kept: str) -> None:
    found = compare([entry("", sent, "1")], [], [at(None, kept, "1")])
    assert (found["unmodified_count"], found["added"], found["deleted"]) == (1, [], [])


def test_a_path_is_answered_as_it_was_sent() -> None:
    decomposed = unicodedata.normalize("NFD", "docs/été")
    found = compare([entry(decomposed, "a", "1"), entry(decomposed + "/new", "b", "1")], DIRS, [])
    assert found["directory_map"] == {"docs": "d1", "docs/été": "d2", decomposed: "d2"}
    assert (found["mkdir"], found["rmdir"]) == ([decomposed + "/new"], [])


@pytest.mark.parametrize("path", ["/docs", "docs/", "a//b", "a/../b", "x" * 256, "/".join("a" * 51)])
def test_a_path_that_no_directory_can_have_is_invalid(path: str) -> None:
    with pytest.raises(Invalid, match="path"):
        compare([entry(path, "a", "1")], [], [])


@pytest.mark.parametrize("names", ["all different", "all the same"])
def test_a_hundred_thousand_files_are_compared_in_time(names: str) -> None:
    def name(number: int) -> str:
        return "same.md" if names == "all the same" else f"file-{number}.md"

    stored = [at("d1", name(number), f"{number}") for number in range(100_000)]
    manifest = [entry("docs", name(number), f"{number + 50_000}") for number in range(100_000)]
    started = time.process_time()
    found = compare(manifest, DIRS, stored)
    assert time.process_time() - started < 5  # 0.5 where nothing else runs
    assert len(found["added"]) + len(found["modified"]) + found["unmodified_count"] == 100_000
