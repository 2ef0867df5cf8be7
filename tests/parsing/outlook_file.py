"""Writes .msg files: the container of MS-CFB with the properties of MS-OXMSG, as little of both as readers need."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TypeAlias

Folder: TypeAlias = "dict[str, bytes | Folder]"

SECTOR, SMALL, LARGE_FROM = 512, 64, 4096
END, FAT_SECTOR, NONE = 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
FOLDER, STREAM, ROOT = 1, 2, 5


def item(header_bytes: int, texts: Mapping[int, str | bytes], numbers: Mapping[int, int]) -> Folder:
    """Return a mail, a recipient or an attachment. Texts are UTF-16, bytes are binary, numbers are fixed values."""
    made: Folder = {}
    rows = b"".join(struct.pack("<HHLq", 3, tag, 6, value) for tag, value in numbers.items())
    for tag, value in texts.items():
        kind = 0x001F if isinstance(value, str) else 0x0102
        data = value.encode("utf-16-le") if isinstance(value, str) else value
        made[f"__substg1.0_{tag:04X}{kind:04X}"] = data
        rows += struct.pack("<HHLLL", kind, tag, 6, len(data), 0)
    made["__properties_version1.0"] = bytes(header_bytes) + rows
    return made


class _Sectors:
    """Streams one after the other in sectors, and the table of which sector follows which."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data = b""
        self.table: list[int] = []

    def store(self, stream: bytes) -> int:
        """Return the first sector of a stream."""
        if not stream:
            return END
        first, count = len(self.table), -(-len(stream) // self.size)
        self.data += stream.ljust(count * self.size, b"\0")
        self.table += [*range(first + 1, first + count), END]
        return first


def container(root: Folder) -> bytes:
    """Return the folders and streams as an OLE container."""
    large, small = _Sectors(SECTOR), _Sectors(SMALL)
    entries: list[tuple[str, int, int, int, int, int]] = []

    def add(name: str, value: bytes | Folder, kind: int, right: int) -> int:
        child, start, size = NONE, 0, 0
        if isinstance(value, bytes):
            start, size = (large if len(value) >= LARGE_FROM else small).store(value), len(value)
        else:
            for inside, each in reversed(value.items()):
                child = add(inside, each, STREAM if isinstance(each, bytes) else FOLDER, child)
        entries.append((name, kind, right, child, start, size))
        return len(entries)

    first = NONE
    for name, each in reversed(root.items()):
        first = add(name, each, STREAM if isinstance(each, bytes) else FOLDER, first)
    entries.insert(0, ("Root Entry", ROOT, NONE, first, large.store(small.data), len(small.data)))
    directory = large.store(b"".join(_entry(*each) for each in entries))
    small_table = struct.pack(f"<{len(small.table)}L", *small.table)
    small_at = large.store(small_table.ljust(-(-len(small_table) // SECTOR) * SECTOR, b"\xff"))
    count = 1
    while (len(large.table) + count) * 4 > count * SECTOR:
        count += 1
    places = range(len(large.table), len(large.table) + count)
    table = struct.pack(f"<{len(large.table) + count}L", *large.table, *[FAT_SECTOR] * count)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<6L", 0, count, directory, 0, LARGE_FROM, small_at)
    head += struct.pack("<3L", -(-len(small_table) // SECTOR), END, 0)
    head += struct.pack("<109L", *places, *[NONE] * (109 - count))
    return head + large.data + table.ljust(count * SECTOR, b"\xff")


def _entry(name: str, kind: int, right: int, child: int, start: int, size: int) -> bytes:
    raw = name.encode("utf-16-le")
    tree = struct.pack("<HBBLLL", len(raw) + 2, kind, 1, NONE, right, child)
    return raw.ljust(64, b"\0") + tree + bytes(36) + struct.pack("<LQ", start, size)
