"""What every source promises, asked of each of them."""

from __future__ import annotations

import io

import pytest

from ragline.connectors.sources.protocol import Entry, Source, Vanished
from ragline.errors import TooLarge, Unavailable
from tests.sources.conftest import Open, Place


async def content(source: Source, entry: Entry) -> bytes:
    into = io.BytesIO()
    await source.read(entry, into)
    return into.getvalue()


async def test_an_empty_place_has_no_documents(place: Place, opened: Open) -> None:
    assert await opened(place.settings()).entries() == []


async def test_documents_are_listed_by_path_and_read(place: Place, opened: Open) -> None:
    documents = {"b.md": b"# B", "a/c/d.txt": b"deep", "a.md": b"", "a/été à la mer.txt": "l'été".encode()}
    for path, text in documents.items():
        place.put(path, text)
    source = opened(place.settings())
    entries = await source.entries()
    assert [entry.path for entry in entries] == ["a.md", "a/c/d.txt", "a/été à la mer.txt", "b.md"]
    assert {entry.path: await content(source, entry) for entry in entries} == documents
    assert {entry.size_bytes for entry in entries} <= {0, 3, 4, 7, None}


async def test_include_and_exclude_are_as_in_gitignore(place: Place, opened: Open) -> None:
    for path in ("a.md", "docs/b.md", "docs/draft.md", "docs/old/c.md", "a.txt", ".hidden.md", ".git/d.md"):
        place.put(path, b"x")
    source = opened(place.settings(include=["*.md", "!draft.md"], exclude=["old/"]))
    assert [entry.path for entry in await source.entries()] == ["a.md", "docs/b.md"]


async def test_hidden_names_are_taken_where_a_pattern_names_them(place: Place, opened: Open) -> None:
    for path in ("a.md", ".notes/b.md", ".other/c.md"):
        place.put(path, b"x")
    source = opened(place.settings(include=["**", ".notes/**"]))
    assert [entry.path for entry in await source.entries()] == [".notes/b.md", "a.md"]


async def test_an_unchanged_place_has_the_same_entries(place: Place, opened: Open) -> None:
    place.put("a.md", b"x")
    first, second = opened(place.settings()), opened(place.settings(), folder="other")
    assert await first.entries() == await first.entries() == await second.entries()
    assert await first.fingerprint() == await second.fingerprint()


async def test_a_change_changes_the_tag_of_that_document_only(place: Place, opened: Open) -> None:
    place.put("a.md", b"old")
    place.put("b.md", b"same")
    source = opened(place.settings())
    before = {entry.path: entry.tag for entry in await source.entries()}
    place.put("a.md", b"new")
    after = {entry.path: entry.tag for entry in await source.entries()}
    assert None not in after.values()
    assert after["a.md"] != before["a.md"]
    assert after["b.md"] == before["b.md"]
    assert await content(source, Entry("a.md")) == b"new"


async def test_reading_tells_the_tag_of_the_list(place: Place, opened: Open) -> None:
    place.put("a.md", b"text")
    source = opened(place.settings())
    (entry,) = await source.entries()
    read = await source.read(entry, io.BytesIO())
    assert (read.tag, read.changed) == (entry.tag, True)


async def test_what_is_known_is_not_written_again(place: Place, opened: Open) -> None:
    place.put("a.md", b"text")
    source = opened(place.settings())
    (entry,) = await source.entries()
    into = io.BytesIO()
    read = await source.read(entry, into, known_tag=entry.tag)
    assert (read.tag, read.changed, into.getvalue()) == (entry.tag, False, b"")
    place.put("a.md", b"changed")
    (changed,) = await source.entries()
    read = await source.read(entry, into, known_tag=entry.tag)
    assert (read.tag, read.changed, into.getvalue()) == (changed.tag, True, b"changed")


async def test_bytes_are_written_from_where_the_file_stands(place: Place, opened: Open) -> None:
    place.put("a.md", b"text")
    into = io.BytesIO()
    into.write(b"before ")
    await opened(place.settings()).read(Entry("a.md"), into)
    assert into.getvalue() == b"before text"


async def test_a_document_that_was_deleted_has_vanished(place: Place, opened: Open) -> None:
    place.put("a.md", b"x")
    place.put("b.md", b"y")
    source = opened(place.settings())
    gone, _ = await source.entries()
    place.delete("a.md")
    assert [entry.path for entry in await source.entries()] == ["b.md"]
    with pytest.raises(Vanished, match=r"'notes'.*'a\.md'"):
        await content(source, gone)


async def test_a_document_over_the_limit_is_listed_but_not_read(place: Place, opened: Open) -> None:
    place.put("a.md", b"x" * 11)
    source = opened(place.settings(), max_bytes=10)
    (entry,) = await source.entries()
    with pytest.raises(TooLarge, match=r"'notes'.*'a\.md'.*10 bytes"):
        await content(source, entry)


async def test_a_place_that_cannot_be_reached_is_an_error_that_names_it(place: Place, opened: Open) -> None:
    source = opened(place.nowhere())
    with pytest.raises(Unavailable, match=r"'notes'.*nowhere"):
        await source.entries()


async def test_closing_twice_is_no_error(place: Place, opened: Open) -> None:
    place.put("a.md", b"x")
    source = opened(place.settings())
    await source.entries()
    await source.close()
    await source.close()
