"""Folders: links, names, permissions, files that change while they are read, and being told of changes."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import pytest

from ragline.connectors.sources.folder import FolderSource
from ragline.connectors.sources.protocol import Entry, Source, Vanished, Watched
from ragline.errors import Unavailable
from tests.sources.conftest import Folder, Open


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "documents")


async def paths(source: object) -> list[str]:
    assert isinstance(source, FolderSource)
    return [entry.path for entry in await source.entries()]


async def test_a_link_to_a_file_inside_is_a_document_and_one_that_leads_out_is_not(
    place: Folder, opened: Open, tmp_path: Path
) -> None:
    outside = tmp_path / "secret"
    outside.mkdir()
    (outside / "key.txt").write_text("secret")
    place.put("sub/a.md", b"text")
    (place.root / "inside.md").symlink_to("sub/a.md")
    (place.root / "outside.txt").symlink_to(outside / "key.txt")
    (place.root / "outside").symlink_to(outside)
    (place.root / "loop").symlink_to(".")
    (place.root / "nothing.md").symlink_to("missing.md")
    source = opened(place.settings())
    assert await paths(source) == ["inside.md", "sub/a.md"]
    into = io.BytesIO()
    await source.read(Entry("inside.md"), into)
    assert into.getvalue() == b"text"
    for path in ("outside.txt", "outside/key.txt", "../secret/key.txt", str(outside / "key.txt")):
        with pytest.raises(Vanished):
            await source.read(Entry(path), io.BytesIO())


async def test_a_folder_that_is_itself_a_link_is_read(place: Folder, opened: Open, tmp_path: Path) -> None:
    place.put("a.md", b"text")
    (tmp_path / "link").symlink_to(place.root)
    source = opened(place.settings().model_copy(update={"location": str(tmp_path / "link")}))
    assert await paths(source) == ["a.md"]
    await source.read(Entry("a.md"), io.BytesIO())


async def test_what_is_no_file_is_passed_over(place: Folder, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put("a.md", b"x")
    os.mkfifo(place.root / "pipe.md")
    monkeypatch.chdir(place.root)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.md")
        source = opened(place.settings())
        assert await paths(source) == ["a.md"]
        for path in ("pipe.md", "a.md/x.md"):
            with pytest.raises(Vanished):
                await source.read(Entry(path), io.BytesIO())


async def test_names_that_are_not_utf8_are_left_out_and_named_in_the_log(
    place: Folder, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    place.put("a.md", b"x")
    place.put(os.fsdecode(b"\xe9t\xe9.md"), b"x")
    with caplog.at_level(logging.WARNING):
        assert await paths(opened(place.settings())) == ["a.md"]
    assert r"\udce9t\udce9.md" in caplog.text


@pytest.fixture
def readable_by_nobody(opened: Open) -> Iterator[Folder]:
    """A folder seen by a user who may not read `closed/` in it; root, who may read everything, becomes another.

    `opened` comes first: its folders are root's.
    """
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        place = Folder(Path(made) / "documents")
        place.put("a.md", b"x")
        place.put("closed/b.md", b"x")
        (place.root / "closed").chmod(0)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        yield place
        if is_root:
            os.seteuid(0)
        (place.root / "closed").chmod(0o755)


async def test_a_folder_that_cannot_be_read_in_part_is_an_error(readable_by_nobody: Folder, opened: Open) -> None:
    with pytest.raises(Unavailable, match=r"'notes'.*'closed'.*Permission denied"):
        await opened(readable_by_nobody.settings()).entries()


async def test_a_part_that_is_excluded_may_be_unreadable(readable_by_nobody: Folder, opened: Open) -> None:
    source = opened(readable_by_nobody.settings(exclude=["closed/"]))
    assert await paths(source) == ["a.md"]


async def test_a_drive_that_goes_away_deletes_nothing(place: Folder, opened: Open) -> None:
    place.put("a.md", b"x")
    source = opened(place.settings())
    (entry,) = await source.entries()
    place.root.rename(place.root.with_name("unmounted"))
    with pytest.raises(Unavailable, match="mounted"):
        await source.read(entry, io.BytesIO())
    place.root.mkdir()  # what is there while nothing is mounted on it
    with pytest.raises(Unavailable, match="in its place"):
        await source.read(entry, io.BytesIO())


class Meddling(io.BytesIO):
    """A file that changes what it is copied from with each write, `times` times."""

    def __init__(self, change: Callable[[bytes], None], times: int) -> None:
        super().__init__()
        self._change, self._left = change, times

    def write(self, data: object, /) -> int:
        assert isinstance(data, bytes)
        if self._left:
            self._left -= 1
            self._change(b"changed %d" % self._left)
        return super().write(data)


async def test_a_file_that_changes_while_it_is_read_is_read_again(place: Folder, opened: Open) -> None:
    place.put("a.md", b"text, the first and longer")
    source = opened(place.settings())
    into = Meddling(lambda content: place.put("a.md", content), times=1)
    read = await source.read(Entry("a.md"), into)
    assert into.getvalue() == b"changed 0"
    assert [read.tag] == [entry.tag for entry in await source.entries()]


async def test_a_file_that_is_replaced_while_it_is_read_is_read_again(place: Folder, opened: Open) -> None:
    place.put("a.md", b"text")

    def replace(content: bytes) -> None:
        place.put("new.md", content)
        (place.root / "new.md").rename(place.root / "a.md")

    into = Meddling(replace, times=1)
    await opened(place.settings()).read(Entry("a.md"), into)
    assert into.getvalue() == b"changed 0"


async def test_a_file_that_keeps_changing_is_tried_later(place: Folder, opened: Open) -> None:
    place.put("a.md", b"text")
    into = Meddling(lambda content: place.put("a.md", content), times=20)
    with pytest.raises(Unavailable, match="changes while it is read"):
        await opened(place.settings()).read(Entry("a.md"), into)


@asynccontextmanager
async def watching(source: Source, place: Folder) -> AsyncIterator[asyncio.Queue[None]]:
    """Give a queue with an item for each change that is told; watching has begun, and a first change was told."""
    assert isinstance(source, Watched)
    told: asyncio.Queue[None] = asyncio.Queue()

    async def watch() -> None:
        async for _ in source.watch():
            told.put_nowait(None)

    task = asyncio.create_task(watch())
    # There is no sign of when watching has begun: change something until it is seen.
    while told.empty() and not task.done():
        place.put("sub/begin.md", os.urandom(8))
        await asyncio.wait([task], timeout=0.1)
    yield told
    await source.close()
    await asyncio.wait_for(task, 20)


@pytest.mark.parametrize("poll", [pytest.param(False, id="told"), pytest.param(True, id="polled")])
async def test_a_change_is_told_until_the_source_is_closed(place: Folder, opened: Open, poll: bool) -> None:
    async with asyncio.timeout(20), watching(opened(place.settings(options={"poll": poll})), place) as told:
        assert not told.empty()


async def test_a_change_of_what_is_not_taken_is_not_told(place: Folder, opened: Open) -> None:
    (place.root / "build").mkdir()
    source = opened(place.settings(include=["*.md"], exclude=["build/"]))
    async with watching(source, place) as told:
        with suppress(TimeoutError):
            while True:  # until the first changes are all told
                await asyncio.wait_for(told.get(), 1)
        for path in ("a.txt", "build/a.md", ".a.md"):
            place.put(path, b"x")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(told.get(), 0.8)


async def test_watching_a_folder_that_is_not_there_is_an_error(place: Folder, opened: Open) -> None:
    source = opened(place.nowhere())
    assert isinstance(source, FolderSource)
    async with aclosing(source.watch()) as changes:
        with pytest.raises(Unavailable, match=r"'notes'.*nowhere"):
            await anext(changes)
