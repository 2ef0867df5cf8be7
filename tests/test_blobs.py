"""The bytes of files: whole or not there, on disk and on another file system."""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from ragline.config.settings import Blobs as BlobSettings
from ragline.config.settings import Database
from ragline.connectors.blobs import Blobs, open_blobs
from ragline.connectors.records.store import open_records
from ragline.errors import NotFound, SetupError, TooLarge, Unavailable
from tests.s3 import new_bucket, s3_server, use_s3


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(params=["folder", "memory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    match request.param:
        case "folder":
            return open_blobs(BlobSettings(), data_dir=tmp_path)
        case "s3":
            use_s3(monkeypatch, request.getfixturevalue("s3"))
            return open_blobs(BlobSettings(url=f"s3://{new_bucket()}/here"), data_dir=tmp_path)
        case _:
            return Blobs(fsspec.filesystem("memory"), f"/{request.node.name}")


async def test_a_bucket_that_is_missing_loses_nothing_and_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: str
) -> None:
    use_s3(monkeypatch, s3)
    blobs = open_blobs(BlobSettings(url="s3://mistyped/here"), data_dir=tmp_path)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await blobs.put("a", io.BytesIO(b"x"))
        with pytest.raises(Unavailable):
            await blobs.get("a")
        with pytest.raises(Unavailable):
            async with blobs.as_path("a"):
                pass


async def test_a_folder_that_is_not_mounted_loses_nothing(tmp_path: Path) -> None:
    blobs = open_blobs(BlobSettings(), data_dir=tmp_path)
    await blobs.put("a", io.BytesIO(b"x"))
    (tmp_path / "blobs").rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        await blobs.get("a")
    with pytest.raises(Unavailable):
        async with blobs.as_path("a"):
            pass


async def test_what_failed_tells_callers_nothing_of_the_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_s3(monkeypatch, "http://127.0.0.1:9")
    blobs = open_blobs(BlobSettings(url="s3://secret-bucket/here"), data_dir=tmp_path)
    with pytest.raises(Unavailable) as raised:
        await blobs.get("a")
    assert not re.search("secret|127", str(raised.value))
    assert "secret-bucket" in caplog.text


async def test_a_server_that_is_down_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(monkeypatch, "http://127.0.0.1:9")
    blobs = open_blobs(BlobSettings(url="s3://files/here"), data_dir=tmp_path)
    with pytest.raises(Unavailable):
        await blobs.get("a")
    with pytest.raises(Unavailable):
        await blobs.put("a", io.BytesIO(b"x"))
    with pytest.raises(Unavailable):
        async with blobs.as_path("a"):
            pass


async def test_names_of_a_folder(blobs: Blobs) -> None:
    assert await blobs.names("files") == []
    for key in ("files/b", "files/a", "texts/c"):
        await blobs.put(key, io.BytesIO(b"x"))
    found = await blobs.names("files")
    assert [name for name, _ in found] == ["files/a", "files/b"]
    assert all(abs(time.time() - written) < 60 for _, written in found)


async def test_what_is_put_can_be_got(blobs: Blobs) -> None:
    content = "café".encode() * 1_000_000
    size, digest = await blobs.put("files/a", io.BytesIO(content))
    assert (size, digest) == (5_000_000, hashlib.sha256(content).hexdigest())
    assert await blobs.get("files/a") == content
    async with blobs.as_path("files/a") as path:
        assert path.read_bytes() == content


async def test_putting_again_replaces(blobs: Blobs) -> None:
    await blobs.put("a", io.BytesIO(b"old"))
    await blobs.put("a", io.BytesIO(b"new"))
    assert await blobs.get("a") == b"new"


async def test_what_is_too_large_leaves_nothing(blobs: Blobs) -> None:
    with pytest.raises(TooLarge, match="limit of 10 bytes"):
        await blobs.put("a", io.BytesIO(b"x" * 11), max_bytes=10)
    with pytest.raises(NotFound):
        await blobs.get("a")


async def test_deleting_twice_is_no_error(blobs: Blobs) -> None:
    await blobs.put("a", io.BytesIO(b"x"))
    await blobs.delete("a")
    await blobs.delete("a")
    with pytest.raises(NotFound):
        await blobs.get("a")


class Breaks(io.RawIOBase):
    """A stream that ends in an error after its first block."""

    def __init__(self) -> None:
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        self._read += 1
        if self._read > 1:
            raise ConnectionResetError
        return b"x" * 100


async def test_a_stream_that_breaks_leaves_the_old_bytes(tmp_path: Path) -> None:
    blobs = open_blobs(BlobSettings(), data_dir=tmp_path)
    await blobs.put("a", io.BytesIO(b"old"))
    with pytest.raises(Unavailable):
        await blobs.put("a", Breaks())  # type: ignore[arg-type]  # all that is read of it is read()
    assert await blobs.get("a") == b"old"
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == ["a"]


def test_an_address_that_nothing_can_open_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="nonsense://"):
        open_blobs(BlobSettings(url="nonsense://bucket"), data_dir=tmp_path)


async def test_the_data_folder_may_have_any_name(tmp_path: Path) -> None:
    """Bytes lie in the data folder itself, whatever its name means in a URL: else a backup of it has none."""
    data_dir = tmp_path / "données d'été 100 % #1 a::b?c"
    blobs = open_blobs(BlobSettings(), data_dir=data_dir)
    await blobs.put("files/a", io.BytesIO("été".encode()))
    assert (data_dir / "blobs" / "files" / "a").read_text(encoding="utf-8") == "été"
    records = await open_records(Database(), data_dir=data_dir)
    await records.close()
    assert (data_dir / "ragline.db").is_file()
