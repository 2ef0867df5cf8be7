"""Zip archives, with passwords and without."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import IO, Any

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.readers.archives.archive import (
    Locked,
    Member,
    check_entries,
    checked,
    decoded_name,
    parts_of_members,
    read_members,
    shown_name,
)
from ragline.pipelines.reading import NEEDS_PASSWORD, Part, Reading
from ragline.types import Element

_END = struct.Struct("<4sHH")
_LOCAL_HEADER_BYTES = 30
_MAX_END_BYTES = 22 + (1 << 16)
_UNICODE_PATH = 0x7075
_ENCRYPTED, _UTF8 = 0x1, 0x800
_PASSWORD_ENCODINGS = ("utf-8", "cp1252", "cp850")
"""Which one a password was taken in, no archive says."""


def members(reading: Reading) -> Iterator[Element]:
    """Yield what the files of a zip archive say.

    Raises ParseFailed where all need a password and none fits, for pieces of a split archive, and where there is
    nothing in it; OverLimit for a bomb.
    """
    with _opened(reading) as files:
        yield from read_members(reading, files)


def parts(reading: Reading) -> list[Part]:
    """Return the stretches of a long archive that may be read by themselves. Raises as `members`."""
    with _opened(reading) as files:
        return parts_of_members(files)


@contextmanager
def _opened(reading: Reading) -> Iterator[Sequence[Member]]:
    if _is_split(reading):
        raise ParseFailed("is one piece of an archive that was split; join the pieces, or send the files in it")
    password = reading.options.password
    with zipfile.ZipFile(reading.path) as archive:
        entries = archive.infolist()
        check_entries(reading, len(entries))
        _check_overlap(entries, archive.start_dir)
        named = [(each, shown_name(_path_of(each), n)) for n, each in enumerate(entries, start=1)]
        files = [(each, name) for each, name in named if name is not None and _is_file(each)]
        if not password or not any(each.flag_bits & _ENCRYPTED for each, _ in files):
            yield checked(reading, [_plain(archive, each, name) for each, name in files])
            return
    with _unlocked(reading, password) as opener:
        yield checked(reading, [opener(each, name) for each, name in files])


def _plain(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> Member:
    locked = bool(entry.flag_bits & _ENCRYPTED)

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        if locked:
            raise Locked(NEEDS_PASSWORD)
        with archive.open(entry) as source:
            yield source

    return Member(name, entry.file_size, opened, locked=locked)


@contextmanager
def _unlocked(reading: Reading, password: str) -> Iterator[Any]:
    """Give a function that makes a member as `_plain` does, by a library that knows both ways of encryption."""
    import pyzipper  # type: ignore[import-untyped]  # has no types

    keys = []
    for encoding in _PASSWORD_ENCODINGS:
        with suppress(UnicodeEncodeError):
            keys.append(password.encode(encoding))
    with pyzipper.AESZipFile(reading.path) as archive:
        at = {each.header_offset: each for each in archive.infolist()}

        def open_with(entry: Any) -> Any:
            for key in dict.fromkeys(keys):
                try:
                    return archive.open(entry, pwd=key)
                except NotImplementedError:
                    raise
                except RuntimeError as error:  # the key does not fit
                    refused = error
            raise Locked("the password that was given does not open it") from refused

        def member(entry: zipfile.ZipInfo, name: str) -> Member:
            @contextmanager
            def opened() -> Iterator[IO[bytes]]:
                try:
                    with open_with(at[entry.header_offset]) as source:
                        yield source
                except pyzipper.BadZipFile as error:
                    raise zipfile.BadZipFile from error

            return Member(name, entry.file_size, opened, locked=bool(entry.flag_bits & _ENCRYPTED))

        yield member


def _is_file(entry: zipfile.ZipInfo) -> bool:
    mode = entry.external_attr >> 16
    return not entry.is_dir() and (stat.S_IFMT(mode) == 0 or stat.S_ISREG(mode))


def _is_split(reading: Reading) -> bool:
    """Tell by the record at the end of a zip file whether it says to be on another disk than the first."""
    with reading.path.open("rb") as file:
        file.seek(max(0, reading.path.stat().st_size - _MAX_END_BYTES))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        return False
    _, disk, first = _END.unpack_from(tail, at)
    return (disk, first) not in ((0, 0), (0xFFFF, 0xFFFF))


def _check_overlap(entries: Sequence[zipfile.ZipInfo], directory_at: int) -> None:
    """Raise OverLimit where files share bytes: so a small archive unpacks to any size."""
    at = sorted((entry.header_offset, entry.compress_size) for entry in entries)
    for (start, size), (following, _) in pairwise([*at, (directory_at, 0)]):
        if start + _LOCAL_HEADER_BYTES + size > following:
            raise OverLimit("has files that share the same bytes and is taken for a zip bomb; pack the files anew")


def _path_of(entry: zipfile.ZipInfo) -> str:
    """Return the path of a file in the encoding that it is likely in: few archives say which."""
    if entry.flag_bits & _UTF8:
        return entry.filename
    raw = entry.orig_filename.encode("cp437")  # how zipfile decoded it
    return _said_in_unicode(entry.extra, raw) or decoded_name(raw)


def _said_in_unicode(extra: bytes, raw: bytes) -> str | None:
    """Return the path from the extra field of Info-ZIP, where it belongs to this name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field = extra[4 : 4 + size]  # a version, a sum over the name that it replaces, the name
        if kind == _UNICODE_PATH and len(field) > 5 and struct.unpack_from("<L", field, 1)[0] == zlib.crc32(raw):
            return field[5:].decode("utf-8", errors="replace")
        extra = extra[4 + size :]
    return None
