"""The bytes of files: whole or not there, on disk and on another file system."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import fsspec
import pytest

from ragline.config.settings import Blobs as BlobSettings
from ragline.connectors.blobs import Blobs, open_blobs
from ragline.errors import NotFound, SetupError, TooLarge, Unavailable


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return open_blobs(BlobSettings(), data_dir=tmp_path)
    return Blobs(fsspec.filesystem("memory"), f"/{request.node.name}")


async def test_what_is_put_can_be_got(blobs: Blobs) -> None:
    content = "café".encode() * 1_000_000
    size, digest = await blobs.put("files/a", io.BytesIO(content))
    assert (size, digest) == (5_000_000, hashlib.sha256(content).hexdigest())
    assert await blobs.get("files/a") == content
    with blobs.as_path("files/a") as path:
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
