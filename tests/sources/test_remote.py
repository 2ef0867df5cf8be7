"""What fsspec opens: a real S3 server, keys that are odd, file systems without etags, and parts that fail."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ragline.config.settings import Source
from ragline.connectors.sources.protocol import Entry, Vanished
from ragline.errors import Unavailable
from tests.sources.conftest import Open, Remote, s3_options, settings


@pytest.fixture
def bucket(s3_url: str) -> Remote:
    name = f"bucket-{uuid4().hex}"
    return Remote("s3", f"s3://{name}", "s3://nowhere", **s3_options(s3_url))


def below(place: Remote, prefix: str) -> Source:
    return settings(place.kind, f"{place.url}/{prefix}", options=place.options)


async def paths(opened: Open, settings: Source) -> list[str]:
    return [entry.path for entry in await opened(settings).entries()]


async def test_marks_of_folders_are_left_out_and_odd_keys_are_not(bucket: Remote, opened: Open) -> None:
    for key in ("docs/", "docs/a.md", "docs/sub/", "docs/sub//b.md", "docs/c d+e%20f#?.md", "docs2/c.md"):
        bucket.files.call_s3("put_object", Bucket=bucket.root, Key=key, Body=b"" if key[-1] == "/" else key.encode())
    source = opened(below(bucket, "docs"))
    entries = await source.entries()
    assert [entry.path for entry in entries] == ["a.md", "c d+e%20f#?.md", "sub//b.md"]
    for entry in entries:
        into = io.BytesIO()
        await source.read(entry, into)
        assert into.getvalue().decode() == f"docs/{entry.path}"
    assert await paths(opened, below(bucket, "docs/")) == [entry.path for entry in entries]


async def test_an_entry_of_s3_has_its_etag_and_its_address(bucket: Remote, opened: Open) -> None:
    bucket.put("docs/a.md", b"hello")
    (entry,) = await opened(below(bucket, "docs")).entries()
    assert entry == Entry("a.md", tag="5d41402abc4b2a76b9719d911017c592", size_bytes=5, url=f"{bucket.url}/docs/a.md")


async def test_a_location_may_be_one_file(bucket: Remote, opened: Open) -> None:
    bucket.put("docs/a.md", b"text")
    bucket.put("docs/a.md.bak", b"other")
    source = opened(below(bucket, "docs/a.md"))
    (entry,) = await source.entries()
    into = io.BytesIO()
    await source.read(entry, into)
    assert (entry.path, into.getvalue()) == ("a.md", b"text")


async def test_a_prefix_without_keys_is_empty(bucket: Remote, opened: Open) -> None:
    assert await paths(opened, below(bucket, "docs")) == []


async def test_secrets_and_options_of_s3_are_translated(bucket: Remote, s3_url: str, opened: Open) -> None:
    bucket.put("a.md", b"text")
    options = {"endpoint_url": s3_url, "region": "eu-west-3"}
    with_secrets = settings("s3", bucket.root, options=options, secrets={"key": "a", "secret": "b"})
    assert await paths(opened, with_secrets) == ["a.md"]
    plain = {"endpoint_url": s3_url, "key": "a", "secret": "b", "client_kwargs": {"region_name": "eu-west-3"}}
    assert await paths(opened, settings("fsspec", bucket.url, options={"storage": plain})) == ["a.md"]


async def test_a_server_that_does_not_answer_is_an_error(dead_url: str, opened: Open) -> None:
    once = {"config_kwargs": {"retries": {"max_attempts": 1}}}
    source = opened(settings("s3", "bucket/docs", options={**s3_options(dead_url), "storage": once}))
    with pytest.raises(Unavailable, match=r"'notes': s3://bucket/docs: cannot be listed: EndpointConnectionError"):
        await source.entries()
    with pytest.raises(Unavailable, match=r"'notes': s3://bucket/docs: 'a\.md' cannot be read"):
        await source.read(Entry("a.md"), io.BytesIO())


async def test_a_bucket_that_goes_away_deletes_nothing(bucket: Remote, opened: Open) -> None:
    bucket.put("a.md", b"text")
    source = opened(bucket.settings())
    (entry,) = await source.entries()
    bucket.delete("a.md")
    with pytest.raises(Vanished):
        await source.read(entry, io.BytesIO())
    bucket.files.rmdir(bucket.root)
    with pytest.raises(Unavailable, match="not there any more"):
        await source.read(entry, io.BytesIO())


async def test_an_archive_is_a_source_too(tmp_path: Path, opened: Open) -> None:
    with zipfile.ZipFile(tmp_path / "docs.zip", "w") as archive:
        archive.writestr("docs/a.md", b"text")
        archive.writestr("b/c/d.txt", b"text")
    assert await paths(opened, settings("fsspec", f"zip://::{(tmp_path / 'docs.zip').as_uri()}")) == [
        "b/c/d.txt",
        "docs/a.md",
    ]


async def test_links_on_this_machine_are_passed_over(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("x")
    (tmp_path / "docs" / "loop").symlink_to(tmp_path / "docs")
    (tmp_path / "docs" / "out.md").symlink_to(tmp_path / "secret.md")
    (tmp_path / "secret.md").write_text("x")
    assert await paths(opened, settings("fsspec", (tmp_path / "docs").as_uri())) == ["a.md"]


class Walked(MemoryFileSystem):  # type: ignore[misc]  # fsspec is not typed
    """A file system that is listed folder by folder; those named `closed` cannot be."""

    protocol = "walked"
    cachable = False
    find = fsspec.AbstractFileSystem.find

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        if "closed" in path:
            raise PermissionError("closed")
        return super().ls(path, detail=detail, **kwargs)


@pytest.fixture
def walked() -> Remote:
    fsspec.register_implementation("walked", Walked, clobber=True)
    return Remote("fsspec", "walked://walked/docs", "walked://nowhere")


async def test_a_folder_that_cannot_be_listed_fails_the_whole_list(walked: Remote, opened: Open) -> None:
    walked.put("open/a.md", b"x")
    assert await paths(opened, walked.settings()) == ["open/a.md"]
    walked.put("closed/a.md", b"x")
    with pytest.raises(Unavailable, match="PermissionError: closed"):
        await opened(walked.settings()).entries()


class Meddling(io.BytesIO):
    """Changes the file with each write, so that it is never the one that was begun."""

    def __init__(self, place: Remote, times: int) -> None:
        super().__init__()
        self._place, self._left = place, times

    def write(self, data: Any, /) -> int:
        if self._left:
            self._left -= 1
            self._place.put("a.md", b"changed %d" % self._left)
        return super().write(data)


async def test_a_file_that_changes_while_it_is_read_is_read_again(bucket: Remote, opened: Open) -> None:
    bucket.put("a.md", b"text")
    into = Meddling(bucket, times=1)
    await opened(bucket.settings()).read(Entry("a.md"), into)
    assert into.getvalue() == b"changed 0"
    with pytest.raises(Unavailable, match="changes while it is read"):
        await opened(bucket.settings()).read(Entry("a.md"), Meddling(bucket, times=9))


async def test_a_password_in_the_address_is_not_in_the_message(opened: Open, dead_url: str) -> None:
    port = dead_url.rpartition(":")[2]
    source = opened(settings("fsspec", f"ftp://me:hush@127.0.0.1:{port}/docs"))
    with pytest.raises(Unavailable, match=r"ftp://127\.0\.0\.1") as raised:
        await source.entries()
    assert "hush" not in str(raised.value)
