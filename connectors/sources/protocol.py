"""What Ragline asks of a place that documents are taken from: a list, the bytes, and what changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, runtime_checkable

from ragline.errors import NotFound


class Vanished(NotFound):
    """A document has gone since it was listed: to a sync it is deleted, not failed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One document of a source.

    `path` is its name inside the source: relative, `/` between parts, unique. `tag` changes when the content does
    (etag, blob id, size and mtime), None where only reading can tell. `url` is where a reader finds the original.
    `tag_is_content`: equal tags mean equal bytes (git blob id), so that a move is known without reading.
    """

    path: str
    tag: str | None = None
    size_bytes: int | None = None
    url: str | None = None
    tag_is_content: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """What reading brought. `changed` False: the content is the one of `known_tag`, nothing was written."""

    tag: str | None
    changed: bool = True


class Source(Protocol):
    """A place that documents are taken from. Belongs to one event loop; lists and reads, never writes to the place.

    A source whose list drops documents that still exist, as a feed does, has an attribute `forgets` that is True: what
    it lists no more is then kept.
    """

    async def fingerprint(self) -> str | None:
        """Return the state of the whole source where that is cheap (a commit id); None where it is not.

        Equal to the last run's: nothing changed. Raises Unavailable naming the source.
        """

    async def entries(self) -> list[Entry]:
        """Return all documents, include and exclude applied, sorted by path.

        Raises Unavailable naming the source and the reason when it cannot be listed completely: never a part.
        """

    async def read(self, entry: Entry, into: BinaryIO, *, known_tag: str | None = None) -> Read:
        """Write the document's bytes to `into`, from where it stands; after an error it may hold a part.

        `into` can seek and truncate: a reading that is repeated starts over. With the `known_tag` of an earlier
        reading nothing is written while the tag is still the same.
        Raises Vanished when it has gone since it was listed, Unavailable when it cannot be read now, TooLarge.
        """

    async def close(self) -> None:
        """Let go of connections and temporary files. Can be called twice."""


@runtime_checkable
class Watched(Protocol):
    """A source that can say by itself that something changed."""

    def watch(self) -> AsyncIterator[None]:
        """Yield each time something may have changed, until it is closed; changes close together are one.

        Raises Unavailable naming the source when it cannot be watched.
        """
