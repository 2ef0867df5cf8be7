"""Files of this machine are taken in by a server; what it has already is not sent again."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ragline.cli.paths import Document
from ragline.client import Client, State, Stored
from ragline.errors import BadInput, NotFound, NotSignedIn, RaglineError, Unavailable
from ragline.pipelines.names import clean_name
from ragline.types import Status

UPLOADS = 4
"""Files that are read and sent at once."""
WINDOW = 64
"""Files that are on their way at once."""
LINKED = 100
"""Files put into a collection in one go."""

Outcome = Literal["ingested", "already there", "failed"]
OUTCOMES: Sequence[Outcome] = ("ingested", "already there", "failed")

OLDER_SOUGHT = 10_000
"""Without a collection, older versions are sought among so many of the newest files: they are listed page by page."""

PREFERRED = (Status.COMPLETED, Status.PROCESSING, Status.PENDING, Status.FAILED)
"""Of several files of the same bytes and name, the one that is farthest."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a document; `reason` says why it failed."""

    document: Document
    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of all documents. `beside_older` were ingested beside a file of the same name with other bytes."""

    counts: Mapping[Outcome, int]
    beside_older: Sequence[Document]


class Show(Protocol):
    """Shows somebody how far it is."""

    def started(self, document: Document) -> None: ...

    def progressed(self, document: Document, state: State) -> None: ...

    def ended(self, result: Result) -> None: ...


async def send(
    client: Client,
    documents: Sequence[Document],
    show: Show,
    *,
    collection_id: str | None = None,
    password: str | None = None,
) -> Sent:
    """Take in all documents and return what became of them, once all can be searched or have failed.

    `password` opens those that need one. One that cannot be read or is refused costs only itself. Raises NotSignedIn
    and Unavailable, which would stop all.
    """
    sender = Sender(client, show, collection_id, password)
    window = asyncio.Semaphore(WINDOW)
    try:
        async with asyncio.TaskGroup() as tasks:
            for document in documents:
                await window.acquire()
                tasks.create_task(sender.one(document)).add_done_callback(lambda _: window.release())
    except ExceptionGroup as stopped:
        raise stopped.exceptions[0] from stopped
    await sender.link_rest()
    return Sent(sender.counts, await sender.beside_older())


class Sender:
    """Takes in documents of one run."""

    def __init__(self, client: Client, show: Show, collection_id: str | None, password: str | None) -> None:
        self.counts: Counter[Outcome] = Counter()
        self._client = client
        self._show = show
        self._collection_id = collection_id
        self._password = password
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._one_at_a_time: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sent: set[str] = set()
        self._same: set[str] = set()
        self._ingested: dict[str, Document] = {}
        self._to_link: list[str] = []

    async def one(self, document: Document) -> None:
        self._show.started(document)
        try:
            result = await self._taken(document)
        except (NotSignedIn, Unavailable):
            raise
        except OSError as error:
            result = Result(document, "failed", f"it cannot be read: {error.strerror or error}")
        except RaglineError as error:
            result = Result(document, "failed", str(error))
        self.counts[result.outcome] += 1
        self._show.ended(result)

    async def link_rest(self) -> None:
        """Put what is left to be put into the collection."""
        if self._collection_id is not None and self._to_link:
            linked, self._to_link = self._to_link, []
            await self._client.link(self._collection_id, linked)

    async def beside_older(self) -> list[Document]:
        """Return the ingested documents whose name a file has that none of this run's documents is.

        Looks into the collection; without one, among the newest OLDER_SOUGHT files of the same user.
        """
        if not self._ingested:
            return []
        if self._collection_id is not None:
            names = await self._client.names_in(self._collection_id)
        else:
            names = await self._client.names_beside(next(iter(self._ingested)), most=OLDER_SOUGHT)
        others = {name for file_id, name in names.items() if file_id not in self._same}
        return [each for each in self._ingested.values() if clean_name(each.path.name) in others]

    async def _taken(self, document: Document) -> Result:
        """Take in one document and wait for its end. Raises OSError and what the server answers."""
        if document.problem is not None:
            return Result(document, "failed", document.problem)
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self._uploads)
            sha256 = await asyncio.to_thread(sha256_of, document.path)
            name = clean_name(document.path.name)
            # Two files of the same bytes and name in one run: the second is to find the first.
            await turn.enter_async_context(self._one_at_a_time[name, sha256])
            stored, is_new = await self._client.patiently(lambda: self._placed(document, name, sha256))
            repeated = stored.id in self._sent
            self._sent.add(stored.id)
        if not is_new:
            await self._link(stored.id)
        if stored.status is Status.COMPLETED:
            return Result(document, "already there")
        end = await self._end_of(document, stored.id)
        if end.status is Status.FAILED:
            return Result(document, "failed", end.error)
        if repeated:
            return Result(document, "already there")
        self._ingested[stored.id] = document
        return Result(document, "ingested")

    async def _placed(self, document: Document, name: str, sha256: str) -> tuple[Stored, bool]:
        """Return the file as the server has it, and whether it is new there; a failed one is tried again."""
        found = [file for file in await self._client.known(sha256) if file.name == name]
        self._same.update(file.id for file in found)
        if found:
            best = min(found, key=lambda file: PREFERRED.index(file.status))
            if best.status is Status.FAILED and self._password is not None:
                await self._client.unlock(best.id, self._password)
            elif best.status is Status.FAILED:
                await self._client.retry(best.id)
            return best, False
        metadata = {"path": document.inside}
        if self._collection_id is not None:
            metadata["knowledge_id"] = self._collection_id
        made = await self._client.upload(document.path, name=name, metadata=metadata, password=self._password)
        self._same.add(made)
        return Stored(made, name, Status.PENDING), True

    async def _link(self, file_id: str) -> None:
        self._to_link.append(file_id)
        if len(self._to_link) >= LINKED:
            await self.link_rest()

    async def _end_of(self, document: Document, file_id: str) -> State:
        async for state in self._client.states(file_id):
            self._show.progressed(document, state)
            if state.is_final:
                return state
        raise NotFound(f"file {file_id!r} has been deleted")


def summary(counts: Mapping[Outcome, int]) -> str:
    """Return what became of the documents in a line."""
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts.get(outcome))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes. Raises BadInput for an empty one."""
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
        if not content.tell():
            raise BadInput("it is empty")
    return digest.hexdigest()
