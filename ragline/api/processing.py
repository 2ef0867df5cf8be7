"""Texts, pages and files become searchable while the caller waits: what the `process` routes of retrieval do."""

from __future__ import annotations

import hashlib
import re
import time
from io import BytesIO
from pathlib import PurePath

from ragline.api.file_content import extracted_text, write_text
from ragline.api.knowledge_files import link
from ragline.api.wire import NewContent
from ragline.api.wire_retrieval import Batch, BatchDone, BatchResult, KnownFile, NewPage, NewText, Processed
from ragline.app import App
from ragline.errors import BadInput, Forbidden, NotFound, NotReady, RaglineError, UnsupportedFile
from ragline.pipelines.accept import accept, type_of
from ragline.pipelines.names import clean_name
from ragline.pipelines.parse_types import SUPPORTED, TEXT, TEXTUAL
from ragline.pipelines.tidy import tidy
from ragline.retrieval.references import KEPT, ready
from ragline.types import FileRecord, Status, User

FILE = "file-"
"""Before the id of a file where a collection is asked for."""
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def process_new(app: App, body: NewText, user: User) -> Processed:
    """Store a text and wait until it can be searched."""
    content = body.content.encode()
    name = name_for(clean_name(body.name), content)
    collection_id = await target(app, body.collection_name, user)
    file = await same(app, user, name, hashlib.sha256(content).hexdigest(), collection_id)
    if file is None:
        file = await accept(app, user, name=name, content=BytesIO(content), metadata={}, collection_id=collection_id)
    file = await ready(app, file, deadline(app))
    return processed(file, body.collection_name, body.content)


async def process_page(app: App, body: NewPage, user: User) -> Processed:
    """Fetch a page, store it and wait until it can be searched."""
    if body.collection_name is not None:
        await known(app, body.collection_name, user)  # before anything is fetched
    with await app.pages.get(body.url) as page:
        file = await accept(
            app,
            user,
            name=clean_name(page.name.replace("/", "_")),
            content=page.body,
            metadata={"url": page.url},
            collection_id=await target(app, body.collection_name, user),
        )
    file = await ready(app, file, deadline(app))
    return processed(file, body.collection_name, await extracted_text(app, file))


async def process_known(app: App, body: KnownFile, user: User) -> Processed:
    """Put a file into a collection, or give it another text, and wait until it can be searched."""
    file = await app.records.files.visible(body.file_id, user)
    if body.collection_name is not None:
        await link(app, await collection(app, body.collection_name, user), [file.id], user)
        await tidy(app, file.id)
    if body.content is not None:
        await write_text(file.id, NewContent(content=body.content), app, user)
    file = await ready(app, await begun(app, file.id, user), deadline(app))
    return processed(file, body.collection_name, await extracted_text(app, file))


async def process_batch(app: App, body: Batch, user: User) -> BatchDone:
    """Put files into a collection and wait for them as a chat would; some may still be on their way then."""
    collection_id = await collection(app, body.collection_name, user)
    linked: list[str] = []
    errors: list[BatchResult] = []
    for file_id in dict.fromkeys(each.file_id for each in body.files):
        try:
            await link(app, collection_id, [file_id], user)
            linked.append(file_id)
        except (NotFound, Forbidden) as error:
            errors.append(BatchResult(file_id=file_id, status="failed", error=str(error)))
    until = deadline(app)
    results = [await outcome(app, file_id, until) for file_id in linked]
    return BatchDone(collection_name=body.collection_name, results=results, errors=errors)


async def outcome(app: App, file_id: str, until: float) -> BatchResult:
    """Return how a file stands, when it is done or at the end of the wait."""
    await tidy(app, file_id)
    try:
        await ready(app, await app.records.files.get(file_id), until)
    except NotReady as error:
        return BatchResult(file_id=file_id, status="processing", error=str(error))
    except RaglineError as error:
        return BatchResult(file_id=file_id, status="failed", error=str(error))
    return BatchResult(file_id=file_id, status="completed")


async def begun(app: App, file_id: str, user: User) -> FileRecord:
    """Return the file; one of the user's own that nobody processes is put into the queue."""
    file = await app.records.files.get(file_id)
    if file.version is None and (file.stage == KEPT or file.status is Status.FAILED):
        await app.records.files.owned(file_id, user)
        await app.records.queue.again(file_id)
        file = await app.records.files.get(file_id)
    return file


async def target(app: App, name: str | None, user: User) -> str | None:
    """Return the id of the collection that a new file goes into, None for none. Raises as `collection`."""
    if name is None:
        check_unlimited(user)
        return None
    return await collection(app, name, user)


async def collection(app: App, name: str, user: User) -> str:
    """Return the id of the collection that a name means, made where there is none. Raises as `known`."""
    if (found := await known(app, name, user)) is not None:
        return found
    async with app.locks.of(f"collection\0{user.id}\0{name}"):
        return (await app.records.collections.named(name, user)).id


async def known(app: App, name: str, user: User) -> str | None:
    """Return the id of the collection that a name means; None where it would have to be made.

    Raises NotFound for an id that is none, Forbidden where the user may not change it or not make one.
    """
    try:
        return await writable(app, name, user)
    except NotFound:
        if ID.fullmatch(name):
            raise
    check_unlimited(user)
    return None


def check_unlimited(user: User) -> None:
    if user.collections is not None:
        raise Forbidden("this API key is limited to collections: name one of them as `collection_name`")


async def writable(app: App, name: str, user: User) -> str:
    """Return the id of a collection by its id or its name, which the user may change. Raises NotFound or Forbidden."""
    if name.startswith(FILE):
        raise BadInput(f"{name!r} is a file by itself: name a collection")
    return (await app.records.collections.meant(name, user, to_write=True)).id


async def same(app: App, user: User, name: str, sha256: str, collection_id: str | None) -> FileRecord | None:
    """Return the user's file of this name and content in the collection, so that what is repeated is stored once."""
    found = [file for file in await app.records.files.with_sha256(sha256, user.id) if file.filename == name]
    if not found or collection_id is None:
        return None
    inside = set(await app.records.members.among(collection_id, [file.id for file in found]))
    return next((file for file in found if file.id in inside and file.status is not Status.FAILED), None)


def name_for(name: str, content: bytes) -> str:
    """Return the name, with .txt at its end where it promises anything but a text."""
    try:
        type_of(name, BytesIO(content))
        is_fit = SUPPORTED.get(PurePath(name).suffix.lower(), TEXT) in TEXTUAL
    except UnsupportedFile:
        is_fit = False
    return name if is_fit else clean_name(f"{name}.txt")


def processed(file: FileRecord, collection_name: str | None, content: str) -> Processed:
    name = collection_name if collection_name is not None else f"{FILE}{file.id}"
    return Processed(collection_name=name, filename=file.filename, file_id=file.id, content=content)


def deadline(app: App) -> float:
    return time.monotonic() + app.settings.server.ready_wait_s
