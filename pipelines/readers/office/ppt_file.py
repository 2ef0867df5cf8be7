"""The records in the file of a presentation of PowerPoint 97 to 2003, after Microsoft's [MS-PPT]."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from
from typing import NamedTuple

_EDIT, _DIRECTORY = 0x0FF5, 0x1772
_MAX_EDITS = 10_000


class Record(NamedTuple):
    """A record: its body is `data[start:stop]`; `instance` tells records of one type apart."""

    type: int
    instance: int
    is_container: bool
    start: int
    stop: int


class PptFile:
    """The records of a stream. `places` says where the parts of its last version lie, by their numbers."""

    def __init__(self, data: bytes, edit: int) -> None:
        self._data = data
        self.places, number = self._persisted(edit)
        self.document = self.record(self.places[number])

    def _persisted(self, edit: int) -> tuple[dict[int, int], int]:
        """Return where the parts of the last version lie, by their numbers, and the number of the document."""
        places: dict[int, int] = {}
        document: int | None = None
        seen: set[int] = set()
        while edit and edit not in seen and len(seen) < _MAX_EDITS:
            seen.add(edit)
            found = self.record(edit)
            if found.type != _EDIT:
                break
            above, directory, number = unpack_from("<III", self._data, found.start + 8)
            document = number if document is None else document
            for key, place in self._directory(directory):
                places.setdefault(key, place)
            edit = above
        if document is None or document not in places:
            raise ValueError("no directory of parts")
        return places, document

    def _directory(self, place: int) -> Iterator[tuple[int, int]]:
        found = self.record(place)
        at = found.start
        while found.type == _DIRECTORY and at + 4 <= found.stop:
            head = self.number(at)
            first, count = head & 0xFFFFF, head >> 20
            for number in range(min(count, (found.stop - at - 4) // 4)):
                yield first + number, self.number(at + 4 + 4 * number)
            at += 4 + 4 * count

    def record(self, at: int) -> Record:
        head, kind, size = unpack_from("<HHI", self._data, at)
        return Record(kind, head >> 4, head & 15 == 15, at + 8, min(at + 8 + size, len(self._data)))

    def inside(self, record: Record) -> Iterator[Record]:
        at = record.start
        while at + 8 <= record.stop:
            found = self.record(at)
            yield found._replace(stop=min(found.stop, record.stop))
            at = found.stop

    def number(self, at: int) -> int:
        number: int = unpack_from("<I", self._data, at)[0]
        return number
