"""Tar archives, compressed or not, and single files that are compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path, PurePath
from typing import IO, BinaryIO, cast

from ragline.errors import ParseFailed
from ragline.pipelines.parse import inner
from ragline.pipelines.readers.archives.archive import (
    Member,
    check_entries,
    checked,
    decoded_name,
    is_of_disk,
    parts_of_members,
    read_members,
    shown_name,
)
from ragline.pipelines.readers.archives.inside import Unpacking, label, temporary, write
from ragline.pipelines.reading import Part, Reading
from ragline.types import Element

_COMPRESSED: Sequence[tuple[bytes, Callable[[BinaryIO], object]]] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
_SUFFIXES = {".tgz": ".tar", ".tbz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".gz": "", ".bz2": "", ".xz": ""}
_MAGIC_AT, _MAGIC = 257, b"ustar"


def unpacked(reading: Reading) -> Iterator[Element]:
    """Yield the files of a tar archive, which may be compressed, or what a single compressed file says."""
    opener = _opener(reading.path)
    if opener is None:
        with _opened(reading, reading.path, compressed=False) as members:
            yield from read_members(reading, members)
        return
    with temporary() as path:
        _decompress(reading, opener, path)
        if _is_tar(path):
            with _opened(reading, path, compressed=True) as members:
                yield from read_members(reading, members)
        else:
            yield from inner(reading, path, _inner_name(reading.member or reading.name))


def parts(reading: Reading) -> list[Part]:
    """Return the stretches of a long tar archive that may be read by themselves; a compressed one is read at once."""
    if _opener(reading.path) is not None:
        return []
    with _opened(reading, reading.path, compressed=False) as members:
        return parts_of_members(members)


@contextmanager
def _opened(reading: Reading, path: Path, *, compressed: bool) -> Iterator[Sequence[Member]]:
    """Give the regular files of the tar archive at `path`; links, folders and devices are left out."""
    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
        members = []
        for number, entry in enumerate(_entries(reading, archive), start=1):
            check_entries(reading, number)
            if not entry.isreg():
                continue
            path_inside = decoded_name(entry.name.encode("utf-8", "surrogateescape"))
            if (name := shown_name(path_inside, number)) is not None:
                counted = not compressed or entry.issparse()
                members.append(_tar_member(archive, entry, name, counted=counted))
        yield checked(reading, members)


def _entries(reading: Reading, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the entries; where they break off before the end, it is noted."""
    whole = True
    try:
        yield from archive
        file = cast(BinaryIO, archive.fileobj)
        file.seek(archive.offset)
        whole = not file.read(tarfile.BLOCKSIZE).strip(b"\0")
    except tarfile.ReadError:
        whole = False
    if not whole:
        reading.note("is cut off or damaged; only the files before that place were read")


def _tar_member(archive: tarfile.TarFile, entry: tarfile.TarInfo, name: str, *, counted: bool) -> Member:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        try:
            source = archive.extractfile(entry)
            assert source is not None  # it is a regular file
            with source:
                yield source
        except tarfile.TarError as error:
            raise EOFError from error

    return Member(name, entry.size, opened, counted=counted)


def _decompress(reading: Reading, opener: Callable[[BinaryIO], object], path: Path) -> None:
    """Write out what is compressed. Of a file that is cut off, what there is; it is noted. Raises OverLimit."""
    unpacking = Unpacking(reading, reading.path.stat().st_size)
    try:
        with reading.path.open("rb") as file, cast(BufferedIOBase, opener(file)) as source:
            write(source.read1, path, unpacking.take)  # which gives what there is before an error
    except (*_BROKEN, OSError) as error:
        if is_of_disk(error):
            raise
        if not path.stat().st_size:
            raise ParseFailed("is damaged: nothing of it can be unpacked") from error
        reading.note("is cut off or damaged; only what comes before that place was read")


def _opener(path: Path) -> Callable[[BinaryIO], object] | None:
    with path.open("rb") as file:
        head = file.read(6)
    return next((opener for magic, opener in _COMPRESSED if head.startswith(magic)), None)


def _is_tar(path: Path) -> bool:
    with path.open("rb") as file:
        block = file.read(tarfile.BLOCKSIZE)
    if block[_MAGIC_AT:].startswith(_MAGIC):
        return True
    try:  # those of before 1988 have no magic, only a sum over their header
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _inner_name(name: str) -> str:
    """Return what the file inside a compressed one is called: its name without the suffix of the compression."""
    path = PurePath(label(name, "file").rpartition("/")[2])
    suffix = _SUFFIXES.get(path.suffix.lower())
    return path.name if suffix is None else path.name.removesuffix(path.suffix) + suffix
