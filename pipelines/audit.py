"""Records, bytes, vectors and cache are compared: what one has that the others do not know is named, and mended."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlalchemy import select, update

from ragline.app import App
from ragline.connectors.blobs import text_key
from ragline.connectors.records.removals import Removal
from ragline.connectors.records.tables import files, memberships
from ragline.connectors.vectors.protocol import Held, Label
from ragline.pipelines.tidy import sweep
from ragline.types import FileRecord, Status

log = logging.getLogger(__name__)

GRACE_S = 3600.0
"""Bytes younger than this may be an upload's whose row is still to come."""

PAGE_FILES = 500
"""Rows compared in one go, files deleted in one go; below the databases' limits on parameters."""

AT_REST = (Status.COMPLETED, Status.FAILED)

LOST = "its bytes are lost, and it was not ingested whole: upload it again"

Kind = Literal[
    "ghost",  # points of a file that no row names
    "stale",  # points of a version that does not answer, of a file nobody works on
    "incomplete",  # completed, but more or fewer passages can be found than it has
    "lost",  # no bytes to ingest, and not ingested
    "blob_missing",  # it answers, but its bytes are gone
    "text_missing",  # it answers, but its extracted text is gone
    "orphan_bytes",  # bytes or a text that no row names
    "label",  # passages show another name or other collections than the records
    "removal",  # deleted, but not from everywhere
    "lease",  # whoever worked on it is gone
    "cache",  # vectors that no file needs
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. `id` is a file's, a place's of bytes, or the cache's name.

    `version`: which version of the file, where only one is meant. `repaired`: it is mended or will be by ingestion.
    """

    kind: Kind
    id: str
    detail: str
    version: str | None = None
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit found, and how much it looked at. `chunks` are as the records count them.

    `young` are bytes of no file that may be on their way into one: they are left alone for GRACE_S.
    """

    findings: Sequence[Finding]
    files: int
    chunks: int
    points: int
    blobs: int
    young: int = 0


async def audit(app: App, *, repair: bool, grace_s: float = GRACE_S) -> Report:
    """Compare everything, and with `repair` mend what can be; may run while files are ingested and deleted.

    A finding is what two looks agree on, since one alone also sees things in motion. Before each repair the row is
    read again; a file that is being worked on is never touched.
    """
    first = await look(app, grace_s)
    if not first.findings:
        return first.report(())
    second = await look(app, grace_s)
    seen = set(first.findings)
    findings: Sequence[Finding] = [finding for finding in second.findings if finding in seen]
    if repair:
        findings = await mend(app, second, findings)
    log.info("audit findings=%d repaired=%d", len(findings), sum(finding.repaired for finding in findings))
    return second.report(findings)


@dataclass(slots=True)
class Look:
    """One pass over everything. `troubled` are the files that findings are about, as they were then."""

    names: Mapping[str, float]
    points: int
    files: int = 0
    chunks: int = 0
    young: int = 0
    findings: list[Finding] = field(default_factory=list)
    troubled: dict[str, FileRecord] = field(default_factory=dict)

    def note(self, file: FileRecord, findings: Iterable[Finding]) -> None:
        self.files += 1
        self.chunks += file.chunk_count
        for finding in findings:
            self.findings.append(finding)
            self.troubled[file.id] = file

    def report(self, findings: Sequence[Finding]) -> Report:
        blobs = sum(name.startswith("files/") for name in self.names)
        return Report(findings, files=self.files, chunks=self.chunks, points=self.points, blobs=blobs, young=self.young)


async def look(app: App, grace_s: float) -> Look:
    """Read all stores once, the rows after what they name: bytes and points have a row before it is looked for."""
    names = dict(await app.blobs.names("files") + await app.blobs.names("texts"))
    census = await app.vectors.census()
    seen = Look(names, census.points)
    ghosts, unnamed = dict(census.files), dict(names)
    working: set[str] = set()
    async for page in app.records.files.all_pages(PAGE_FILES):
        collections = await collections_of(app, [file.id for file in page])
        for file in page:
            seen.note(file, of_file(file, ghosts.pop(file.id, {}), names, collections[file.id]))
            for name in names_of(file):
                unnamed.pop(name, None)
            if file.status is Status.PROCESSING:
                working.add(file.id)
    removals = await waiting_removals(app)
    named = {name for removal in removals.values() for name in removal.blobs}
    old = time.time() - grace_s
    orphans = [name for name, written in unnamed.items() if written < old and owner_of(name) not in working]
    seen.young = sum(written >= old for written in unnamed.values())
    seen.findings += [Finding("removal", file_id, "deleted, but not from everywhere yet") for file_id in removals]
    seen.findings += [ghost(file_id, held) for file_id, held in ghosts.items() if file_id not in removals]
    seen.findings += [Finding("orphan_bytes", name, "no row names it") for name in orphans if name not in named]
    for file_id in await expired(app):
        seen.findings.append(Finding("lease", file_id, "whoever worked on it is gone; the next batch takes it"))
    if unused := await app.records.embeddings.unused():
        seen.findings.append(Finding("cache", "embeddings", f"{unused} cached vectors that no file needs"))
    return seen


def ghost(file_id: str, held: Mapping[str, Held]) -> Finding:
    count = sum(version.points for version in held.values())
    return Finding("ghost", file_id, f"{count} points of a file that the records do not know")


def of_file(
    file: FileRecord, held: Mapping[str, Held], names: Collection[str], collection_ids: Sequence[str]
) -> Iterator[Finding]:
    """Give what is wrong with a file. What ingestion or upkeep are about to do anyway is not."""
    current = held.get(file.version or "")
    whole = current is not None and current.points == current.published == file.chunk_count
    if file.blob not in names:
        if file.status is Status.COMPLETED and whole:
            yield Finding("blob_missing", file.id, f"{file.blob!r} is gone; it still answers: upload it again")
        elif file.status is not Status.PROCESSING and file.failure != "permanent":
            yield Finding("lost", file.id, LOST, version=None if whole else file.version)
    elif file.status is Status.COMPLETED and not whole:
        shown = current.published if current else 0
        detail = f"{shown} of {file.chunk_count} passages can be found"
        yield Finding("incomplete", file.id, detail, version=file.version)
    if file.status is Status.COMPLETED and whole and file.version and text_key(file.id, file.version) not in names:
        yield Finding("text_missing", file.id, "its extracted text is gone", version=file.version)
    if file.untidy:
        return
    if file.status in AT_REST:
        for version, stale in held.items():
            if version != file.version:
                yield Finding("stale", file.id, f"{stale.points} points of a version before", version=version)
    if current is not None and current.labels != {Label(file.filename, tuple(sorted(collection_ids)))}:
        yield Finding("label", file.id, "its passages show another name or other collections than the records")


async def mend(app: App, seen: Look, findings: Sequence[Finding]) -> list[Finding]:
    """Mend what can be, and return the findings with what became of each."""
    gone = await delete_ghosts(app, [finding.id for finding in findings if finding.kind == "ghost"])
    mended = []
    for finding in findings:
        if finding.kind == "ghost":
            repaired = finding.id in gone
        else:
            repaired = await MENDERS[finding.kind](app, seen, finding)
        mended.append(replace(finding, repaired=repaired))
    return mended


async def delete_ghosts(app: App, file_ids: Sequence[str]) -> set[str]:
    """Delete the points of files that still have no row, and return their ids."""
    gone: set[str] = set()
    for start in range(0, len(file_ids), PAGE_FILES):
        some = file_ids[start : start + PAGE_FILES]
        ghosts = sorted(set(some) - set(await app.records.files.named(some)))
        await app.vectors.delete_files(ghosts)
        gone.update(ghosts)
    return gone


async def drop_stale(app: App, _: Look, finding: Finding) -> bool:
    """Drop one version. Once it does not answer while the file rests it never will: each try makes a version anew."""
    file = (await app.records.files.named([finding.id])).get(finding.id)
    if file is not None and (file.status not in AT_REST or file.version == finding.version):
        return False
    await app.vectors.drop_version(finding.id, finding.version or "")
    return True


async def ingest_again(app: App, seen: Look, finding: Finding) -> bool:
    """Put a file back in the queue, if its bytes are there and it is as it was."""
    before = seen.troubled[finding.id]
    return before.blob in seen.names and await unchanged(app, before) and await app.records.queue.again(finding.id)


async def give_up(app: App, seen: Look, finding: Finding) -> bool:
    """Fail a file for good; a version that is not whole answers no more."""
    before = seen.troubled[finding.id]
    as_before = (
        files.c.id == before.id,
        files.c.status == before.status.value,
        files.c.blob == before.blob,
        files.c.version.is_not_distinct_from(before.version),
    )
    values = {"status": Status.FAILED.value, "failure": "permanent", "error": LOST, "updated_at": int(time.time())}
    if finding.version is not None:
        values |= {"version": None, "chunk_count": 0}
    async with app.records.engine.begin() as connection:
        failed = update(files).where(*as_before).values(values | {"untidy": files.c.untidy + 1})
        if not (await connection.execute(failed)).rowcount:
            return False
        await app.records.changes.publish(connection, before.id)
    app.records.changes.tell(before.id)
    if finding.version is not None:
        await app.vectors.drop_version(before.id, finding.version)
        await app.blobs.delete(text_key(before.id, finding.version))
    return True


async def delete_bytes(app: App, _: Look, finding: Finding) -> bool:
    file_id = owner_of(finding.id)
    file = (await app.records.files.named([file_id])).get(file_id)
    if file is not None and (file.status is Status.PROCESSING or finding.id in names_of(file)):
        return False
    await app.blobs.delete(finding.id)
    return True


async def tidy_later(app: App, _: Look, finding: Finding) -> bool:
    await app.records.files.mark_untidy(finding.id)
    return True


async def finish_removal(app: App, _: Look, finding: Finding) -> bool:
    """Delete the rest of a deleted file. While somebody may still be writing for it, it is not over."""
    removals = await app.records.removals.of([finding.id])
    for removal in removals:
        await sweep(app, removal)
    return all(removal.settled for removal in removals)


async def clean_cache(app: App, _: Look, __: Finding) -> bool:
    await app.records.embeddings.unused(repair=True)
    return True


async def left_alone(_: App, __: Look, ___: Finding) -> bool:
    """There is nothing to be done here: the queue takes it, or only its owner has the bytes."""
    return False


MENDERS: Mapping[Kind, Callable[[App, Look, Finding], Awaitable[bool]]] = {
    "stale": drop_stale,
    "incomplete": ingest_again,
    "text_missing": ingest_again,
    "lost": give_up,
    "blob_missing": left_alone,
    "orphan_bytes": delete_bytes,
    "label": tidy_later,
    "removal": finish_removal,
    "lease": left_alone,
    "cache": clean_cache,
}


async def unchanged(app: App, before: FileRecord) -> bool:
    """Tell whether a file still has the same bytes, version and status."""
    now = (await app.records.files.named([before.id])).get(before.id)
    return now is not None and (now.status, now.version, now.blob) == (before.status, before.version, before.blob)


def names_of(file: FileRecord) -> list[str]:
    """Return where the bytes and the text of a file lie."""
    return [file.blob, *filter(None, [file.edited]), *([text_key(file.id, file.version)] if file.version else [])]


def owner_of(name: str) -> str:
    """Return the id of the file that bytes are or were of: names begin with it."""
    return name.partition("/")[2][:36]


async def collections_of(app: App, file_ids: Sequence[str]) -> Mapping[str, list[str]]:
    """Return the ids of the collections each file is in."""
    query = select(memberships.c.file_id, memberships.c.collection_id).where(memberships.c.file_id.in_(file_ids))
    found: defaultdict[str, list[str]] = defaultdict(list)
    async with app.records.engine.connect() as connection:
        for row in await connection.execute(query):
            found[row.file_id].append(row.collection_id)
    return found


async def waiting_removals(app: App) -> dict[str, Removal]:
    """Return all removals that are not finished, by file id."""
    limit = PAGE_FILES
    while len(found := await app.records.removals.waiting(limit=limit)) == limit:
        limit *= 4
    return {removal.file_id: removal for removal in found}


async def expired(app: App) -> list[str]:
    """Return the ids of the files that are said to be worked on under a lease that has run out."""
    worked_on = select(files.c.id).where(files.c.status == Status.PROCESSING.value)
    async with app.records.engine.connect() as connection:
        return sorted(await connection.scalars(worked_on.where(files.c.lease_until < time.time())))
