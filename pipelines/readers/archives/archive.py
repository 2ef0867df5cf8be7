"""Archives of every kind: each file in them is read like a document of its own, in the order of their names."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from lzma import LZMAError
from pathlib import PurePosixPath
from typing import IO

from ragline.errors import OverLimit, ParseFailed
from ragline.pipelines.parse import inner
from ragline.pipelines.parse_types import SUPPORTED, ZIPPED
from ragline.pipelines.readers.archives.inside import Unpacking, check_ratio, climbs, label, temporary, write
from ragline.pipelines.reading import NEEDS_PASSWORD, WRONG_PASSWORD, Budget, Part, Reading
from ragline.types import Element

PART_BYTES = 16 << 20
PART_MEMBERS = 200
"""What one part of a long archive holds: as much as a worker reads in some seconds."""
ENTRIES_PER_FILE = 10
"""How many folders, links and leftovers an archive may list for each file that it may hold."""

_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, LZMAError, EOFError),
    *(ValueError, LookupError, struct.error, OverflowError, NotImplementedError),
)
_JUNK = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_HOLDING = frozenset({".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".eml", ".msg", ".mbox"})


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive: `open` gives its bytes, raises Locked. `counted`: they were not counted before."""

    name: str
    size_bytes: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    locked: bool = False
    counted: bool = True


class Locked(Exception):
    """There is no password, or it does not fit."""


def read_members(reading: Reading, members: Sequence[Member]) -> Iterator[Element]:
    """Yield what these files say, or those of the reading's part. What cannot be read is noted and left out.

    Raises ParseFailed where none can be opened for lack of a password.
    """
    unpacking = Unpacking(reading, reading.path.stat().st_size)
    chosen = members
    if (part := reading.part) is not None:
        chosen = members[part.first - 1 : part.last]
        reading.budget.take_bytes(sum(each.size_bytes for each in members) - sum(each.size_bytes for each in chosen))
    refused = 0
    for member in chosen:
        with temporary() as path:
            try:
                with member.open() as source:
                    write(source.read, path, unpacking.take if member.counted else _uncounted)
            except (Locked, *_DAMAGE, OSError) as error:
                if is_of_disk(error):
                    raise
                refused += isinstance(error, Locked)
                reading.budget.take_member()
                reading.note(f"{member.name}: {_reason(error, member)}")
            else:
                yield from inner(reading, path, member.name)
    if refused and refused == len(members):
        given = reading.options.password is not None
        raise ParseFailed(WRONG_PASSWORD if given else NEEDS_PASSWORD)


def parts_of_members(members: Sequence[Member]) -> list[Part]:
    """Return the stretches of a long archive that may be read by themselves; none for one that is read as a whole.

    An archive that holds others is one, so that what all of them unpack to is counted together, and so is one with
    passwords.
    """
    if sum(member.size_bytes for member in members) <= PART_BYTES and len(members) <= PART_MEMBERS:
        return []
    if any(member.locked or _holds_others(member) for member in members):
        return []
    return list(_grouped(members))


def checked(reading: Reading, members: Sequence[Member]) -> Sequence[Member]:
    """Return the files of an archive in the order of their names, by what the archive says of them.

    Raises OverLimit where that is too much, ParseFailed where there are none.
    """
    declared = Budget(reading.options)
    for member in members:
        declared.take_member()
        declared.take_bytes(member.size_bytes)
    check_ratio(sum(member.size_bytes for member in members if member.counted), reading.path.stat().st_size)
    if not members:
        raise ParseFailed("holds no files")
    return sorted(members, key=lambda member: member.name)


def check_entries(reading: Reading, entries: int) -> None:
    """Raise OverLimit for an archive that lists far more than the files it may hold."""
    most = ENTRIES_PER_FILE * reading.options.max_members
    if entries > most:
        raise OverLimit(f"lists more than {most} entries (ten times parsing.max_members); pack them into several")


def shown_name(path: str, number: int) -> str | None:
    """Return the label of a file of an archive, None for what systems leave behind.

    Raises ParseFailed for a path that leads out of the archive, which is made to overwrite other files.
    """
    if climbs(path):
        raise ParseFailed(
            f"is refused: its file {label(path, 'without a name')!r} has a path that leads out of the archive with "
            "'..', as in archives that are made to do harm; pack the files anew"
        )
    shown = label(path, f"file {number}")
    steps = shown.split("/")
    return None if _JUNK.intersection(steps) or steps[-1].startswith("._") else shown


def decoded_name(raw: bytes) -> str:
    """Return a name without a declared encoding: UTF-8, or what DOS or Windows in Western Europe write."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return min((raw.decode(encoding, errors="replace") for encoding in ("cp850", "cp1252")), key=_oddness)


def is_of_disk(error: BaseException) -> bool:
    """Tell whether an error says nothing of the file: readers raise OSError without a number, or for wrong places."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def _oddness(name: str) -> int:
    """Count what no name of a file has: signs beyond ASCII, and a capital behind a small letter."""
    signs = sum(char > "\x7f" and not char.isalpha() for char in name)
    return 2 * signs + sum(a.islower() and b > "\x7f" and b.isupper() for a, b in pairwise(name))


def _holds_others(member: Member) -> bool:
    suffix = PurePosixPath(member.name).suffix.lower()
    if suffix in _HOLDING:
        return True
    try:
        with member.open() as source:
            head = source.read(8)
    except (*_DAMAGE, OSError):
        return False
    return head.startswith(_PACKED) and SUPPORTED.get(suffix) not in ZIPPED


def _grouped(members: Sequence[Member]) -> Iterator[Part]:
    first, size = 1, 0
    for number, member in enumerate(members, start=1):
        if number > first and (size + member.size_bytes > PART_BYTES or number - first >= PART_MEMBERS):
            yield Part(first, number - 1)
            first, size = number, 0
        size += member.size_bytes
    yield Part(first, len(members))


def _reason(error: Exception, member: Member) -> str:
    match error:
        case Locked():
            return str(error)
        case NotImplementedError():
            return "is packed by a method that cannot be unpacked; pack it anew with Deflate"
    return "is damaged, or the password does not fit" if member.locked else "is damaged and cannot be unpacked"


def _uncounted(_: int) -> None:
    """Its bytes were counted when they came out of the compressed file around it."""
