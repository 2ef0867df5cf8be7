"""Files that are put into a vector store together, and how far they are."""

from __future__ import annotations

import io
import re
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from ragline.api.caller import Caller, Installation
from ragline.api.knowledge_files import link, shown_at_once
from ragline.api.strict_json import StrictRoute
from ragline.api.v1.vector_store_files import POLL_MS, InState, listed
from ragline.api.v1.wire import AskedCut, Attributes, NotDone, PathId
from ragline.api.v1.wire_stores import MAX_BATCH, FileCounts, FileIds, NewStoreFile, StoreFiles
from ragline.app import App
from ragline.connectors.blobs import Blobs
from ragline.connectors.records.listings import Cut, State, Tally
from ragline.errors import BadInput, Forbidden, NotFound, Unavailable

router = APIRouter(
    route_class=StrictRoute, prefix="/v1/vector_stores/{vector_store_id}/file_batches", tags=["vector stores"]
)

FOLDER = "batches"
KEEP_S = 30 * 24 * 3600
"""How long a batch can be asked about. Its files stay."""
BATCH_ID = re.compile(r"vsfb_[0-9a-f]{32}")


class NewBatch(NotDone):
    """Files to be put into a store together: by `file_ids`, or by `files` with attributes of their own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"file_ids": ["your-file-id-here"]}]})
    file_ids: FileIds | None = None
    files: Annotated[list[NewStoreFile], Field(max_length=MAX_BATCH)] | None = None
    attributes: Attributes | None = None

    def wanted(self) -> dict[str, Attributes | None]:
        """Return what to give each file, by its id. Raises BadInput unless there is one list, and that has files."""
        self.check()
        if bool(self.file_ids) == bool(self.files):
            raise BadInput(
                "a batch has files either in `file_ids` or in `files`: send one of them, with 1 file or more"
            )
        for each in self.files or ():
            each.check()
        plain = dict.fromkeys(self.file_ids or (), self.attributes)
        return plain | {each.file_id: each.attributes for each in self.files or ()}


class FileBatch(BaseModel):
    """Files that were put into a store together. Those that left it since are not counted."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: State
    file_counts: FileCounts

    @classmethod
    def of(cls, id: str, created_at: int, store_id: str, tally: Tally) -> FileBatch:
        counts = FileCounts.of(tally)
        status: State = "completed"
        if counts.in_progress:
            status = "in_progress"
        elif counts.cancelled:
            status = "cancelled"
        elif counts.failed and counts.failed == counts.total:
            status = "failed"
        return cls(id=id, created_at=created_at, vector_store_id=store_id, status=status, file_counts=counts)


@dataclass(frozen=True, slots=True)
class Batch:
    """Which files were put into which store together. Kept beside the bytes of files, for KEEP_S."""

    id: str
    store_id: str
    created_at: int
    file_ids: list[str]


@router.post("")
async def create(
    vector_store_id: PathId, body: NewBatch, app: Installation, user: Caller, response: Response
) -> FileBatch:
    """Put files into a vector store, all or none of them. The batch can be asked about for 30 days."""
    await app.records.collections.writable(vector_store_id, user)
    wanted = body.wanted()
    for file_id, attributes in wanted.items():
        if attributes is not None:
            await app.records.files.owned(file_id, user)
    await link(app, vector_store_id, list(wanted), user)
    for file_id, attributes in wanted.items():
        if attributes is not None:
            await app.records.attributes.replace(file_id, attributes)
    await shown_at_once(app, list(wanted))
    batch = Batch(f"vsfb_{uuid.uuid4().hex}", vector_store_id, int(time.time()), list(wanted))
    await forget_old(app.blobs)
    await app.blobs.put(f"{FOLDER}/{batch.id}", io.BytesIO(orjson.dumps(asdict(batch))))
    return await described(app, batch, response)


@router.get("/{batch_id}")
async def one(
    vector_store_id: PathId, batch_id: PathId, app: Installation, user: Caller, response: Response
) -> FileBatch:
    """Return how many files of a batch are in what state."""
    await app.records.collections.visible(vector_store_id, user)
    return await described(app, await known(app, vector_store_id, batch_id), response)


@router.post("/{batch_id}/cancel")
async def cancel(
    vector_store_id: PathId, batch_id: PathId, app: Installation, user: Caller, response: Response
) -> FileBatch:
    """Stop the processing of those files of a batch that are the caller's and still on their way."""
    await app.records.collections.writable(vector_store_id, user)
    batch = await known(app, vector_store_id, batch_id)
    waiting = await app.records.listings.members(
        vector_store_id, Cut(limit=MAX_BATCH), state="in_progress", among=batch.file_ids
    )
    for linked in waiting.rows:
        try:
            await app.records.files.owned(linked.file.id, user)
        except Forbidden:
            continue
        await app.records.queue.cancel(linked.file.id)
    return await described(app, batch, response)


@router.get("/{batch_id}/files")
async def files(
    *,
    vector_store_id: PathId,
    batch_id: PathId,
    app: Installation,
    user: Caller,
    cut: AskedCut,
    state: InState = None,
) -> StoreFiles:
    """List the files of a batch that are in the store."""
    await app.records.collections.visible(vector_store_id, user)
    batch = await known(app, vector_store_id, batch_id)
    part = await app.records.listings.members(vector_store_id, cut, state=state, among=batch.file_ids)
    return listed(vector_store_id, part)


async def known(app: App, store_id: str, batch_id: str) -> Batch:
    """Return a batch of this store. Raises NotFound."""
    unknown = NotFound(f"no batch {batch_id!r} in vector store {store_id!r}; they are kept for 30 days")
    if not BATCH_ID.fullmatch(batch_id):
        raise unknown
    try:
        batch = Batch(**orjson.loads(await app.blobs.get(f"{FOLDER}/{batch_id}")))
    except NotFound as error:
        raise unknown from error
    except Unavailable:
        tallies = await app.records.listings.tallies([store_id])
        if tallies[store_id].counts:
            raise
        raise unknown from None  # before the first upload there is no folder for bytes, and no batch
    if batch.store_id != store_id:
        raise unknown
    return batch


async def described(app: App, batch: Batch, response: Response) -> FileBatch:
    tallies = await app.records.listings.tallies([batch.store_id], among=batch.file_ids)
    shown = FileBatch.of(batch.id, batch.created_at, batch.store_id, tallies[batch.store_id])
    if shown.status == "in_progress":
        response.headers["openai-poll-after-ms"] = POLL_MS
    return shown


async def forget_old(blobs: Blobs) -> None:
    """Delete what is kept of batches that are older than KEEP_S."""
    for name, written in await blobs.names(FOLDER):
        if written < time.time() - KEEP_S:
            await blobs.delete(name)
